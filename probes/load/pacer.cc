#include "probes/load/pacer.h"

#include <algorithm>
#include <cmath>

namespace lp::probe::load {

std::optional<Start> Pacer::take(MonotonicTime now) noexcept {
  if (is_over(now)) return std::nullopt;
  std::uint64_t number = taken_.load(std::memory_order_relaxed);
  while (true) {
    if (exhausted(number)) return std::nullopt;
    const MonotonicTime when = schedule_.rate ? due(number) : now;
    if (when > now || when >= schedule_.end()) return std::nullopt;
    if (taken_.compare_exchange_weak(number, number + 1, std::memory_order_relaxed)) {
      return Start{when, when >= schedule_.measured_from()};
    }
  }
}

MonotonicTime Pacer::next(MonotonicTime now) const noexcept {
  const std::uint64_t number = taken_.load(std::memory_order_relaxed);
  if (is_over(now) || exhausted(number)) return MonotonicTime::max();
  const MonotonicTime when = schedule_.rate ? due(number) : now;
  return when < schedule_.end() ? when : MonotonicTime::max();
}

Backlog Pacer::backlog(MonotonicTime stopped) const noexcept {
  if (!schedule_.rate) return {};
  const MonotonicTime end = std::min(stopped, schedule_.end());
  const std::uint64_t first = taken_.load(std::memory_order_relaxed);
  const double seconds = std::chrono::duration<double>(end - schedule_.begin).count();
  auto all = static_cast<std::uint64_t>(std::max(0.0, std::ceil(seconds * *schedule_.rate)));
  if (schedule_.attempts) all = std::min(all, *schedule_.attempts);
  if (all <= first) return {};
  return {all - first, std::max<std::chrono::nanoseconds>(end - due(first), {})};
}

MonotonicTime Pacer::due(std::uint64_t number) const noexcept {
  // From the number and not from the one before, so that no rounding adds up.
  const long double offset = static_cast<long double>(number) * 1e9L / *schedule_.rate;
  return schedule_.begin + std::chrono::nanoseconds(std::llround(offset));
}

bool Pacer::is_over(MonotonicTime now) const noexcept {
  if (!schedule_.duration) return false;
  return now >= schedule_.end() + (schedule_.rate ? grace : std::chrono::seconds(0));
}

bool Pacer::exhausted(std::uint64_t number) const noexcept {
  return schedule_.attempts && number >= *schedule_.attempts;
}

}  // namespace lp::probe::load
