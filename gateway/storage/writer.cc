#include "gateway/storage/writer.h"

#include <pthread.h>

#include <chrono>
#include <exception>
#include <type_traits>
#include <utility>
#include <variant>

namespace lp::gateway::storage {
namespace {

/// How often an idle writer tries whether writing works again, after it did not.
constexpr std::chrono::milliseconds probe_interval{2'000};

/// How many transactions may fail on the way to the jobs that make a batch fail. Beyond that it is
/// not about single jobs.
constexpr int most_retries = 64;

/// How often a transaction is run again that met another one, or lost its connection.
constexpr int most_repeats = 10;

/// An error that another batch without the guilty job may not meet.
bool may_be_one_job(const StorageError& error) noexcept {
  return error.kind == StorageError::Kind::invalid || error.kind == StorageError::Kind::corrupt;
}

// What was said in a transaction of which it is not known whether it was committed, and what the
// repetition says. Where it was, the repetition finds the work done: it was done by this call.
void settle(AcceptanceResult& result, const AcceptanceResult& in_doubt) {
  if (in_doubt.outcome != AcceptanceOutcome::accepted) return;
  if (result.outcome != AcceptanceOutcome::replayed || result.client_id == 0) return;
  result.outcome = AcceptanceOutcome::accepted;
  result.client_existed = in_doubt.client_existed;
}
void settle(Storage::Compensated& result, const Storage::Compensated& in_doubt) {
  result.removal_noted |= in_doubt.removal_noted;
}
void settle(UsageOutcome& result, const UsageOutcome& in_doubt) {
  if (result.peers == 0) result = in_doubt;
}
void settle(RemovedPeer& result, const RemovedPeer& in_doubt) {
  result.existed |= in_doubt.existed;
  result.removal_noted |= in_doubt.removal_noted;
}
void settle(std::monostate, std::monostate) {}

template <typename JobType>
StorageStatus keep(JobType& job, StorageResult<typename JobType::Result> result) {
  if (!result) return std::unexpected(std::move(result.error()));
  job.result = std::move(result);
  return {};
}

StorageStatus execute_one(Ledger& ledger, CompensateJob& job) {
  return keep(job, ledger.compensate(job.request));
}

StorageStatus execute_one(Ledger& ledger, ConfirmJob& job) {
  auto done = ledger.confirm_removals(job.request);
  if (done) job.result = std::monostate{};
  return done;
}

StorageStatus execute_one(Ledger& ledger, UsageJob& job) {
  return keep(job, ledger.record_usage(job.request));
}

StorageStatus execute_one(Ledger& ledger, RemovePeerJob& job) {
  return keep(job, ledger.remove_peer(job.request));
}

/// Acceptances and session records go to the ledger many at a time, as they follow each other.
template <typename JobType>
StorageStatus execute_many(Ledger& ledger, std::vector<JobType*>& jobs, Ledger::Counts& counts) {
  if (jobs.empty()) return {};
  StorageStatus status;
  if constexpr (std::is_same_v<JobType, AcceptJob>) {
    status = ledger.accept(jobs, counts);
  } else {
    status = ledger.record_sessions(jobs);
  }
  jobs.clear();
  return status;
}

void forget_results(std::span<WriteJob> jobs) {
  for (auto& job : jobs)
    std::visit([](auto& each) { each.result.reset(); }, job);
}

/// The results of a transaction in doubt are kept until it was run again.
void keep_in_doubt(std::span<WriteJob> jobs) {
  for (auto& job : jobs) {
    std::visit(
        [](auto& each) {
          if (each.result && *each.result) each.in_doubt = **each.result;
        },
        job);
  }
}

void answer(std::span<WriteJob> jobs) {
  for (auto& job : jobs) {
    std::visit(
        [](auto& each) {
          auto& result = *each.result;
          if (each.in_doubt && result) settle(*result, *each.in_doubt);
          each.complete(std::move(result));
        },
        job);
  }
}

void refuse(std::span<WriteJob> jobs, const StorageError& error) {
  for (auto& job : jobs) {
    std::visit([&](auto& each) { each.complete(std::unexpected(error)); }, job);
  }
}

}  // namespace

Writer::Writer(std::unique_ptr<Ledger> ledger, bool commit_each)
    : ledger_(std::move(ledger)),
      commit_each_(commit_each),
      statements_(ledger_->statements_run()),
      thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "lp-db-writer");
}

void Writer::shut_down() {
  const std::lock_guard lock(shut_down_mutex_);
  if (!thread_.joinable()) return;
  queue_.close();
  ledger_->hurry();
  thread_.join();
}

void Writer::run() {
  while (true) {
    const bool healthy = healthy_.load(std::memory_order_relaxed);
    const auto waiting = queue_.wait(healthy ? ledger_->look_interval() : probe_interval);
    if (waiting > 0) {
      run_waiting(waiting);
    } else if (queue_.is_finished()) {
      break;
    } else {
      look_after(healthy);
    }
  }
  ledger_->close();
}

