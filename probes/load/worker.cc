#include "probes/load/worker.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "probes/log.h"

namespace lp::probe::load {
namespace {

using Clock = std::chrono::steady_clock;

/// Timeouts are seconds; so much later they may be noticed.
constexpr std::chrono::milliseconds sweep_interval{20};
/// Those under way do not wait for more: each begins with making keys, and one that is refused at
/// once leaves its place to the next.
constexpr std::size_t most_begun_at_once = 16;
/// A closed loop of connections that are refused at once would be a busy one.
constexpr std::chrono::milliseconds rest_after_no_connection{10};

// What an event is about: a place, or one of these.
constexpr std::uint64_t about_timer = UINT64_MAX;
constexpr std::uint64_t about_cancel = UINT64_MAX - 1;

ProbeError no_descriptors(std::string_view what) {
  return {Stage::connect, ProbeCode::out_of_descriptors,
          fmt::format("{}: {}", what, client::errno_text(errno))};
}

bool watch(int epoll, int fd, std::uint32_t events, std::uint64_t about) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = about;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

Worker::Worker(Shared& shared, std::size_t places) : shared_(shared), places_(places) {
  for (std::size_t i = places; i > 0; --i)
    free_.push_back(i - 1);
}

Outcome<void> Worker::run() {
  if (auto opened = open(); !opened) return opened;
  std::array<epoll_event, 256> events;
  while (true) {
    if (auto begun = begin_due(); !begun) return begun;
    const bool over = shared_.pacer.next(Clock::now()) == MonotonicTime::max();
    if (over && in_flight_ == 0) return {};
    arm_timer();
    const int n = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    if (n < 0 && errno != EINTR) return std::unexpected(no_descriptors("epoll_wait"));
    for (int i = 0; i < n; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      if (event.data.u64 == about_cancel) {
        abandon_all();
        return {};
      }
      if (event.data.u64 == about_timer) {
        std::uint64_t expirations = 0;
        [[maybe_unused]] const auto size = read(timer_.get(), &expirations, sizeof expirations);
        timer_at_ = MonotonicTime::max();
        continue;
      }
      const auto place = static_cast<std::size_t>(event.data.u64);
      const bool writable = (event.events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0;
      if (places_[place].exchange && places_[place].exchange->advance(writable)) finish(place);
    }
    expire_overdue();
  }
}

Outcome<void> Worker::open() {
  epoll_ = client::Descriptor(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return std::unexpected(no_descriptors("epoll_create1"));
  // steady_clock is CLOCK_MONOTONIC. epoll_wait's own limit has milliseconds only, which would all
  // be added to the latency of what is due in between.
  timer_ = client::Descriptor(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer_.valid()) return std::unexpected(no_descriptors("timerfd_create"));
  const bool watched =
      watch(epoll_.get(), timer_.get(), EPOLLIN, about_timer) &&
      (shared_.cancel_fd < 0 || watch(epoll_.get(), shared_.cancel_fd, EPOLLIN, about_cancel));
  if (!watched) return std::unexpected(no_descriptors("epoll_ctl"));
  next_sweep_ = Clock::now() + sweep_interval;
  return {};
}

Outcome<void> Worker::begin_due() {
  wake_rested(Clock::now());
  for (std::size_t i = 0; i < most_begun_at_once && !free_.empty(); ++i) {
    const auto start = shared_.pacer.take(Clock::now());
    if (!start) return {};
    auto ticket = shared_.tickets.next();
    if (!ticket) return std::unexpected(std::move(ticket.error()));
    const std::size_t place = free_.back();
    free_.pop_back();
    ++in_flight_;
    shared_.live.in_flight.fetch_add(1, std::memory_order_relaxed);
    if (begin(place, *start, std::move(*ticket))) finish(place);
  }
  return {};
}

void Worker::wake_rested(MonotonicTime now) {
  while (!resting_.empty() && resting_.front().until <= now) {
    free_.push_back(resting_.front().place);
    resting_.pop_front();
  }
}

bool Worker::begin(std::size_t place, const Start& start,
                   std::unique_ptr<wallet::SpendableTicket> ticket) {
  auto& slot = places_[place];
  slot.start = start;
  slot.exchange = std::make_unique<Exchange>(shared_.plan, shared_.dvpn, shared_.ticket_type,
                                             std::move(ticket));
  // Making the keys is this machine's work and not the gateway's, but a client does it as well: in
  // a closed loop it is before the clock starts, in an open one it is part of being late.
  slot.begun = Clock::now();
  if (!shared_.pacer.schedule().rate) slot.start.due = slot.begun;
  if (slot.exchange->begin(slot.begun)) return true;
  // Edge-triggered and registered once: an exchange reads and writes until it would block.
  if (watch(epoll_.get(), slot.exchange->native_handle(), EPOLLIN | EPOLLOUT | EPOLLET, place)) {
    return false;
  }
  slot.exchange->expire();
  return true;
}

void Worker::arm_timer() {
  auto wanted = in_flight_ > 0 ? next_sweep_ : MonotonicTime::max();
  const auto next = shared_.pacer.next(Clock::now());
  if (!free_.empty()) wanted = std::min(wanted, next);
  if (!resting_.empty() && next != MonotonicTime::max()) {
    wanted = std::min(wanted, resting_.front().until);
  }
  if (wanted == timer_at_ || wanted == MonotonicTime::max()) return;
  timer_at_ = wanted;
  const auto since =
      std::max<std::chrono::nanoseconds>(wanted.time_since_epoch(), std::chrono::nanoseconds(1));
  itimerspec spec{};
  spec.it_value.tv_sec = static_cast<time_t>(since.count() / 1'000'000'000);
  spec.it_value.tv_nsec = static_cast<long>(since.count() % 1'000'000'000);
  timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Worker::expire_overdue() {
  const auto now = Clock::now();
  if (now < next_sweep_) return;
  next_sweep_ = now + sweep_interval;
  for (std::size_t place = 0; place < places_.size(); ++place) {
    auto& exchange = places_[place].exchange;
    if (!exchange || now < exchange->deadline()) continue;
    exchange->expire();
    finish(place);
  }
}

void Worker::finish(std::size_t place) {
  auto& slot = places_[place];
  const auto& exchange = *slot.exchange;
  const auto& schedule = shared_.pacer.schedule();
  if (exchange.wallet_error()) {
    tally_.wallet_error = exchange.wallet_error()->code;
    log::error(fmt::format("{}: {}", name(exchange.wallet_error()->code),
                           exchange.wallet_error()->detail));
  }
  (exchange.error() ? shared_.live.failed : shared_.live.ok)
      .fetch_add(1, std::memory_order_relaxed);
  shared_.live.in_flight.fetch_sub(1, std::memory_order_relaxed);
  tally_.record({.start = slot.start,
                 .begun = slot.begun,
                 .ended = Clock::now(),
                 .request_begun = exchange.request_begun(),
                 .times = exchange.times(),
                 .error = exchange.error()},
                schedule.measured_from(), schedule.end());
  const bool rests =
      exchange.error() && exchange.error()->stage == Stage::connect && !schedule.rate;
  slot.exchange.reset();
  --in_flight_;
  if (rests) {
    resting_.push_back({Clock::now() + rest_after_no_connection, place});
  } else {
    free_.push_back(place);
  }
}

void Worker::abandon_all() {
  for (auto& slot : places_) {
    if (!slot.exchange) continue;
    slot.exchange.reset();
    ++tally_.abandoned;
  }
}

}  // namespace lp::probe::load
