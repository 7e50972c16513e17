#include "tools/db-maint/interrupt.h"

#include <signal.h>
#include <time.h>

#include <tuple>

namespace lp::db_maint {
namespace {

volatile sig_atomic_t signalled = 0;

void on_signal(int /*signal*/) {
  signalled = 1;
}

}  // namespace

void catch_interrupts() {
  struct sigaction action{};
  action.sa_handler = on_signal;  // no SA_RESTART: a sleep ends
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM})
    std::ignore = ::sigaction(signal, &action, nullptr);
  // A reader of our output that went away is an error of the write.
  std::ignore = ::signal(SIGPIPE, SIG_IGN);
}

bool interrupted() noexcept {
  return signalled != 0;
}

void rest(std::chrono::nanoseconds time) noexcept {
  if (time <= std::chrono::nanoseconds::zero() || interrupted()) return;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  const timespec span{.tv_sec = seconds.count(), .tv_nsec = (time - seconds).count()};
  std::ignore = ::nanosleep(&span, nullptr);
}

}  // namespace lp::db_maint
