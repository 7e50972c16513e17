#include "gateway/app/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>

#include "gateway/config/log.h"

namespace lp::gateway::app {
namespace {

using Clock = std::chrono::steady_clock;

sigset_t awaited_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGHUP);
  return set;
}

[[noreturn]] void end_now(int code, std::string_view why) {
  log::warning(why);
  log::flush();
  ::_exit(code);
}

class Waiter {
 public:
  explicit Waiter(const SignalActions& actions) : actions_(actions) {
    const sigset_t set = awaited_signals();
    signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    stopped_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  }
  ~Waiter() {
    if (stopper_.joinable()) stopper_.join();
    ::close(signals_);
    ::close(stopped_);
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  void wait() {
    for (;;) {
      std::array<pollfd, 2> fds{pollfd{signals_, POLLIN, 0}, pollfd{stopped_, POLLIN, 0}};
      const int ready = ::poll(fds.data(), fds.size(), timeout());
      if (ready < 0 && errno != EINTR) end_now(70, "cannot wait for signals");
      if (stopper_.joinable() && Clock::now() >= stop_end_) {
        // What is committed is durable; what was not is as after a crash, and that is safe.
        end_now(0, "shutting down took too long: ending without the rest");
      }
      if (ready <= 0) continue;
      if (fds[1].revents != 0) return;
      signalfd_siginfo info{};
      if (::read(signals_, &info, sizeof info) == sizeof info) {
        take(static_cast<int>(info.ssi_signo));
      }
    }
  }

 private:
  [[nodiscard]] int timeout() const {
    if (!stopper_.joinable()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(stop_end_ - Clock::now());
    return left.count() > 0 ? static_cast<int>(left.count()) : 0;
  }

  void take(int signal) {
    const bool stopping = stopper_.joinable();
    if (signal == SIGHUP) {
      if (!stopping) actions_.reload();
    } else if (!stopping) {
      log::info(signal == SIGINT ? "SIGINT: shutting down" : "SIGTERM: shutting down");
      stop_end_ = Clock::now() + longest_stop;
      stopper_ = std::thread([this] {
        actions_.stop();
        ::eventfd_write(stopped_, 1);
      });
    } else if (signal == SIGINT && ++interrupts_ > 0) {
      end_now(128 + SIGINT, "SIGINT again: ending at once");
    }
  }

  const SignalActions& actions_;
  int signals_ = -1;
  int stopped_ = -1;
  int interrupts_ = 0;
  std::thread stopper_;
  Clock::time_point stop_end_;
};

}  // namespace

void block_signals() {
  const sigset_t set = awaited_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

void wait_for_signals(const SignalActions& actions) {
  Waiter(actions).wait();
}

}  // namespace lp::gateway::app
