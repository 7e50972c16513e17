#include "probes/load/run.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

namespace lp::probe::load {
namespace {

using Clock = std::chrono::steady_clock;
using client::Descriptor;
using client::Wait;

constexpr std::chrono::milliseconds progress_interval{500};

void raise(const Descriptor& event) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(event.get(), &one, sizeof one);
}

/// The threads of a run, and what they have in common.
class Threads {
 public:
  Threads(const LoadPlan& plan, Pacer& pacer, Tickets& tickets)
      : done_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        shared_{.plan = plan.exchange,
                .dvpn = plan.dvpn,
                .ticket_type = plan.ticket_type,
                .pacer = pacer,
                .tickets = tickets,
                .live = live_,
                .cancel_fd = stop_.get()} {
    workers_.reserve(plan.threads);
    for (std::size_t i = 0; i < plan.threads; ++i) {
      const bool one_more = i < plan.concurrency % plan.threads;
      workers_.emplace_back(shared_, plan.concurrency / plan.threads + (one_more ? 1 : 0));
    }
    outcomes_.resize(plan.threads);
  }

  [[nodiscard]] bool valid() const { return done_.valid() && stop_.valid(); }

  void run(int cancel_fd, const OnProgress& on_progress, Result& result) {
    const auto begin = Clock::now();
    left_ = workers_.size();
    std::vector<std::jthread> threads;
    threads.reserve(workers_.size());
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      threads.emplace_back([this, i] {
        outcomes_[i] = workers_[i].run();
        // One that cannot go on ends the others as well: half a load would pass for the whole.
        if (!outcomes_[i]) raise(stop_);
        --left_;
        raise(done_);
      });
    }
    auto next_report = begin + progress_interval;
    while (left_ > 0) {
      switch (client::wait_for(done_.get(), POLLIN, next_report, cancel_fd)) {
        case Wait::cancelled:
          result.interrupted = true;
          raise(stop_);
          cancel_fd = -1;
          break;
        case Wait::timeout:
          on_progress(live_, Clock::now() - begin);
          next_report += progress_interval;
          break;
        case Wait::ready: {
          std::uint64_t ended = 0;
          [[maybe_unused]] const auto size = read(done_.get(), &ended, sizeof ended);
          break;
        }
        case Wait::failed:
          raise(stop_);
          threads.clear();
          break;
      }
    }
    threads.clear();
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      result.tally.add(workers_[i].tally());
      if (!outcomes_[i] && !result.broken) result.broken = std::move(outcomes_[i].error());
    }
  }

 private:
  Descriptor done_;
  Descriptor stop_;
  Live live_;
  Shared shared_;
  std::vector<Worker> workers_;
  std::vector<Outcome<void>> outcomes_;
  std::atomic<std::size_t> left_ = 0;
};

}  // namespace

double Result::rate() const noexcept {
  const double seconds = std::chrono::duration<double>(window).count();
  return seconds > 0 ? static_cast<double>(tally.ok_in_window) / seconds : 0;
}

Result run(const LoadPlan& plan, Tickets& tickets, int cancel_fd, const OnProgress& on_progress) {
  Result result;
  Pacer pacer({.begin = Clock::now(),
               .warmup = plan.warmup,
               .duration = plan.duration,
               .rate = plan.rate,
               .attempts = plan.attempts});
  Threads threads(plan, pacer, tickets);
  if (!threads.valid()) {
    result.broken = ProbeError{Stage::connect, ProbeCode::out_of_descriptors,
                               "eventfd: " + client::errno_text(errno)};
    return result;
  }
  threads.run(cancel_fd, on_progress, result);
  const auto stopped = std::min(Clock::now(), pacer.schedule().end());
  result.window = std::max<std::chrono::nanoseconds>(stopped - pacer.schedule().measured_from(),
                                                     std::chrono::nanoseconds::zero());
  result.backlog = pacer.backlog(stopped);
  return result;
}

}  // namespace lp::probe::load
