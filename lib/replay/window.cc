#include "lib/replay/window.h"

#include <algorithm>

namespace lp::replay {

Verdict Window::check_outside(std::uint64_t counter) const noexcept {
  const std::uint64_t word = counter / word_bits;
  if (word > state_.head) return Verdict::accept;
  if (state_.head - word > ring_words) return Verdict::too_old;
  // Word head - 16, of which the window has the counters that stand above the place of the highest
  // one: at most 1,023 below it. The head has a bit set, for a head above word 0 was accepted.
  const std::uint64_t bit = bit_of(counter);
  if (bit <= state_.ring[state_.head % ring_words]) return Verdict::too_old;
  return (state_.oldest & bit) != 0 ? Verdict::duplicate : Verdict::accept;
}

Verdict Window::validate_outside(std::uint64_t counter) noexcept {
  const std::uint64_t word = counter / word_bits;
  if (word > state_.head) {
    active_kernel->open(&state_, word);
    state_.ring[word % ring_words] = bit_of(counter);
    return Verdict::accept;
  }
  const Verdict verdict = check_outside(counter);
  if (verdict == Verdict::accept) state_.oldest |= bit_of(counter);
  return verdict;
}

void Window::validate(std::span<const std::uint64_t> counters,
                      std::span<Verdict> verdicts) noexcept {
  const std::size_t count = std::min(counters.size(), verdicts.size());
  active_kernel->batch(&state_, counters.data(), count, verdicts.data());
}

}  // namespace lp::replay
