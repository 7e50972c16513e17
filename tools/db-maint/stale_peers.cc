#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <span>

#include "lib/base/encoding.h"
#include "tools/db-maint/commands.h"
#include "tools/db-maint/interrupt.h"
#include "tools/db-maint/pacer.h"
#include "tools/db-maint/progress.h"

namespace lp::db_maint {
namespace {

using Clock = std::chrono::steady_clock;
using Ids = std::vector<std::int64_t>;

/// Peers that the gateway is asked to take off WireGuard at one time: it confirms all of them in
/// one transaction.
constexpr std::size_t most_at_once = 5'000;
/// For how long a gateway that starts is kept waiting: it gives up after a second on PostgreSQL,
/// after five on SQLite.
constexpr std::chrono::milliseconds longest_alone{300};
/// For how long it then has the chance.
constexpr std::chrono::milliseconds between_alone{100};
constexpr std::size_t most_alone = 250;  ///< peers in one transaction
constexpr std::chrono::milliseconds poll_interval{250};
/// How often it is tried whether the gateway has been stopped.
constexpr std::chrono::seconds alone_interval{5};

Value optional_time(const std::optional<UnixSeconds>& time) {
  return time ? Value(Time{*time}) : Value();
}

Table list(const std::vector<StalePeer>& peers, bool shared) {
  Table table{.columns = {"client_id", "public_key", "private_ipv4", "private_ipv6", "ticket_type",
                          "created_at", "last_seen", "last_ticket", "available", "used"},
              .rows = {}};
  if (shared) table.columns.emplace_back("instance");
  for (const auto& peer : peers) {
    table.rows.push_back({peer.client_id, to_base64(peer.public_key), peer.private_ipv4,
                          peer.private_ipv6, peer.ticket_type, Time{peer.created_at},
                          optional_time(peer.last_seen), optional_time(peer.last_ticket),
                          peer.available, peer.used});
    if (shared) table.rows.back().emplace_back(peer.instance);
  }
  return table;
}

/// Removes the peers of a list, all of one gateway, in the way that is safe at each moment
/// (store.h).
class Removal {
 public:
  Removal(Store& store, const Options& options, UnixSeconds now, UnixSeconds before,
          std::string instance, Ids ids)
      : store_(store),
        options_(options),
        now_(now),
        before_(before),
        instance_(std::move(instance)),
        left_(std::move(ids)) {
    total_ = std::ssize(left_);
  }

  Outcome<void> run() {
    while (!left_.empty() && !gave_up_) {
      if (auto alone = remove_alone(); !alone) return alone;
      if (left_.empty()) break;
      if (auto beside = remove_beside_gateway(); !beside) return beside;
    }
    return {};
  }

  [[nodiscard]] std::int64_t removed() const { return removed_; }
  /// Noted for removal and not confirmed, or not come to.
  [[nodiscard]] std::int64_t left() const { return std::ssize(left_); }
  [[nodiscard]] std::int64_t returned() const { return total_ - left() - removed_; }

 private:
  template <typename T>
  Outcome<void> failed(const Result<T>& result) const {
    return std::unexpected(failure_of(result.error(), options_.database));
  }
  static Outcome<void> stopped() {
    return fail(exit_status::unknown,
                "interrupted; the next run goes on with the peers that are left");
  }

  /// Runs `work` on the ids, a batch at a time.
  template <typename Work>
  Outcome<void> in_batches(std::span<const std::int64_t> ids, Work work) {
    Pacer pacer;
    while (!ids.empty()) {
      if (interrupted()) return stopped();
      const auto size = std::min(ids.size(), static_cast<std::size_t>(pacer.rows()));
      const Result<Batch> batch = work(ids.first(size));
      if (!batch) return failed(batch);
      ids = ids.subspan(size);
      rest(pacer.learn(*batch));
    }
    return {};
  }

  /// As long as nobody has the database open: in slices, for a gateway may want to start.
  Outcome<void> remove_alone() {
    while (!left_.empty()) {
      if (interrupted()) return stopped();
      const auto alone = store_.take_exclusively(instance_);
      if (!alone) return failed(alone);
      if (!*alone) return {};
      const auto until = Clock::now() + longest_alone;
      while (!left_.empty() && Clock::now() < until && !interrupted()) {
        const auto size = std::min(left_.size(), most_alone);
        const auto ids = std::span(left_).last(size);
        const auto batch = store_.remove_peers(ids, before_, Store::Removable::all);
        if (!batch) return failed(batch);
        removed_ += batch->rows;
        left_.resize(left_.size() - size);
        progress_.show("peers removed", removed_, total_);
      }
      if (auto released = store_.release(); !released) {
        return std::unexpected(failure_of(released.error(), options_.database));
      }
      if (!left_.empty()) rest(between_alone);
    }
    return {};
  }

