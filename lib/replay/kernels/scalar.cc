// Any machine. The other kernels come here with what their registers are no help for.
#include "lib/replay/kernels/kernels.h"

namespace lp::replay::kernels {
namespace {

/// A counter that the ring does not cover.
Verdict outside(State* state, std::uint64_t counter, decltype(Kernel::open) open) noexcept {
  const std::uint64_t word = counter / word_bits;
  const std::uint64_t bit = std::uint64_t{1} << (counter % word_bits);
  if (word > state->head) {
    open(state, word);
    state->ring[word % ring_words] = bit;
    return Verdict::accept;
  }
  if (state->head - word > ring_words) return Verdict::too_old;
  // The oldest word: of it the window still has the counters whose place in the word is above the
  // highest counter's in the head. The head is not 0: this word lies 16 below it.
  const std::uint64_t head = state->ring[state->head % ring_words];
  if (bit <= head) return Verdict::too_old;
  if ((state->oldest & bit) != 0) return Verdict::duplicate;
  state->oldest |= bit;
  return Verdict::accept;
}

void batch(State* state, const std::uint64_t* counters, std::size_t count,
           Verdict* verdicts) noexcept {
  one_by_one(state, counters, count, verdicts, scalar_open);
}

}  // namespace

void scalar_open(State* state, std::uint64_t word) noexcept {
  std::uint64_t* const ring = state->ring;
  const std::uint64_t head = state->head;
  const std::uint64_t ahead = word - head;
  state->head = word;
  state->oldest = ahead <= ring_words ? ring[word % ring_words] : 0;
  // Stores a fixed number of words, the last of them again and again where the jump passes fewer:
  // a loop of as many turns as words costs a mispredicted branch, more than all stores together.
  const auto clear = [ring, head, ahead](std::uint64_t step) {
    ring[(head + (step < ahead ? step : ahead)) % ring_words] = 0;
  };
  clear(1);
  if (ahead == 1) return;
  clear(2), clear(3), clear(4), clear(5), clear(6), clear(7), clear(8);
  if (ahead <= 8) return;
  clear(9), clear(10), clear(11), clear(12), clear(13), clear(14), clear(15), clear(16);
}

void one_by_one(State* state, const std::uint64_t* counters, std::size_t count, Verdict* verdicts,
                decltype(Kernel::open) open) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t word = counters[i] / word_bits;
    if (state->head - word >= ring_words) {
      verdicts[i] = outside(state, counters[i], open);
      continue;
    }
    const std::uint64_t bit = std::uint64_t{1} << (counters[i] % word_bits);
    std::uint64_t& bits = state->ring[word % ring_words];
    if ((bits & bit) != 0) {
      verdicts[i] = Verdict::duplicate;
      continue;
    }
    verdicts[i] = Verdict::accept;
#if defined(__x86_64__)
    asm("" : "+m"(bits));  // as in window.h
#endif
    bits |= bit;
  }
}

constinit const Kernel scalar = {"scalar", scalar_open, batch};

}  // namespace lp::replay::kernels
