#include "gateway/ecash/verification_queue.h"

#include <pthread.h>

#include <utility>

#include "lib/ecash/verification_key.h"

namespace lp::gateway::ecash {

void answer(std::unique_ptr<VerificationJob> job, Verdict verdict) {
  auto done = std::move(job->done);
  job.reset();
  done(verdict);
}

VerificationQueue::VerificationQueue(unsigned threads, std::size_t max_batch,
                                     metrics::Metrics& metrics)
    : max_batch_(max_batch), metrics_(metrics) {
  for (unsigned i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { run(); });
    ::pthread_setname_np(threads_.back().native_handle(), "lp-ecash");
  }
}

VerificationQueue::~VerificationQueue() {
  shut_down();
}

void VerificationQueue::push(std::unique_ptr<VerificationJob> job) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      jobs_.push_back(std::move(job));
      changed_.notify_one();
      return;
    }
  }
  answer(std::move(job), Verdict::not_checked);
}

std::size_t VerificationQueue::length() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size();
}

void VerificationQueue::shut_down() {
  std::deque<std::unique_ptr<VerificationJob>> left;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    left.swap(jobs_);
    changed_.notify_all();
  }
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  for (auto& job : left)
    answer(std::move(job), Verdict::not_checked);
}

void VerificationQueue::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    auto batch = take_batch();
    lock.unlock();
    verify(std::move(batch));
    lock.lock();
  }
}

VerificationQueue::Batch VerificationQueue::take_batch() {
  Batch batch;
  const auto key = jobs_.front()->key;
  std::deque<std::unique_ptr<VerificationJob>> others;
  for (auto& job : jobs_) {
    const bool same = job->key == key || *job->key == *key;  // a refresh makes new pointers
    if (same && batch.size() < max_batch_) {
      batch.push_back(std::move(job));
    } else {
      others.push_back(std::move(job));
    }
  }
  jobs_.swap(others);
  return batch;
}

void VerificationQueue::verify(Batch batch) {
  const auto key = prepared_.get(batch.front()->key->public_key);
  if (batch.size() == 1) {
    auto& job = batch.front();
    const bool good = key->verify(job->message, job->signature).has_value();
    metrics_.batch_verified(1, false);
    return answer(std::move(job), good ? Verdict::good : Verdict::bad);
  }
  std::vector<lp::ecash::UnverifiedTicket> tickets;
  tickets.reserve(batch.size());
  for (const auto& job : batch)
    tickets.push_back({.message = job->message, .signature = job->signature});
  const auto verdict = key->verify_batch(tickets);
  metrics_.batch_verified(batch.size(), verdict.checked_one_by_one);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const bool good = verdict.tickets[i].has_value();
    answer(std::move(batch[i]), good ? Verdict::good : Verdict::bad);
  }
}

}  // namespace lp::gateway::ecash
