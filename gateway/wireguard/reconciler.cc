#include "gateway/wireguard/reconciler.h"

#include <algorithm>
#include <condition_variable>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace lp::gateway::wireguard {
namespace {

using Key = crypto::X25519Public;
using Present = std::map<Key, PeerState>;
using Rows = std::vector<storage::Peer>;

/// Registrations that wait for the database's writer meanwhile wait for that many peers' debits,
/// some milliseconds.
constexpr std::size_t debits_in_transaction = 500;

constexpr std::chrono::milliseconds lease_patience{250};
/// The next try of removals that could not be carried out by a backend that answers.
constexpr int polls_until_retry = 5;

/// Waits for one completion. Only the reconciler's own thread and start-up may block so.
template <typename R, typename Call>
R wait_for(Call call) {
  std::promise<R> promise;
  auto future = promise.get_future();
  call([&promise](R result) { promise.set_value(std::move(result)); });
  return future.get();
}

class ThreadedReconciler final : public Reconciler {
 public:
  ThreadedReconciler(storage::Storage& storage, Controller& controller, Leases& leases,
                     const WallClock& clock, ReconcilerOptions options)
      : storage_(storage),
        controller_(controller),
        leases_(leases),
        clock_(clock),
        options_(std::move(options)),
        metering_(options_.interval) {
    controller_.set_foreign_peers({});  // nothing is known of them yet
    compare();
    controller_.on_recovery([this] { trigger(); });
    thread_ = std::thread([this] { loop(); });
  }
  ~ThreadedReconciler() override { shut_down(); }

  Pass compare() override { return pass(true); }
  Pass poll() override { return pass(false); }

  void trigger() override {
    {
      const std::lock_guard lock(mutex_);
      triggered_ = true;
    }
    wake_.notify_all();
  }

  [[nodiscard]] Comparison last() const override {
    const std::lock_guard lock(mutex_);
    return last_;
  }

  [[nodiscard]] std::chrono::milliseconds next_poll() const override {
    const std::lock_guard lock(mutex_);
    return next_poll_;
  }

  void shut_down() override {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      stopping_ = true;
    }
    controller_.on_recovery(nullptr);
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  using Clock = std::chrono::steady_clock;

  void loop() {
    auto next_comparison = Clock::now() + options_.interval.longest;
    std::unique_lock lock(mutex_);
    while (true) {
      const auto due = std::min(next_comparison, Clock::now() + next_poll_);
      wake_.wait_until(lock, due, [this] { return stopping_ || triggered_; });
      if (stopping_) return;
      const bool full = std::exchange(triggered_, false) || Clock::now() >= next_comparison;
      lock.unlock();
      pass(full);
      if (full) next_comparison = Clock::now() + options_.interval.longest;
      lock.lock();
    }
  }

  // What has been used is debited before anything is removed or added, from one reading that the
  // comparison shares.
  Pass pass(bool full) {
    const std::lock_guard one_at_a_time(passing_);
    Pass pass{.full = full, .comparison = {}, .metered = {}};
    const auto rows = list_rows();  // before the device: see Metering::read
    const auto present = list_present();
    meter(rows, present, pass.metered);
    carry_out_removals(pass);
    if (full && rows && present) align_peers(*rows, *present, pass.comparison);
    keep(pass);
    if (options_.after_each) options_.after_each(pass);
    return pass;
  }

  void keep(const Pass& pass) {
    const std::lock_guard lock(mutex_);
    if (pass.full) last_ = pass.comparison;
    last_.pending_removals = pass.comparison.pending_removals;
    // Whoever cannot be read is not asked more often: recovery triggers a pass.
    const auto& interval = options_.interval;
    const bool readable = pass.metered.result == Metered::Result::success;
    next_poll_ = readable ? metering_.next_poll() : interval.longest;
    if (readable && pass.comparison.pending_removals > 0) {
      next_poll_ = std::min(next_poll_, interval.shortest * polls_until_retry);
    }
  }

  void meter(const std::optional<Rows>& rows, const std::optional<Present>& present,
             Metered& metered) {
    using Result = Metered::Result;
    if (!rows || !present) {
      metered.result = rows ? Result::wireguard_failed : Result::storage_failed;
      return;
    }
    auto readings = metering_.read(*rows, *present, options_.now());
    metered.resets = readings.resets;
    if (!record(std::move(readings.usage), metered)) metered.result = Result::storage_failed;
  }

