// The replay window (lp-protocol(7), "Replay window"): exact over the last 1,024 counters.
#pragma once

#include <cstdint>
#include <span>

#include "lib/replay/dispatch.h"
#include "lib/replay/kernel.h"

namespace lp::replay {

/// The counters up to and including the highest accepted, 1,024 of them, in 144 bytes.
///
/// Checking and marking are two calls, for a packet must be authenticated between them: a forged
/// packet never moves the window. Not thread-safe.
class Window {
 public:
  static constexpr std::uint64_t size = ring_words * word_bits;

  /// What `validate(counter)` would say, changing nothing.
  [[nodiscard]] Verdict check(std::uint64_t counter) const noexcept {
    const std::uint64_t behind = state_.head - counter / word_bits;
    if (behind >= ring_words) return check_outside(counter);
    const std::uint64_t word = state_.ring[counter / word_bits % ring_words];
    return (word & bit_of(counter)) != 0 ? Verdict::duplicate : Verdict::accept;
  }

  /// Accepts and marks `counter`, moving the window where it is the new highest; or says why not.
  Verdict validate(std::uint64_t counter) noexcept {
    const std::uint64_t behind = state_.head - counter / word_bits;
    if (behind >= ring_words) {
      // Words are numbers of 58 bits, so the sign of a difference tells which is the greater.
      if (static_cast<std::int64_t>(behind) <= static_cast<std::int64_t>(ring_words)) [[unlikely]] {
        return validate_outside(counter);
      }
      return Verdict::too_old;
    }
    // The head and the 15 words below it lie within the window whatever the highest counter is, and
    // no bit above it is set. So there is nothing to compare here: one path for counters that are
    // in order, late or seen before.
    std::uint64_t& word = state_.ring[counter / word_bits % ring_words];
    const std::uint64_t bit = bit_of(counter);
    if ((word & bit) != 0) return Verdict::duplicate;
#if defined(__x86_64__)
    // Makes the compiler forget what it has loaded, and so mark with one `or` to memory. Where the
    // next counter has its bit in the same word, that is the faster way (docs/replay.md).
    asm("" : "+m"(word));
#endif
    word |= bit;
    return Verdict::accept;
  }

  /// Many counters at once: writes to `verdicts` what validating one after another would say, and
  /// leaves the window as that would. Takes as many counters as the shorter of the two has; they
  /// must not overlap. For packets that are authenticated already.
  void validate(std::span<const std::uint64_t> counters, std::span<Verdict> verdicts) noexcept;

 private:
  static std::uint64_t bit_of(std::uint64_t counter) noexcept {
    return std::uint64_t{1} << (counter % word_bits);
  }
  [[nodiscard]] Verdict check_outside(std::uint64_t counter) const noexcept;
  Verdict validate_outside(std::uint64_t counter) noexcept;

  State state_{};
};

static_assert(sizeof(Window) == 144);

}  // namespace lp::replay
