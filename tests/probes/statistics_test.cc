#include "probes/statistics.h"

#include <gtest/gtest.h>

#include <numeric>

#include "probes/verdict.h"

namespace lp::probe {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

Summary of(std::vector<int> times, int failures = 0) {
  Series series;
  for (const int time : times)
    series.succeeded(nanoseconds(time));
  for (int i = 0; i < failures; ++i)
    series.failed();
  return series.summarise();
}

TEST(StatisticsTest, NothingMeasuredIsAllZero) {
  const auto summary = of({});
  EXPECT_EQ(summary.sent, 0u);
  EXPECT_EQ(summary.loss, 0.0);
  EXPECT_EQ(summary.max, 0ns);
}

TEST(StatisticsTest, OneTimeIsEveryPercentile) {
  const auto summary = of({7});
  for (const auto time : {summary.min, summary.mean, summary.p50, summary.p90, summary.p95,
                          summary.p99, summary.max}) {
    EXPECT_EQ(time, 7ns);
  }
}

TEST(StatisticsTest, PercentilesAreByNearestRankWhateverTheOrder) {
  std::vector<int> times(100);
  std::iota(times.begin(), times.end(), 1);
  std::reverse(times.begin(), times.end());
  const auto summary = of(times);
  EXPECT_EQ(summary.min, 1ns);
  EXPECT_EQ(summary.p50, 50ns);
  EXPECT_EQ(summary.p90, 90ns);
  EXPECT_EQ(summary.p95, 95ns);
  EXPECT_EQ(summary.p99, 99ns);
  EXPECT_EQ(summary.max, 100ns);
  EXPECT_EQ(summary.mean, 51ns);  // 50.5, rounded

  const auto five = of({15, 20, 35, 40, 50});
  EXPECT_EQ(five.p50, 35ns);
  EXPECT_EQ(five.p90, 50ns);
  const auto two = of({1, 2});
  EXPECT_EQ(two.p50, 1ns);
  EXPECT_EQ(two.p99, 2ns);
}

TEST(StatisticsTest, LossIsTheShareThatFailed) {
  const auto summary = of({1, 2, 3}, 1);
  EXPECT_EQ(summary.sent, 4u);
  EXPECT_EQ(summary.ok, 3u);
  EXPECT_DOUBLE_EQ(summary.loss, 0.25);
}

Attempt attempt_until(std::optional<Stage> failed, ProbeCode code = ProbeCode::busy) {
  Attempt attempt;
  for (std::size_t i = 0; i < stage_count - 1; ++i) {
    attempt.times[i] = nanoseconds(static_cast<int>(i) + 1);
    attempt.total += *attempt.times[i];
    if (failed == static_cast<Stage>(i)) break;
  }
  if (failed) attempt.error = ProbeError{*failed, code, "detail"};
  return attempt;
}

TEST(StatisticsTest, FailureCountsInItsStageAndStagesAfterItWereNotSent) {
  Statistics statistics;
  statistics.add(attempt_until(std::nullopt));
  statistics.add(attempt_until(Stage::handshake));
  EXPECT_EQ(statistics.attempts(), 2u);
  EXPECT_EQ(statistics.stage(Stage::connect).ok, 2u);
  EXPECT_EQ(statistics.stage(Stage::handshake).sent, 2u);
  EXPECT_EQ(statistics.stage(Stage::handshake).ok, 1u);
  EXPECT_EQ(statistics.stage(Stage::request).sent, 1u);
  EXPECT_EQ(statistics.stage(Stage::tunnel).sent, 0u);
  EXPECT_EQ(statistics.total().sent, 2u);
  EXPECT_EQ(statistics.total().ok, 1u);
  EXPECT_EQ(statistics.errors().at("busy"), 1u);
}

// The refusal of message 3 shows only when the response does not come: request and response have
// been begun by then, and say nothing.
TEST(StatisticsTest, HandshakeThatFailsLateTakesNoLaterStageWithIt) {
  Statistics statistics;
  Attempt attempt = attempt_until(std::nullopt);
  attempt.error = ProbeError{Stage::handshake, ProbeCode::closed_after_handshake, "detail"};
  statistics.add(attempt);
  EXPECT_EQ(statistics.stage(Stage::handshake).ok, 0u);
  EXPECT_EQ(statistics.stage(Stage::request).sent, 0u);
  EXPECT_EQ(statistics.stage(Stage::response).sent, 0u);
}

TEST(VerdictTest, LimitsGiveWarningAndCritical) {
  const Attempt attempt = attempt_until(std::nullopt);  // handshake 4 ns, total 21 ns
  options::Thresholds none, handshake, total;
  handshake[static_cast<std::size_t>(Stage::handshake)] = 3ns;
  total[options::total_threshold] = 20ns;
  EXPECT_EQ(judge(attempt, none, none).exit_status, 0);
  EXPECT_EQ(judge(attempt, handshake, none).exit_status, 1);
  EXPECT_EQ(judge(attempt, handshake, total).exit_status, 2);
  EXPECT_EQ(judge(attempt, handshake, total).level, Level::critical);
  EXPECT_EQ(judge(attempt, none, total).exceeded.size(), 1u);
  handshake[static_cast<std::size_t>(Stage::handshake)] = 4ns;  // not over: at the limit
  EXPECT_EQ(judge(attempt, handshake, none).level, Level::ok);
  options::Thresholds tunnel;
  tunnel[static_cast<std::size_t>(Stage::tunnel)] = 1ns;  // not measured, so not over
  EXPECT_EQ(judge(attempt, tunnel, none).level, Level::ok);
}

TEST(VerdictTest, WorstResultDecidesTheExitStatus) {
  EXPECT_EQ(worse_exit_status(0, 1), 1);
  EXPECT_EQ(worse_exit_status(1, 3), 3);
  EXPECT_EQ(worse_exit_status(3, 2), 2);
  EXPECT_EQ(worse_exit_status(2, 3), 2);
  EXPECT_EQ(worse_exit_status(2, 73), 73);
  EXPECT_EQ(worse(Level::unknown, Level::critical), Level::critical);
  EXPECT_EQ(worse(Level::unknown, Level::warning), Level::unknown);
}

TEST(VerdictTest, FailOnHidesWhatIsBelowIt) {
  using options::FailOn;
  for (const int status : {0, 1, 2, 3}) {
    EXPECT_EQ(final_exit_status(status, FailOn::warn), status);
    EXPECT_EQ(final_exit_status(status, FailOn::none), 0);
    EXPECT_EQ(final_exit_status(status, FailOn::crit), status == 1 ? 0 : status);
  }
  EXPECT_EQ(final_exit_status(exit_status::cannot_create, FailOn::none), 73);
}

}  // namespace
}  // namespace lp::probe
