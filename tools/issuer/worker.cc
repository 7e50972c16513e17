#include "tools/issuer/worker.h"

#include <pthread.h>

#include <utility>

namespace lp::issuer {

Worker::Worker(const char* name, std::size_t limit) : limit_(limit), thread_([this] { run(); }) {
  ::pthread_setname_np(thread_.native_handle(), name);
}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

bool Worker::post(Job& job) {
  {
    const std::lock_guard lock(mutex_);
    if (jobs_.size() >= limit_) return false;
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
  return true;
}

void Worker::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

}  // namespace lp::issuer
