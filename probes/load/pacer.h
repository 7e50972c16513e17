// When registrations are begun: the next as soon as one has ended, or on a schedule of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include "lib/base/clock.h"

namespace lp::probe::load {

struct Schedule {
  MonotonicTime begin;
  std::chrono::nanoseconds warmup{};  ///< what is due in it is made and not measured
  /// After the warm-up. Nothing: until `attempts` are reached.
  std::optional<std::chrono::nanoseconds> duration;
  /// Registrations a second, due whether or not the gateway keeps up. Nothing: a closed loop, where
  /// one is due whenever there is a place for it.
  std::optional<double> rate = std::nullopt;
  std::optional<std::uint64_t> attempts = std::nullopt;  ///< at most so many, warm-up included

  [[nodiscard]] MonotonicTime measured_from() const noexcept { return begin + warmup; }
  [[nodiscard]] MonotonicTime end() const noexcept {
    return duration ? measured_from() + *duration : MonotonicTime::max();
  }
};

/// A registration that is to begin now. Its latency counts from `due`: of a gateway that stands
/// still, an open loop then shows all who would have had to wait, where a closed loop asks nobody
/// while it waits itself (coordinated omission).
struct Start {
  MonotonicTime due;
  bool measured = true;
};

/// What was due before the end and had to wait is still begun for so long after it: without them a
/// stall at the end would not show.
inline constexpr std::chrono::seconds grace{1};

/// Registrations that were due and found no place until the end, and the grace after it.
struct Backlog {
  std::uint64_t count = 0;
  std::chrono::nanoseconds oldest{};  ///< how long the first of them had waited at the end
};

/// Used by any number of threads. Has no clock of its own: time is what its callers say.
class Pacer {
 public:
  explicit Pacer(const Schedule& schedule) noexcept : schedule_(schedule) {}

  /// The next registration, for a caller with a free place; nothing where none is due yet or any
  /// more. Each is given to one caller.
  [[nodiscard]] std::optional<Start> take(MonotonicTime now) noexcept;
  /// When take() will have one: in the past where it has one already, MonotonicTime::max() where it
  /// has none any more. Another thread may be first.
  [[nodiscard]] MonotonicTime next(MonotonicTime now) const noexcept;
  /// What take() has not given out of what was due by `stopped` or the schedule's end, whichever is
  /// first.
  [[nodiscard]] Backlog backlog(MonotonicTime stopped) const noexcept;

  [[nodiscard]] const Schedule& schedule() const noexcept { return schedule_; }

 private:
  [[nodiscard]] MonotonicTime due(std::uint64_t number) const noexcept;
  [[nodiscard]] bool is_over(MonotonicTime now) const noexcept;
  [[nodiscard]] bool exhausted(std::uint64_t number) const noexcept;

  Schedule schedule_;
  std::atomic<std::uint64_t> taken_ = 0;
};

}  // namespace lp::probe::load