  /// Some of them: noted, confirmed by the gateway, removed.
  Outcome<void> remove_beside_gateway() {
    const auto size = std::min(left_.size(), most_at_once);
    Ids noted(left_.end() - static_cast<std::ptrdiff_t>(size), left_.end());
    auto done =
        in_batches(noted, [this](auto ids) { return store_.retire_peers(ids, before_, now_); });
    if (!done) return done;
    auto last_progress = Clock::now();
    auto tried_alone = last_progress;
    while (!noted.empty()) {
      const auto unconfirmed = store_.unconfirmed_peers(noted);
      if (!unconfirmed) return failed(unconfirmed);
      Ids ready;
      std::ranges::set_difference(noted, *unconfirmed, std::back_inserter(ready));
      if (!ready.empty()) {
        last_progress = Clock::now();
        done = in_batches(ready, [this](auto ids) {
          auto batch = store_.remove_peers(ids, before_, Store::Removable::confirmed);
          if (batch) removed_ += batch->rows;
          return batch;
        });
        if (!done) return done;
        noted = *unconfirmed;
        forget(ready);
      }
      progress_.show("peers removed", removed_, total_);
      if (noted.empty()) break;
      if (interrupted()) return stopped();
      if (Clock::now() - last_progress >= options_.wait) {
        gave_up_ = true;
        return {};
      }
      if (Clock::now() - tried_alone >= alone_interval) {
        tried_alone = Clock::now();
        if (auto alone = remove_alone(); !alone || left_.empty()) return alone;
      }
      rest(std::min<std::chrono::nanoseconds>(poll_interval, options_.wait));
    }
    return {};
  }

  void forget(const Ids& ids) {
    Ids rest_of_them;
    std::ranges::set_difference(left_, ids, std::back_inserter(rest_of_them));
    left_ = std::move(rest_of_them);
  }

  Store& store_;
  const Options& options_;
  const UnixSeconds now_;
  const UnixSeconds before_;
  const std::string instance_;
  Ids left_;  ///< ascending
  std::int64_t total_ = 0;
  std::int64_t removed_ = 0;
  bool gave_up_ = false;
  Progress progress_;
};

}  // namespace

Report stale_peers(Store& store, const Options& options, UnixSeconds now) {
  Report report;
  const auto before = now > options.stale_after ? now - options.stale_after : 0;
  report.facts = {
      {"dry_run", options.dry_run}, {"as_of", Time{now}}, {"not_seen_since", Time{before}}};
  if (options.remove) {
    if (const auto clock = check_clock(store, options, now); !clock) {
      report.end_with(clock.error());
      return report;
    }
  }
  const auto peers = store.stale_peers(before);
  if (!peers) {
    report.end_with(failure_of(peers.error(), options.database));
    return report;
  }
  // Whose peer it is: where no peer is stale, as well, for who reads the columns by their names.
  report.table = list(*peers, store.is_shared());
  report.facts.emplace_back("stale", std::ssize(*peers));
  if (!options.remove || options.dry_run) return report;

  // One gateway that confirms nothing is no reason to leave the peers of the others.
  std::map<std::string, Ids> by_instance;
  for (const auto& peer : *peers)
    by_instance[peer.instance].push_back(peer.client_id);
  std::int64_t removed = 0;
  std::int64_t returned = 0;
  Outcome<void> done;
  for (auto& [instance, ids] : by_instance) {
    Removal removal(store, options, now, before, instance, std::move(ids));
    done = removal.run();
    removed += removal.removed();
    if (!done) break;
    returned += removal.returned();
  }
  const auto left = std::ssize(*peers) - removed - returned;
  report.facts.emplace_back("removed", removed);
  report.facts.emplace_back("left", left);
  report.facts.emplace_back("returned", returned);
  report.removed.emplace_back("wireguard_peers", removed);
  if (!done) {
    report.end_with(done.error());
  } else if (left > 0) {
    report.end_with({exit_status::warning,
                     fmt::format("{} of {} peers are not removed: the gateway has not taken them "
                                 "off WireGuard within --wait; run again once it has",
                                 left, peers->size())});
  }
  return report;
}

}  // namespace lp::db_maint
