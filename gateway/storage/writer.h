// The writer: one thread that carries out all changes. What waits at one moment becomes one durable
// transaction (docs/storage.md, "Group commit").
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/storage/job_queue.h"
#include "gateway/storage/jobs.h"
#include "gateway/storage/ledger.h"
#include "gateway/storage/storage.h"

namespace lp::gateway::storage {

class Writer {
 public:
  /// Starts the thread.
  Writer(std::unique_ptr<Ledger> ledger, bool commit_each);
  ~Writer() { shut_down(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  [[nodiscard]] JobQueue<WriteJob>& queue() noexcept { return queue_; }
  [[nodiscard]] StorageStats stats() const;
  /// Finishes what waits and closes the ledger.
  void shut_down();

 private:
  using Jobs = std::span<WriteJob>;
  using Counts = Ledger::Counts;

  void run();
  void run_waiting(std::size_t waiting);
  void run_transaction(StorageStatus begun, Jobs jobs, int& retries_left);
  StorageStatus execute(Jobs jobs, Counts& counts);
  bool attempt(StorageStatus begun, Jobs jobs, StorageError& error, bool& repeatable);
  void look_after(bool healthy);
  void committed(const Counts& counts);
  void not_committed(const StorageError& error, bool repeatable = false);

  std::unique_ptr<Ledger> ledger_;
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
