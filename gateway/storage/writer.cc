#include "gateway/storage/writer.h"

#include <pthread.h>

#include <chrono>
#include <exception>
#include <type_traits>

namespace lp::gateway::storage {
namespace {

/// How often an idle writer tries whether writing works again, after it did not.
constexpr std::chrono::milliseconds probe_interval{2'000};

/// How many transactions may fail on the way to the jobs that make a batch fail. Beyond that it is
/// not about single jobs.
constexpr int most_retries = 64;

bool is_session(const WriteJob& job) noexcept {
  return std::holds_alternative<SessionJob>(job);
}

/// An error that another batch without the guilty job may not meet.
bool may_be_one_job(const StorageError& error) noexcept {
  return error.kind == StorageError::Kind::invalid || error.kind == StorageError::Kind::corrupt;
}

template <typename ResultType>
StorageStatus keep(std::optional<StorageResult<ResultType>>& slot,
                   StorageResult<ResultType> result) {
  if (!result) return std::unexpected(std::move(result.error()));
  slot = std::move(result);
  return {};
}

StorageStatus execute_one(Ledger& ledger, AcceptJob& job) {
  return keep(job.result, ledger.accept(job.request));
}

StorageStatus execute_one(Ledger& ledger, CompensateJob& job) {
  const auto& request = job.request;
  return keep(job.result, ledger.compensate(request.owner, request.nullifier, request.now));
}

StorageStatus execute_one(Ledger& ledger, ConfirmJob& job) {
  auto done = ledger.confirm_removals(job.request);
  if (done) job.result = std::monostate{};
  return done;
}

StorageStatus execute_one(Ledger& ledger, UsageJob& job) {
  return keep(job.result, ledger.record_usage(job.request.usage, job.request.now));
}

StorageStatus execute_one(Ledger& ledger, RemovePeerJob& job) {
  return keep(job.result, ledger.remove_peer(job.request));
}

StorageStatus execute_one(Ledger& ledger, SessionJob& job) {
  auto done = ledger.record_session(job.request);
  // A record that does not fit is dropped; it must not take a registration along.
  if (!done && done.error().kind != StorageError::Kind::invalid) return done;
  job.result = std::monostate{};
  return {};
}

void answer(std::span<WriteJob> jobs) {
  for (auto& job : jobs) {
    std::visit([](auto& each) { each.complete(std::move(*each.result)); }, job);
  }
}

void refuse(std::span<WriteJob> jobs, const StorageError& error) {
  for (auto& job : jobs) {
    std::visit([&](auto& each) { each.complete(std::unexpected(error)); }, job);
  }
}

}  // namespace

Writer::Writer(Ledger ledger, bool commit_each)
    : ledger_(std::move(ledger)),
      commit_each_(commit_each),
      statements_(ledger_.statements_run()),
      thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "lp-db-writer");
}

void Writer::shut_down() {
  const std::lock_guard lock(shut_down_mutex_);
  if (!thread_.joinable()) return;
  queue_.close();
  ledger_.hurry();
  thread_.join();
}

void Writer::run() {
  while (true) {
    const bool healthy = healthy_.load(std::memory_order_relaxed);
    const auto waiting = queue_.wait(healthy ? std::chrono::milliseconds(0) : probe_interval);
    if (waiting > 0) {
      run_waiting(waiting);
    } else if (queue_.is_finished()) {
      break;
    } else {
      probe();
    }
  }
  ledger_.close();
}

void Writer::run_waiting(std::size_t waiting) {
  int retries_left = most_retries;
  if (commit_each_) {
    queue_.take(batch_);
    for (auto& job : batch_)
      run_transaction(ledger_.begin(), Jobs(&job, 1), retries_left);
  } else {
    // Jobs that arrive while the write lock is waited for join the batch. If it cannot be had, only
    // those are refused that have waited all the time.
    auto begun = ledger_.begin();
    queue_.take(batch_, begun ? SIZE_MAX : waiting);
    run_transaction(std::move(begun), batch_, retries_left);
  }
  batch_.clear();
}

