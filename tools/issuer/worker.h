// One thread with a bounded queue: the database and the curve stay off the HTTP thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace lp::issuer {

class Worker {
 public:
  /// A job must not throw.
  using Job = std::move_only_function<void()>;

  /// `name` is the thread's, up to 15 characters.
  Worker(const char* name, std::size_t limit);
  /// Finishes what waits.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// False, and `job` untouched, where too many wait already.
  [[nodiscard]] bool post(Job& job);

 private:
  void run();

  const std::size_t limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lp::issuer
