// Time, passed in. Wall-clock time decides which timestamps are accepted; deadlines use the
// monotonic clock, so that a jump of the wall clock changes nothing else.
#pragma once

#include <chrono>
#include <cstdint>

namespace lp {

/// Seconds since 1970-01-01 UTC.
using UnixSeconds = std::uint64_t;
using MonotonicTime = std::chrono::steady_clock::time_point;

/// Source of wall-clock time. Implementations are safe to call from any thread.
class WallClock {
 public:
  virtual ~WallClock() = default;
  [[nodiscard]] virtual UnixSeconds now() const noexcept = 0;
};

/// The system's clock.
class SystemWallClock final : public WallClock {
 public:
  [[nodiscard]] UnixSeconds now() const noexcept override;
};

/// True where `timestamp` is at most `tolerance_secs` away from `now`, either way. Exact over the
/// whole u64 range.
[[nodiscard]] constexpr bool within_tolerance(UnixSeconds timestamp, UnixSeconds now,
                                              std::uint64_t tolerance_secs) noexcept {
  return (timestamp > now ? timestamp - now : now - timestamp) <= tolerance_secs;
}

}  // namespace lp