void Writer::run_waiting(std::size_t waiting) {
  int retries_left = most_retries;
  if (commit_each_) {
    queue_.take(batch_);
    for (auto& job : batch_)
      run_transaction(ledger_->begin(), Jobs(&job, 1), retries_left);
  } else {
    // Jobs that arrive while the write lock is waited for join the batch. If it cannot be had, only
    // those are refused that have waited all the time.
    auto begun = ledger_->begin();
    queue_.take(batch_, begun ? ledger_->largest_batch() : waiting);
    run_transaction(std::move(begun), batch_, retries_left);
  }
  batch_.clear();
}

// A batch that fails is rolled back as a whole, divided, and each half tried again, so that one bad
// job costs the others a few commits and not their outcome. A single one is tried once more, too:
// the pool has been loaded anew by then, and what another process took from it is known. Errors
// that are not about a job, such as a full disk, are everybody's at once.
void Writer::run_transaction(StorageStatus begun, Jobs jobs, int& retries_left) {
  StorageError error;
  for (int repeats_left = most_repeats;; --repeats_left) {
    bool repeatable = false;
    if (attempt(std::move(begun), jobs, error, repeatable)) return;
    if (!repeatable || repeats_left == 0) break;
    begun = ledger_->begin();
  }
  if (!may_be_one_job(error) || retries_left <= 0) {
    refuse(jobs, error);
    return;
  }
  --retries_left;
  if (jobs.size() == 1) {
    int none_left = 0;
    run_transaction(ledger_->begin(), jobs, none_left);
    return;
  }
  const auto half = jobs.size() / 2;
  run_transaction(ledger_->begin(), jobs.first(half), retries_left);
  run_transaction(ledger_->begin(), jobs.subspan(half), retries_left);
}

/// True where the transaction was committed and the jobs are answered.
bool Writer::attempt(StorageStatus begun, Jobs jobs, StorageError& error, bool& repeatable) {
  Counts counts;
  auto status = std::move(begun);
  if (status) {
    forget_results(jobs);
    status = execute(jobs, counts);
  }
  if (status) status = ledger_->commit();
  if (status) {
    committed(counts);
    answer(jobs);
    return true;
  }
  const auto rolled_back = ledger_->roll_back();
  if (rolled_back.in_doubt) keep_in_doubt(jobs);
  repeatable = rolled_back.repeatable;
  error = std::move(status.error());
  not_committed(error, repeatable);
  return false;
}

// Sessions come last: if one of them breaks the transaction, it breaks it for all.
StorageStatus Writer::execute(Jobs jobs, Counts& counts) try {
  std::vector<AcceptJob*> acceptances;
  std::vector<SessionJob*> sessions;
  for (auto& job : jobs) {
    StorageStatus status;
    if (auto* accept = std::get_if<AcceptJob>(&job)) {
      acceptances.push_back(accept);
    } else if (auto* session = std::get_if<SessionJob>(&job)) {
      sessions.push_back(session);
    } else {
      status = execute_many(*ledger_, acceptances, counts);
      if (status) {
        status = std::visit(
            [this](auto& each) -> StorageStatus {
              using JobType = std::remove_cvref_t<decltype(each)>;
              if constexpr (std::is_same_v<JobType, AcceptJob> ||
                            std::is_same_v<JobType, SessionJob>) {
                return {};  // seen to above
              } else {
                return execute_one(*ledger_, each);
              }
            },
            job);
      }
    }
    if (!status) return status;
  }
  auto status = execute_many(*ledger_, acceptances, counts);
  if (status) status = execute_many(*ledger_, sessions, counts);
  return status;
} catch (const std::exception& exception) {  // out of memory
  return std::unexpected(StorageError{StorageError::Kind::unavailable, exception.what()});
}

/// Of an idle writer: whether the database is still there, or works again.
void Writer::look_after(bool healthy) {
  auto status = healthy ? ledger_->look() : ledger_->probe();
  if (!status) {
    not_committed(status.error());
  } else if (!healthy) {
    committed({});
  }
}

void Writer::committed(const Counts& counts) {
  transactions_.fetch_add(1, std::memory_order_relaxed);
  registrations_.fetch_add(counts.registrations, std::memory_order_relaxed);
  registration_statements_.fetch_add(counts.registration_statements, std::memory_order_relaxed);
  statements_.store(ledger_->statements_run(), std::memory_order_relaxed);
  if (healthy_.load(std::memory_order_relaxed)) return;
  const std::lock_guard lock(reason_mutex_);
  unhealthy_reason_.clear();
  healthy_.store(true, std::memory_order_relaxed);
}

void Writer::not_committed(const StorageError& error, bool repeatable) {
  failed_transactions_.fetch_add(1, std::memory_order_relaxed);
  statements_.store(ledger_->statements_run(), std::memory_order_relaxed);
  // Says nothing about the database: a call's own fault, or two transactions in each other's way.
  if (error.kind == StorageError::Kind::invalid) return;
  if (repeatable && error.kind == StorageError::Kind::busy) return;
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
