// Times in log-linear buckets: bounded relative error, bounded memory, whatever the number of
// times.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace lp::probe::load {

/// Every octave of nanoseconds is cut into 128 buckets of one width; below 256 ns each value has
/// its own. What is told of a value that fell into a bucket is the bucket's upper end, so that no
/// quantile is less than it was, and none is more than 1/128 (0.8 %) above. Minimum, maximum and
/// mean are exact. Not thread-safe: one a thread, added up at the end.
class Histogram {
 public:
  Histogram();

  /// A negative time counts as 0.
  void record(std::chrono::nanoseconds time) noexcept;
  void add(const Histogram& other) noexcept;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  // All of them 0 where there is no value.
  [[nodiscard]] std::chrono::nanoseconds min() const noexcept;
  [[nodiscard]] std::chrono::nanoseconds max() const noexcept;
  [[nodiscard]] std::chrono::nanoseconds mean() const noexcept;
  /// By nearest rank: the least time that `per_100000` of all times do not exceed. 99'900 is the
  /// 99.9th percentile.
  [[nodiscard]] std::chrono::nanoseconds quantile(std::uint32_t per_100000) const noexcept;

  /// `count` times in [low, high].
  struct Bar {
    std::chrono::nanoseconds low;
    std::chrono::nanoseconds high;
    std::uint64_t count = 0;
  };
  /// The whole in at most `most` bars (at least 2), one beside the other from the minimum's to the
  /// maximum's: each the same part of an octave, or so many whole ones. None where there is no
  /// value.
  [[nodiscard]] std::vector<Bar> bars(std::size_t most) const;

 private:
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t min_ = 0;
  std::uint64_t max_ = 0;
  long double sum_ = 0;
};

}  // namespace lp::probe::load