// A batch that fails is rolled back as a whole, divided, and each half tried again, so that one bad
// job costs the others a few commits and not their outcome. A single one is tried once more, too:
// the pool has been loaded anew by then, and what another process took from it is known. Errors
// that are not about a job, such as a full disk, are everybody's at once.
void Writer::run_transaction(StorageStatus begun, Jobs jobs, int& retries_left) {
  Counts counts;
  auto status = std::move(begun);
  if (status) status = execute(jobs, counts);
  if (status) status = ledger_.commit();
  if (status) {
    committed(counts);
    answer(jobs);
    return;
  }
  ledger_.roll_back();
  not_committed(status.error());
  if (!may_be_one_job(status.error()) || retries_left <= 0) {
    refuse(jobs, status.error());
    return;
  }
  --retries_left;
  if (jobs.size() == 1) {
    int none_left = 0;
    run_transaction(ledger_.begin(), jobs, none_left);
    return;
  }
  const auto half = jobs.size() / 2;
  run_transaction(ledger_.begin(), jobs.first(half), retries_left);
  run_transaction(ledger_.begin(), jobs.subspan(half), retries_left);
}

// Sessions come last: if one of them breaks the transaction, it breaks it for all.
StorageStatus Writer::execute(Jobs jobs, Counts& counts) try {
  StorageStatus status;
  for (const bool sessions : {false, true}) {
    for (auto& job : jobs) {
      if (is_session(job) != sessions) continue;
      const auto statements_before = ledger_.statements_run();
      status = std::visit([this](auto& each) { return execute_one(ledger_, each); }, job);
      if (!status) return status;
      const auto* accept = std::get_if<AcceptJob>(&job);
      if (accept == nullptr || (*accept->result)->outcome != AcceptanceOutcome::accepted) continue;
      ++counts.registrations;
      counts.registration_statements += ledger_.statements_run() - statements_before;
    }
  }
  return status;
} catch (const std::exception& exception) {  // out of memory
  return storage_fail(StorageError::Kind::unavailable, exception.what());
}

void Writer::probe() {
  if (auto status = ledger_.probe(); status) {
    committed({});
  } else {
    not_committed(status.error());
  }
}

void Writer::committed(const Counts& counts) {
  transactions_.fetch_add(1, std::memory_order_relaxed);
  registrations_.fetch_add(counts.registrations, std::memory_order_relaxed);
  registration_statements_.fetch_add(counts.registration_statements, std::memory_order_relaxed);
  statements_.store(ledger_.statements_run(), std::memory_order_relaxed);
  if (healthy_.load(std::memory_order_relaxed)) return;
  const std::lock_guard lock(reason_mutex_);
  unhealthy_reason_.clear();
  healthy_.store(true, std::memory_order_relaxed);
}

void Writer::not_committed(const StorageError& error) {
  failed_transactions_.fetch_add(1, std::memory_order_relaxed);
  statements_.store(ledger_.statements_run(), std::memory_order_relaxed);
  if (error.kind == StorageError::Kind::invalid) return;  // says nothing about the database
  const std::lock_guard lock(reason_mutex_);
  unhealthy_reason_ = error.detail;
  healthy_.store(false, std::memory_order_relaxed);
}

StorageStats Writer::stats() const {
  StorageStats stats{
      .transactions = transactions_.load(std::memory_order_relaxed),
      .failed_transactions = failed_transactions_.load(std::memory_order_relaxed),
      .statements = statements_.load(std::memory_order_relaxed),
      .registrations = registrations_.load(std::memory_order_relaxed),
      .registration_statements = registration_statements_.load(std::memory_order_relaxed),
      .queue_length = queue_.size(),
      .healthy = healthy_.load(std::memory_order_relaxed)};
  if (stats.healthy) return stats;
  const std::lock_guard lock(reason_mutex_);
  stats.unhealthy_reason = unhealthy_reason_;
  return stats;
}

}  // namespace lp::gateway::storage
