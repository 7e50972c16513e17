#include "probes/load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace lp::probe::load {
namespace {

using std::chrono::nanoseconds;

constexpr unsigned part_bits = 7;
constexpr std::size_t parts = 1U << part_bits;  ///< of an octave
/// Values below 2 * parts have buckets of width 1; a nanosecond count has 63 bits.
constexpr std::size_t bucket_count = (63 - part_bits) * parts + parts;

std::size_t index_of(std::uint64_t value) noexcept {
  const auto bits = static_cast<unsigned>(std::bit_width(value));
  const unsigned shift = bits > part_bits + 1 ? bits - part_bits - 1 : 0;
  return shift * parts + static_cast<std::size_t>(value >> shift);
}

std::uint64_t lower_end(std::size_t index) noexcept {
  const std::size_t shift = index < 2 * parts ? 0 : index / parts - 1;
  return static_cast<std::uint64_t>(index - shift * parts) << shift;
}

std::uint64_t upper_end(std::size_t index) noexcept {
  return lower_end(index + 1) - 1;
}

nanoseconds to_time(std::uint64_t value) noexcept {
  return nanoseconds(static_cast<std::int64_t>(value));
}

}  // namespace

Histogram::Histogram() : counts_(bucket_count) {}

void Histogram::record(nanoseconds time) noexcept {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
  ++counts_[index_of(value)];
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = std::max(max_, value);
  ++count_;
  sum_ += static_cast<long double>(value);
}

void Histogram::add(const Histogram& other) noexcept {
  if (other.count_ == 0) return;
  for (std::size_t i = 0; i < counts_.size(); ++i)
    counts_[i] += other.counts_[i];
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  count_ += other.count_;
  sum_ += other.sum_;
}

nanoseconds Histogram::min() const noexcept {
  return to_time(min_);
}

nanoseconds Histogram::max() const noexcept {
  return to_time(max_);
}

nanoseconds Histogram::mean() const noexcept {
  if (count_ == 0) return nanoseconds::zero();
  return nanoseconds(std::llround(sum_ / static_cast<long double>(count_)));
}

nanoseconds Histogram::quantile(std::uint32_t per_100000) const noexcept {
  if (count_ == 0) return nanoseconds::zero();
  // ceil(count * per_100000 / 100000), in integers so that no rounding moves a rank.
  const std::uint64_t whole = count_ / 100'000 * per_100000;
  const std::uint64_t rest = (count_ % 100'000 * per_100000 + 99'999) / 100'000;
  const std::uint64_t rank = std::clamp<std::uint64_t>(whole + rest, 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = index_of(min_); i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= rank) return to_time(std::clamp(upper_end(i), min_, max_));
  }
  return to_time(max_);
}

std::vector<Histogram::Bar> Histogram::bars(std::size_t most) const {
  if (count_ == 0) return {};
  const std::size_t first = index_of(min_);
  const std::size_t last = index_of(max_);
  // Buckets a bar: a power of two, so that bars end where octaves or their parts do.
  std::size_t width = 1;
  while (last / width - first / width + 1 > most)
    width *= 2;
  std::vector<Bar> bars(last / width - first / width + 1);
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const std::size_t begin = (first / width + i) * width;
    const std::size_t end = std::min(begin + width, counts_.size());
    bars[i] = {to_time(lower_end(begin)), to_time(upper_end(end - 1)), 0};
    for (std::size_t bucket = begin; bucket < end; ++bucket)
      bars[i].count += counts_[bucket];
  }
  return bars;
}

}  // namespace lp::probe::load
