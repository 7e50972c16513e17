// The histogram against exact quantiles.
#include "probes/load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace lp::probe::load {
namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;

constexpr std::array<std::uint32_t, 9> asked{1,      1'000,  50'000, 90'000, 95'000,
                                             99'000, 99'900, 99'999, 100'000};

/// By nearest rank, from all values.
std::int64_t exact(const std::vector<std::int64_t>& sorted, std::uint32_t per_100000) {
  const std::uint64_t rank = (sorted.size() * per_100000 + 99'999) / 100'000;
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

void expect_quantiles_within_bounds(std::vector<std::int64_t> values) {
  Histogram histogram;
  long double sum = 0;
  for (const auto value : values) {
    histogram.record(nanoseconds(value));
    sum += static_cast<long double>(value);
  }
  std::ranges::sort(values);
  EXPECT_EQ(histogram.count(), values.size());
  EXPECT_EQ(histogram.min().count(), values.front());
  EXPECT_EQ(histogram.max().count(), values.back());
  EXPECT_EQ(histogram.mean().count(), std::llround(sum / static_cast<long double>(values.size())));
  for (const auto per_100000 : asked) {
    const auto true_value = exact(values, per_100000);
    const auto told = histogram.quantile(per_100000).count();
    EXPECT_GE(told, true_value) << per_100000;
    EXPECT_LE(told - true_value, true_value / 128) << per_100000 << " of " << values.size();
  }
}

TEST(HistogramTest, QuantilesAreNeverBelowTheExactOnesAndLessThanOnePercentAbove) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latency(std::log(2e6), 1.5);
  std::uniform_int_distribution<std::int64_t> uniform(0, 3'000'000'000);
  std::exponential_distribution<double> exponential(1e-5);
  for (const std::size_t size : {1U, 2U, 7U, 100U, 1'000U, 100'000U}) {
    std::vector<std::int64_t> a, b, c;
    for (std::size_t i = 0; i < size; ++i) {
      a.push_back(std::llround(latency(random)));
      b.push_back(uniform(random));
      c.push_back(std::llround(exponential(random)));
    }
    expect_quantiles_within_bounds(a);
    expect_quantiles_within_bounds(b);
    expect_quantiles_within_bounds(c);
  }
}

TEST(HistogramTest, EveryPowerOfTwoAndItsNeighboursFallIntoTheirBuckets) {
  for (unsigned bit = 0; bit < 63; ++bit) {
    for (const int off : {-1, 0, 1}) {
      const auto value = static_cast<std::int64_t>(1ULL << bit) + off;
      // Beside a value far above it, so that nothing is clamped to the maximum.
      expect_quantiles_within_bounds({value, std::numeric_limits<std::int64_t>::max()});
    }
  }
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (int i = 0; i < 256; ++i)
    histogram.record(nanoseconds(i));
  EXPECT_EQ(histogram.quantile(50'000).count(), 127);
  EXPECT_EQ(histogram.quantile(100'000).count(), 255);
}

TEST(HistogramTest, NegativeTimesCountAsNoneAndEmptyOnesHaveNoFigures) {
  Histogram histogram;
  EXPECT_EQ(histogram.quantile(99'000), 0ns);
  EXPECT_EQ(histogram.mean(), 0ns);
  EXPECT_TRUE(histogram.bars(10).empty());
  histogram.record(-5ms);
  EXPECT_EQ(histogram.max(), 0ns);
  EXPECT_EQ(histogram.count(), 1U);
}

TEST(HistogramTest, PartsAddedUpAreTheWhole) {
  std::mt19937_64 random(11);
  std::lognormal_distribution<double> latency(std::log(5e6), 2);
  Histogram whole;
  std::array<Histogram, 3> parts;
  for (int i = 0; i < 3'000; ++i) {
    const nanoseconds time(std::llround(latency(random)));
    whole.record(time);
    parts[static_cast<std::size_t>(i) % parts.size()].record(time);
  }
  Histogram sum;
  for (const auto& part : parts)
    sum.add(part);
  EXPECT_EQ(sum.count(), whole.count());
  EXPECT_EQ(sum.min(), whole.min());
  EXPECT_EQ(sum.max(), whole.max());
  EXPECT_EQ(sum.mean(), whole.mean());
  for (const auto per_100000 : asked)
    EXPECT_EQ(sum.quantile(per_100000), whole.quantile(per_100000));
}

TEST(HistogramTest, BarsHoldEveryValueOnceAndAreAtMostAsManyAsAsked) {
  std::mt19937_64 random(13);
  std::lognormal_distribution<double> latency(std::log(5e6), 1);
  Histogram histogram;
  for (int i = 0; i < 1'000; ++i)
    histogram.record(nanoseconds(std::llround(latency(random))));
  for (const std::size_t most : {2U, 24U, 160U, 100'000U}) {
    const auto bars = histogram.bars(most);
    EXPECT_LE(bars.size(), most);
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < bars.size(); ++i) {
      count += bars[i].count;
      if (i == 0) continue;
      EXPECT_EQ(bars[i].low.count(), bars[i - 1].high.count() + 1);
    }
    EXPECT_EQ(count, histogram.count());
    EXPECT_LE(bars.front().low, histogram.min());
    EXPECT_GE(bars.back().high, histogram.max());
  }
}

}  // namespace
}  // namespace lp::probe::load