  /// False where something could not be recorded: it will be with a later reading.
  bool record(std::vector<storage::PeerUsage> usage, Metered& metered) {
    for (std::size_t begin = 0; begin < usage.size(); begin += debits_in_transaction) {
      const auto size = std::min(debits_in_transaction, usage.size() - begin);
      const auto first = usage.begin() + static_cast<std::ptrdiff_t>(begin);
      std::vector<storage::PeerUsage> part(first, first + static_cast<std::ptrdiff_t>(size));
      const auto outcome = wait_for<storage::StorageResult<storage::UsageOutcome>>([&](auto done) {
        storage_.record_usage(std::move(part), clock_.now(), std::move(done));
      });
      if (!outcome) return false;
      metered.bytes += outcome->bytes;
      metered.spent += outcome->spent;
    }
    return true;
  }

  // Every list is read twice: once to see which keys matter, and once more when these are leased,
  // for what was true before the lease may have been undone since.

  void carry_out_removals(Pass& pass) {
    const auto noted = list_removals();
    if (!noted) {
      pass.comparison.pending_removals = last().pending_removals;
      return;
    }
    pass.comparison.pending_removals = noted->size();
    if (noted->empty()) return;
    const auto leased = lease_in_turn(*noted);
    const auto still_noted = list_removals();
    if (!still_noted) return;
    std::vector<Key> keys;
    for (const auto& key : *still_noted) {
      if (leased.contains(key)) keys.push_back(key);
    }
    if (!read_for_the_last_time(keys, pass.metered)) return;
    std::vector<Key> removed;
    for (const auto& key : keys) {
      if (remove_peer(key)) removed.push_back(key);
    }
    pass.comparison.removed += removed.size();
    pass.comparison.pending_removals = still_noted->size();
    if (!removed.empty() && confirm(removed)) pass.comparison.pending_removals -= removed.size();
  }

  /// With a peer its counters go: what it has used since the last poll is debited before.
  bool read_for_the_last_time(const std::vector<Key>& keys, Metered& metered) {
    const std::set<Key> leaving(keys.begin(), keys.end());
    auto rows = list_rows();
    if (!rows) return false;
    std::erase_if(*rows, [&](const auto& row) { return !leaving.contains(row.public_key); });
    if (rows->empty()) return true;
    const auto present = list_present();
    if (!present) return false;
    std::vector<storage::PeerUsage> usage;
    for (const auto& row : *rows) {
      const auto found = present->find(row.public_key);
      if (found == present->end()) continue;
      if (const auto entry = usage_of(row, found->second)) usage.push_back(*entry);
    }
    return record(std::move(usage), metered);
  }

  void align_peers(const Rows& rows, const Present& present, Comparison& comparison) {
    std::vector<Key> different;
    std::set<Key> known;
    for (const auto& row : rows) {
      known.insert(row.public_key);
      if (row.belongs_into_wireguard() && !is_aligned(row, present)) {
        different.push_back(row.public_key);
      }
    }
    for (const auto& [key, state] : present) {
      // A foreign one may have a row for as long as its registration is being refused.
      if (!known.contains(key) || foreign_.contains(key)) different.push_back(key);
    }
    const bool equal = different.empty() && foreign_.empty();
    comparison.completed = equal || align(different, comparison);
  }

  bool align(const std::vector<Key>& different, Comparison& comparison) {
    const auto leased = lease(different);
    const auto rows = list_rows();
    const auto noted = list_removals();
    const auto present = list_present();
    if (!rows || !noted || !present) return false;

    std::set<Key> known(noted->begin(), noted->end());
    std::vector<const storage::Peer*> wanted;
    std::vector<storage::PeerUsage> absent;
    for (const auto& row : *rows) {
      known.insert(row.public_key);
      if (!leased.contains(row.public_key) || !row.belongs_into_wireguard()) continue;
      if (is_aligned(row, *present)) continue;
      wanted.push_back(&row);
      const bool counted = row.counters != storage::TransferCounters{};
      if (counted && !present->contains(row.public_key)) absent.push_back(counters_at_zero(row));
    }
    // A device that has lost a peer counts it from zero. Should this fail, the smaller counter will
    // tell.
    Metered ignored;
    (void)record(std::move(absent), ignored);
    for (const auto* row : wanted) {
      if (add_peer({.public_key = row->public_key,
                    .addresses = row->addresses,
                    .client_id = row->client_id})) {
        ++comparison.added;
      }
    }
    std::set<Key> unknown;
    for (const auto& [key, state] : *present) {
      const bool is_unknown = leased.contains(key) ? !known.contains(key) : foreign_.contains(key);
      if (is_unknown) unknown.insert(key);
    }
    take_unknown(std::move(unknown), comparison);
    return true;
  }

