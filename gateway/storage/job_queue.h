// The bounded queue in front of a storage thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

namespace lp::gateway::storage {

/// Any number of threads push, one takes.
template <typename Job>
class JobQueue {
 public:
  enum class Push : std::uint8_t { queued, full, closed };

  /// Moves from `job` only where it is queued. `limit`: how many may wait.
  [[nodiscard]] Push push(Job& job, std::size_t limit) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return Push::closed;
      if (jobs_.size() >= limit) return Push::full;
      jobs_.push_back(std::move(job));
      if (jobs_.size() > 1) return Push::queued;  // the taker is awake or about to be
    }
    filled_.notify_one();
    return Push::queued;
  }

  /// Waits until jobs wait, at most `patience` if that is positive. How many there are: 0 where the
  /// patience is over or the queue is closed and empty.
  [[nodiscard]] std::size_t wait(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    const auto ready = [this] { return !jobs_.empty() || closed_; };
    if (patience.count() > 0) {
      filled_.wait_for(lock, patience, ready);
    } else {
      filled_.wait(lock, ready);
    }
    return jobs_.size();
  }

  /// Moves the first `count` jobs, or all, into `jobs`, which is empty.
  void take(std::vector<Job>& jobs, std::size_t count = SIZE_MAX) {
    const std::lock_guard lock(mutex_);
    if (count >= jobs_.size()) {
      jobs.swap(jobs_);
      return;
    }
    const auto end = jobs_.begin() + static_cast<std::ptrdiff_t>(count);
    jobs.assign(std::make_move_iterator(jobs_.begin()), std::make_move_iterator(end));
    jobs_.erase(jobs_.begin(), end);
  }

  /// From now on nothing is taken on; what waits still is to be taken.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    filled_.notify_one();
  }

  /// Closed and empty.
  [[nodiscard]] bool is_finished() const {
    const std::lock_guard lock(mutex_);
    return closed_ && jobs_.empty();
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return jobs_.size();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::vector<Job> jobs_;
  bool closed_ = false;
};

}  // namespace lp::gateway::storage
