// The batch of a kernel that takes blocks of counters at once. `Vectors` is what differs between
// kernels:
//
//   static constexpr std::size_t block;   // counters in one, at most a word's
//   static void open(State*, std::uint64_t word) noexcept;   // Kernel::open
//   // The bits of a block of counters within `word`, all different; 0 if they are anything else,
//   // and also where they are that but the instruction set makes it dear to find out.
//   static std::uint64_t block_within(std::uint64_t word, const std::uint64_t* counters) noexcept;
//   static void store_verdicts(Verdict*, Verdict) noexcept;   // the same for a whole block
//
// Only the kernels' sources include it. The unnamed namespace is on purpose: each has a copy of its
// own, compiled for its own instruction set, and the linker cannot give one kernel another's.
#pragma once

#include "lib/replay/kernels/kernels.h"

namespace lp::replay::kernels {
namespace {

/// The word of the ring that a batch works on. It is kept in a register: through memory, each block
/// would wait for the one before.
struct Open {
  std::uint64_t word;
  std::uint64_t seen;
};

Open open_head(const State* state) noexcept {
  return {state->head, state->ring[state->head % ring_words]};
}

void store(State* state, const Open& current) noexcept {
  state->ring[current.word % ring_words] = current.seen;
}

/// Goes on to another word, which becomes the head where it is a new one. False where it is too
/// old.
template <typename Vectors>
bool change(State* state, Open* current, std::uint64_t word) noexcept {
  if (word < state->head && state->head - word >= ring_words) return false;
  store(state, *current);
  current->word = word;
  if (word <= state->head) {
    current->seen = state->ring[word % ring_words];
    return true;
  }
  if (word == state->head + 1) {
    state->oldest = state->ring[word % ring_words];
    state->head = word;
  } else {
    Vectors::open(state, word);
  }
  current->seen = 0;
  return true;
}

/// Takes a block within one word if each counter is new or each was seen before: then their order
/// does not matter. Else changes nothing.
template <typename Vectors>
bool take_block(State* state, Open* current, const std::uint64_t* counters,
                Verdict* verdicts) noexcept {
  const std::uint64_t word = counters[0] / word_bits;
  const std::uint64_t bits = Vectors::block_within(word, counters);
  if (bits == 0) return false;
  if (word != current->word && !change<Vectors>(state, current, word)) return false;
  const std::uint64_t duplicates = current->seen & bits;
  if (duplicates == 0) {
    current->seen |= bits;
    Vectors::store_verdicts(verdicts, Verdict::accept);
    return true;
  }
  if (duplicates != bits) return false;
  Vectors::store_verdicts(verdicts, Verdict::duplicate);
  return true;
}

/// How many counters to take one by one where a block was none: to the end of a word, so that the
/// next block may be one again; else several blocks, for where one is mixed the next will be too,
/// and trying each of them costs more than it finds.
std::size_t step_over(std::size_t block, std::uint64_t counter, std::size_t left) noexcept {
  const std::uint64_t to_next_word = word_bits - counter % word_bits;
  const std::size_t step = to_next_word < block ? to_next_word : 4 * block;
  return step < left ? step : left;
}

template <typename Vectors>
void batch_in_blocks(State* state, const std::uint64_t* counters, std::size_t count,
                     Verdict* verdicts) noexcept {
  constexpr std::size_t block = Vectors::block;
  std::size_t i = 0;
  Open current = open_head(state);
  while (count - i >= block) {
    if (take_block<Vectors>(state, &current, counters + i, verdicts + i)) {
      i += block;
      continue;
    }
    store(state, current);
    const std::size_t step = step_over(block, counters[i], count - i);
    one_by_one(state, counters + i, step, verdicts + i, Vectors::open);
    i += step;
    current = open_head(state);
  }
  store(state, current);
  one_by_one(state, counters + i, count - i, verdicts + i, Vectors::open);
}

}  // namespace
}  // namespace lp::replay::kernels