  void take_unknown(std::set<Key> unknown, Comparison& comparison) {
    if (options_.own_interface) {
      for (const auto& key : unknown) {
        if (remove_peer(key)) ++comparison.removed;
      }
      return;
    }
    comparison.unknown = unknown.size();
    foreign_ = unknown;
    controller_.set_foreign_peers(std::move(unknown));
  }

  static bool is_aligned(const storage::Peer& row, const Present& present) {
    const auto found = present.find(row.public_key);
    return found != present.end() && found->second.settings_match &&
           found->second.addresses == row.addresses;
  }

  std::map<Key, Lease> lease(const std::vector<Key>& keys) {
    std::map<Key, Lease> leased;
    for (const auto& key : keys) {
      auto lease = leases_.try_acquire({.kind = LeaseKey::Kind::wireguard_key, .key = key.bytes});
      if (lease) leased.emplace(key, std::move(*lease));
    }
    return leased;
  }

  /// As `lease`, but waits in line for a while for those that are held: whoever registers without
  /// pause must not keep a peer in WireGuard.
  std::map<Key, Lease> lease_in_turn(const std::vector<Key>& keys) {
    struct Waiting {
      std::mutex mutex;
      std::condition_variable granted;
      std::map<Key, Lease> leased;
      bool over = false;
    };
    const auto waiting = std::make_shared<Waiting>();
    for (const auto& key : keys) {
      leases_.acquire({.kind = LeaseKey::Kind::wireguard_key, .key = key.bytes},
                      [waiting, key](Lease lease) {
                        const std::lock_guard lock(waiting->mutex);
                        if (waiting->over) return;  // gives it up again
                        waiting->leased.emplace(key, std::move(lease));
                        waiting->granted.notify_one();
                      });
    }
    std::unique_lock lock(waiting->mutex);
    waiting->granted.wait_for(lock, lease_patience,
                              [&] { return waiting->leased.size() == keys.size(); });
    waiting->over = true;
    return std::move(waiting->leased);
  }

  std::optional<std::vector<Key>> list_removals() {
    auto keys = wait_for<storage::StorageResult<std::vector<Key>>>(
        [this](auto done) { storage_.list_removals(std::move(done)); });
    if (!keys) return std::nullopt;
    return std::move(*keys);
  }

  std::optional<Rows> list_rows() {
    auto peers = wait_for<storage::StorageResult<Rows>>(
        [this](auto done) { storage_.list_peers({}, std::move(done)); });
    if (!peers) return std::nullopt;
    return std::move(*peers);
  }

  std::optional<Present> list_present() {
    auto peers = wait_for<WireguardResult<std::vector<PeerState>>>(
        [this](auto done) { controller_.list_peers(std::move(done)); });
    if (!peers) return std::nullopt;
    Present by_key;
    for (const auto& peer : *peers)
      by_key.emplace(peer.public_key, peer);
    return by_key;
  }

  bool confirm(const std::vector<Key>& removed) {
    return wait_for<storage::StorageResult<std::monostate>>(
               [&](auto done) { storage_.confirm_removals(removed, std::move(done)); })
        .has_value();
  }
  bool add_peer(const PeerConfig& peer) {
    return wait_for<WireguardResult<std::monostate>>(
               [&](auto done) { controller_.add_peer(peer, std::move(done)); })
        .has_value();
  }
  bool remove_peer(const Key& key) {
    return wait_for<WireguardResult<std::monostate>>(
               [&](auto done) { controller_.remove_peer(key, std::move(done)); })
        .has_value();
  }

  storage::Storage& storage_;
  Controller& controller_;
  Leases& leases_;
  const WallClock& clock_;
  const ReconcilerOptions options_;

  std::mutex passing_;
  Metering metering_;      // under passing_
  std::set<Key> foreign_;  // under passing_

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Comparison last_;
  std::chrono::milliseconds next_poll_{0};
  bool triggered_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Reconciler> start_reconciler(storage::Storage& storage, Controller& controller,
                                             Leases& leases, const WallClock& clock,
                                             ReconcilerOptions options) {
  return std::make_unique<ThreadedReconciler>(storage, controller, leases, clock,
                                              std::move(options));
}

}  // namespace lp::gateway::wireguard
