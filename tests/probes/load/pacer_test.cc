// When registrations are begun, with a clock of the test's own.
#include "probes/load/pacer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <queue>
#include <thread>
#include <vector>

#include "probes/load/tally.h"

namespace lp::probe::load {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

const MonotonicTime begin{1h};

/// A gateway that answers after a millisecond, but stands still from 2 s to 3 s.
MonotonicTime answer_at(MonotonicTime sent) {
  const auto stall_begin = begin + 2s;
  const auto stall_end = begin + 3s;
  const auto answer = sent + 1ms;
  return answer <= stall_begin || sent >= stall_end ? answer : stall_end + 1ms;
}

struct Running {
  MonotonicTime ends;
  MonotonicTime begun;
  Start start;
  bool operator>(const Running& other) const { return ends > other.ends; }
};

/// What a load run would count at that gateway, were nothing else to take time.
Tally simulate(Pacer& pacer, std::size_t places) {
  std::priority_queue<Running, std::vector<Running>, std::greater<>> running;
  Tally tally;
  const auto& schedule = pacer.schedule();
  for (auto now = schedule.begin;;) {
    while (running.size() < places) {
      const auto start = pacer.take(now);
      if (!start) break;
      running.push({answer_at(now), now, *start});
    }
    auto next = running.size() < places ? pacer.next(now) : MonotonicTime::max();
    if (!running.empty()) next = std::min(next, running.top().ends);
    if (next == MonotonicTime::max()) return tally;
    now = std::max(now, next);
    while (!running.empty() && running.top().ends <= now) {
      const auto ended = running.top();
      running.pop();
      tally.record({.start = ended.start,
                    .begun = ended.begun,
                    .ended = ended.ends,
                    .request_begun = {},
                    .times = {},
                    .error = {}},
                   schedule.measured_from(), schedule.end());
    }
  }
}

TEST(PacerTest, OpenLoopShowsAGatewayThatStandsStillAndAClosedLoopHidesIt) {
  Pacer open({.begin = begin, .duration = 5s, .rate = 1000});
  const auto due = simulate(open, 10);
  EXPECT_EQ(due.ok, 5'000U) << "none is left out";
  EXPECT_EQ(open.backlog(begin + 5s).count, 0U);
  // A fifth of all was due while it stood still, and waited half a second on average.
  EXPECT_GT(due.latency.quantile(99'000), 900ms);
  EXPECT_GT(due.latency.quantile(90'000), 450ms);
  EXPECT_GE(due.latency.max(), 1s);
  EXPECT_LE(due.latency.max(), 1002ms);
  EXPECT_LT(due.latency.quantile(50'000), 2ms);
  // Ten began in time and waited; those behind them were begun late, and by how much is told.
  EXPECT_GT(due.lateness.quantile(99'000), 900ms);

  Pacer closed({.begin = begin, .duration = 5s});
  const auto asked = simulate(closed, 10);
  EXPECT_GT(asked.ok, 39'000U);
  EXPECT_GE(asked.latency.max(), 1s) << "ten of them saw it";
  EXPECT_LT(asked.latency.quantile(99'900), 2ms) << "and nobody else was there to";
  EXPECT_EQ(asked.lateness.max(), 0ns);
}

TEST(PacerTest, RegistrationsThatNeverFoundAPlaceAreCounted) {
  // Two places and a millisecond each: 2,000 a second, for a second and the grace after it.
  Pacer pacer({.begin = begin, .duration = 1s, .rate = 6000});
  const auto tally = simulate(pacer, 2);
  const auto backlog = pacer.backlog(begin + 10s);
  EXPECT_EQ(tally.ok + backlog.count, 6'000U);
  EXPECT_NEAR(static_cast<double>(backlog.count), 2'000, 5);
  EXPECT_NEAR(static_cast<double>(tally.ok_in_window), 2'000, 5);
  EXPECT_GT(backlog.oldest, 300ms);
  EXPECT_LT(backlog.oldest, 350ms);
}

TEST(PacerTest, WarmUpIsMadeAndNotMeasured) {
  Pacer pacer({.begin = begin, .warmup = 500ms, .duration = 1s, .rate = 100});
  const auto tally = simulate(pacer, 10);
  EXPECT_EQ(tally.warmup, 50U);
  EXPECT_EQ(tally.attempts, 100U);
  EXPECT_EQ(tally.latency.count(), 100U);
  EXPECT_EQ(tally.ok_in_window, 100U);
}

TEST(PacerTest, CountEndsTheRunBeforeItsTime) {
  Pacer open({.begin = begin, .duration = 5s, .rate = 100, .attempts = 7});
  EXPECT_EQ(simulate(open, 10).ok, 7U);
  EXPECT_EQ(open.backlog(begin + 5s).count, 0U);
  Pacer closed({.begin = begin, .duration = std::nullopt, .attempts = 7});
  EXPECT_EQ(simulate(closed, 2).ok, 7U);
}

TEST(PacerTest, RatesThatAreNoWholeNumberOfNanosecondsDoNotDrift) {
  Pacer pacer({.begin = begin, .duration = std::chrono::hours(1), .rate = 3});
  std::optional<Start> last;
  std::uint64_t count = 0;
  while (const auto start = pacer.take(begin + 1h - 1ns)) {
    last = start;
    ++count;
  }
  EXPECT_EQ(count, 10'800U);
  EXPECT_EQ(last->due, begin + nanoseconds(3'599'666'666'667));
}

TEST(PacerTest, NothingIsDueBeforeItsTimeOrAfterTheEnd) {
  Pacer pacer({.begin = begin, .duration = 1s, .rate = 10});
  EXPECT_TRUE(pacer.take(begin));
  EXPECT_FALSE(pacer.take(begin + 99ms));
  EXPECT_EQ(pacer.next(begin), begin + 100ms);
  EXPECT_TRUE(pacer.take(begin + 100ms));
  for (int i = 2; i < 10; ++i) {
    const auto late = pacer.take(begin + 1s + 5ms);
    ASSERT_TRUE(late) << "due before the end, and this machine came late";
    EXPECT_EQ(late->due, begin + i * 100ms);
  }
  EXPECT_FALSE(pacer.take(begin + 1s + 5ms));
  EXPECT_EQ(pacer.next(begin + 1s + 5ms), MonotonicTime::max());
}

TEST(PacerTest, EndsOnceTheGraceIsOver) {
  Pacer open({.begin = begin, .duration = 1s, .rate = 10});
  EXPECT_EQ(open.next(begin + 1s), begin);
  EXPECT_EQ(open.next(begin + 1s + grace), MonotonicTime::max());
  EXPECT_FALSE(open.take(begin + 1s + grace));
  EXPECT_EQ(open.backlog(begin + 1s + grace).count, 10U);
  Pacer closed({.begin = begin, .duration = 1s});
  EXPECT_TRUE(closed.take(begin + 1s - 1ns));
  EXPECT_FALSE(closed.take(begin + 1s));
  EXPECT_EQ(closed.next(begin + 1s), MonotonicTime::max());
}

TEST(PacerTest, ThreadsGetEachRegistrationOnce) {
  Pacer pacer({.begin = begin, .duration = 1s, .rate = 20'000});
  std::array<std::vector<MonotonicTime>, 4> taken;
  {
    std::vector<std::jthread> threads;
    for (auto& own : taken) {
      threads.emplace_back([&] {
        while (const auto start = pacer.take(begin + 1s - 1ns))
          own.push_back(start->due);
      });
    }
  }
  std::vector<MonotonicTime> all;
  for (const auto& own : taken)
    all.insert(all.end(), own.begin(), own.end());
  std::ranges::sort(all);
  EXPECT_EQ(all.size(), 20'000U);
  EXPECT_EQ(std::ranges::adjacent_find(all), all.end());
}

}  // namespace
}  // namespace lp::probe::load
