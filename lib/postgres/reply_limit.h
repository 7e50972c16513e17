// An end to waiting for a server that says nothing. libpq waits for a reply for ever, and TCP's
// keepalives notice only a machine that is gone: the kernel of one whose server is frozen (stopped
// processes, storage that hangs) goes on acknowledging.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace lp::postgres {

/// Shuts the socket of one connection down where a reply is overdue, so that libpq finds the
/// connection lost. The thread that looks at the clock is its own, and wakes once per limit at
/// most.
class ReplyLimit {
 public:
  /// Starts the thread; none where the limit is 0, which sets none. Throws what std::thread throws.
  explicit ReplyLimit(std::chrono::milliseconds limit);
  ~ReplyLimit();
  ReplyLimit(const ReplyLimit&) = delete;
  ReplyLimit& operator=(const ReplyLimit&) = delete;

  /// From now until `replied`, on this socket. One at a time.
  void expect_reply(int socket);
  /// False where the reply was overdue: the socket is shut down.
  [[nodiscard]] bool replied();

  [[nodiscard]] std::chrono::milliseconds limit() const noexcept { return limit_; }

 private:
  using Clock = std::chrono::steady_clock;
  void watch();

  const std::chrono::milliseconds limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Of the mutex:
  int socket_ = -1;
  std::optional<Clock::time_point> deadline_;
  bool asleep_ = false;  ///< the thread, until it is told of a deadline
  bool overdue_ = false;
  bool ended_ = false;

  std::thread thread_;
};

}  // namespace lp::postgres
