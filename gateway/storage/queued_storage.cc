#include "gateway/storage/queued_storage.h"

#include <fmt/core.h>

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/storage/error.h"
#include "gateway/storage/job_queue.h"
#include "gateway/storage/jobs.h"
#include "gateway/storage/reader.h"
#include "gateway/storage/writer.h"

namespace lp::gateway::storage {
namespace {

// How many calls may wait. A compensation undoes what was paid and is refused last, a session
// record is of no consequence and dropped first.
constexpr std::size_t acceptance_limit = 20'000;
constexpr std::size_t compensation_limit = 40'000;
constexpr std::size_t session_limit = 10'000;
constexpr std::size_t read_limit = 20'000;

constexpr bool fits(UnixSeconds time) noexcept {
  return time <= static_cast<UnixSeconds>(std::numeric_limits<std::int64_t>::max());
}

StorageError out_of_range(std::string_view what) {
  return {StorageError::Kind::invalid, fmt::format("{} does not fit into 63 bits", what)};
}

/// Queues `job`, or answers it at once.
template <typename Variant, typename JobType>
void submit(JobQueue<Variant>& queue, JobType job, std::size_t limit) {
  using Push = typename JobQueue<Variant>::Push;
  Variant queued(std::move(job));
  const auto pushed = queue.push(queued, limit);
  if (pushed == Push::queued) return;
  std::get<JobType>(queued).complete(
      pushed == Push::full
          ? storage_fail(StorageError::Kind::busy,
                         fmt::format("{} calls wait for the database already", limit))
          : storage_fail(StorageError::Kind::shutting_down, "the database is being closed"));
}

class QueuedStorage final : public Storage {
 public:
  QueuedStorage(std::unique_ptr<Ledger> ledger, bool commit_each, std::unique_ptr<Lookup> lookup,
                std::unique_ptr<Lookup> lists)
      : writer_(std::move(ledger), commit_each), reader_(std::move(lookup)) {
    if (lists) lister_.emplace(std::move(lists));
  }
  ~QueuedStorage() override { shut_down_all(); }

  void accept_ticket(Acceptance acceptance, Done<AcceptanceResult> done) override {
    AcceptJob job{acceptance, std::move(done)};
    const auto& request = job.request;
    if (request.amount < 0) return job.complete(std::unexpected(out_of_range("a negative amount")));
    if (!fits(request.expiry)) return job.complete(std::unexpected(out_of_range("the expiry")));
    if (!fits(request.now)) return job.complete(std::unexpected(out_of_range("the time")));
    submit(writer_.queue(), std::move(job), acceptance_limit);
  }

  void compensate(const Owner& owner, const messages::Nullifier& nullifier, UnixSeconds now,
                  Done<Compensated> done) override {
    CompensateJob job{{owner, nullifier, now}, std::move(done)};
    if (!fits(now)) return job.complete(std::unexpected(out_of_range("the time")));
    submit(writer_.queue(), std::move(job), compensation_limit);
  }

  void confirm_removals(std::vector<crypto::X25519Public> keys,
                        Done<std::monostate> done) override {
    submit(writer_.queue(), ConfirmJob{std::move(keys), std::move(done)}, acceptance_limit);
  }

  void record_usage(std::vector<PeerUsage> usage, UnixSeconds now,
                    Done<UsageOutcome> done) override {
    UsageJob job{{std::move(usage), now}, std::move(done)};
    if (!fits(now)) return job.complete(std::unexpected(out_of_range("the time")));
    for (const auto& entry : job.request.usage) {
      if (entry.bytes < 0 || entry.after.rx < 0 || entry.after.tx < 0) {
        return job.complete(std::unexpected(out_of_range("a number of bytes")));
      }
      if (!fits(entry.last_seen.value_or(0))) {
        return job.complete(std::unexpected(out_of_range("the time of a handshake")));
      }
    }
    submit(writer_.queue(), std::move(job), acceptance_limit);
  }

  void remove_peer(const crypto::X25519Public& key, Done<RemovedPeer> done) override {
    submit(writer_.queue(), RemovePeerJob{key, std::move(done)}, acceptance_limit);
  }

  void record_session(SessionRecord record) override {
    if (!fits(record.started_at) || !fits(record.completed_at.value_or(0))) return;
    submit(writer_.queue(), SessionJob{std::move(record), nullptr}, session_limit);
  }

  void find_spent(const messages::Nullifier& nullifier,
                  Done<std::optional<SpentTicket>> done) override {
    submit(reader_.queue(), FindJob{nullifier, std::move(done)}, read_limit);
  }

  void list_peers(PeerPage page, Done<std::vector<Peer>> done) override {
    submit(lists().queue(), ListPeersJob{page, std::move(done)}, read_limit);
  }

  void find_peer(const crypto::X25519Public& key, Done<std::optional<Peer>> done) override {
    submit(reader_.queue(), FindPeerJob{key, std::move(done)}, read_limit);
  }

  void list_removals(Done<std::vector<crypto::X25519Public>> done) override {
    submit(lists().queue(), ListRemovalsJob{{}, std::move(done)}, read_limit);
  }

  StorageStats stats() const override { return writer_.stats(); }

  void shut_down() override { shut_down_all(); }

 private:
  Reader& lists() { return lister_ ? *lister_ : reader_; }

  // The readers first, so that SQLite's last checkpoint meets nobody who reads the log.
  void shut_down_all() {
    reader_.shut_down();
    if (lister_) lister_->shut_down();
    writer_.shut_down();
  }

  Writer writer_;
  Reader reader_;
  std::optional<Reader> lister_;
};

}  // namespace

std::unique_ptr<Storage> make_queued_storage(std::unique_ptr<Ledger> ledger, bool commit_each,
                                             std::unique_ptr<Lookup> lookup,
                                             std::unique_ptr<Lookup> lists) {
  return std::make_unique<QueuedStorage>(std::move(ledger), commit_each, std::move(lookup),
                                         std::move(lists));
}

}  // namespace lp::gateway::storage
