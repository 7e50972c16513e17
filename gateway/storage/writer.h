// The writer: one thread that carries out all changes. What waits at one moment becomes one durable
// transaction (docs/storage.md, "Group commit").
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "gateway/storage/job_queue.h"
#include "gateway/storage/ledger.h"
#include "gateway/storage/storage.h"

namespace lp::gateway::storage {

struct CompensationRequest {
  Owner owner;
  messages::Nullifier nullifier{};
  UnixSeconds now = 0;
};

struct UsageRequest {
  std::vector<PeerUsage> usage;
  UnixSeconds now = 0;
};

using AcceptJob = Job<Acceptance, AcceptanceResult>;
using CompensateJob = Job<CompensationRequest, Storage::Compensated>;
using ConfirmJob = Job<std::vector<crypto::X25519Public>, std::monostate>;
using UsageJob = Job<UsageRequest, UsageOutcome>;
using RemovePeerJob = Job<crypto::X25519Public, RemovedPeer>;
using SessionJob = Job<SessionRecord, std::monostate>;
using WriteJob =
    std::variant<AcceptJob, CompensateJob, ConfirmJob, UsageJob, RemovePeerJob, SessionJob>;

class Writer {
 public:
  /// Starts the thread.
  Writer(Ledger ledger, bool commit_each);
  ~Writer() { shut_down(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  [[nodiscard]] JobQueue<WriteJob>& queue() noexcept { return queue_; }
  [[nodiscard]] StorageStats stats() const;
  /// Finishes what waits, moves the log into the database file, closes it.
  void shut_down();

 private:
  using Jobs = std::span<WriteJob>;
  /// What a transaction adds to the statistics once it is committed.
  struct Counts {
    std::uint64_t registrations = 0;
    std::uint64_t registration_statements = 0;
  };

  void run();
  void run_waiting(std::size_t waiting);
  void run_transaction(StorageStatus begun, Jobs jobs, int& retries_left);
  StorageStatus execute(Jobs jobs, Counts& counts);
  void probe();
  void committed(const Counts& counts);
  void not_committed(const StorageError& error);

  Ledger ledger_;
  const bool commit_each_;
  JobQueue<WriteJob> queue_;
  std::vector<WriteJob> batch_;

  std::atomic<std::uint64_t> transactions_ = 0;
  std::atomic<std::uint64_t> failed_transactions_ = 0;
  std::atomic<std::uint64_t> statements_ = 0;
  std::atomic<std::uint64_t> registrations_ = 0;
  std::atomic<std::uint64_t> registration_statements_ = 0;
  std::atomic<bool> healthy_ = true;
  mutable std::mutex reason_mutex_;
  std::string unhealthy_reason_;

  std::mutex shut_down_mutex_;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace lp::gateway::storage
