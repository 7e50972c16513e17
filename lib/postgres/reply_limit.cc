#include "lib/postgres/reply_limit.h"

#include <sys/socket.h>

namespace lp::postgres {

ReplyLimit::ReplyLimit(std::chrono::milliseconds limit) : limit_(limit) {
  if (limit_.count() > 0) thread_ = std::thread([this] { watch(); });
}

ReplyLimit::~ReplyLimit() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void ReplyLimit::expect_reply(int socket) {
  if (limit_.count() <= 0) return;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    socket_ = socket;
    deadline_ = Clock::now() + limit_;
    wake = asleep_;
  }
  if (wake) changed_.notify_one();
}

bool ReplyLimit::replied() {
  const std::lock_guard lock(mutex_);
  deadline_.reset();
  return !overdue_;
}

// Deadlines only ever move on, so that a thread that waits for one need not hear of the next: a
// statement costs no wake-up while others keep coming.
void ReplyLimit::watch() {
  std::unique_lock lock(mutex_);
  while (!ended_) {
    if (!deadline_) {
      asleep_ = true;
      changed_.wait(lock, [this] { return ended_ || deadline_; });
      asleep_ = false;
    } else if (Clock::now() < *deadline_) {
      changed_.wait_until(lock, Clock::time_point(*deadline_), [this] { return ended_; });
    } else {
      // Under the mutex: `replied` cannot have returned, and the descriptor is still this socket's.
      ::shutdown(socket_, SHUT_RDWR);
      overdue_ = true;
      deadline_.reset();
    }
  }
}

}  // namespace lp::postgres
