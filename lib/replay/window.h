// The replay window (lp-protocol(7), "Replay window"): exact over the last 1,024 counters.
#pragma once

#include <array>
#include <cstdint>

namespace lp::replay {

enum class Verdict : std::uint8_t { accept, duplicate, too_old };

/// The counters up to and including the highest accepted, 1,024 of them. A ring of 16 words indexed
/// by the counter itself, so that advancing clears only what a jump passes. 144 bytes.
///
/// Checking and marking are two calls, for a packet must be authenticated between them: a forged
/// packet never moves the window. Not thread-safe.
class Window {
 public:
  static constexpr std::uint64_t size = 1024;

  /// What `validate(counter)` would say, changing nothing.
  [[nodiscard]] Verdict check(std::uint64_t counter) const noexcept;
  /// Accepts and marks `counter`, moving the window where it is the new highest; or says why not.
  Verdict validate(std::uint64_t counter) noexcept;

 private:
  std::uint64_t highest_ = 0;
  std::uint64_t any_ = 0;  // 1 once a counter was accepted: before that 0 is not the highest
  std::array<std::uint64_t, 16> bits_{};
};

static_assert(sizeof(Window) == 144);

}  // namespace lp::replay
