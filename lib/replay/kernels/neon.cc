// AArch64: every such processor has NEON.
#include <arm_neon.h>

#include "lib/replay/kernels/kernels.h"

namespace lp::replay::kernels {
namespace {

constexpr std::size_t block = 8;

void open(State* state, std::uint64_t word) noexcept {
  if (word - state->head <= ring_words) return scalar_open(state, word);
  const uint64x2_t zero = vdupq_n_u64(0);
  vst1q_u64(state->ring + 0, zero);
  vst1q_u64(state->ring + 2, zero);
  vst1q_u64(state->ring + 4, zero);
  vst1q_u64(state->ring + 6, zero);
  vst1q_u64(state->ring + 8, zero);
  vst1q_u64(state->ring + 10, zero);
  vst1q_u64(state->ring + 12, zero);
  vst1q_u64(state->ring + 14, zero);
  state->head = word;
  state->oldest = 0;
}

std::uint64_t or_of_lanes(uint64x2_t lanes) noexcept {
  return vgetq_lane_u64(lanes, 0) | vgetq_lane_u64(lanes, 1);
}

/// The bits of eight counters within `word`, all different; 0 if they are anything else.
std::uint64_t block_within(std::uint64_t word, const std::uint64_t* counters) noexcept {
  const uint64x2_t start = vdupq_n_u64(word * word_bits);
  const uint64x2_t a = veorq_u64(vld1q_u64(counters + 0), start);
  const uint64x2_t b = veorq_u64(vld1q_u64(counters + 2), start);
  const uint64x2_t c = veorq_u64(vld1q_u64(counters + 4), start);
  const uint64x2_t d = veorq_u64(vld1q_u64(counters + 6), start);
  if (or_of_lanes(vorrq_u64(vorrq_u64(a, b), vorrq_u64(c, d))) >= word_bits) return 0;
  const uint64x2_t one = vdupq_n_u64(1);
  const uint64x2_t low =
      vorrq_u64(vshlq_u64(one, vreinterpretq_s64_u64(a)), vshlq_u64(one, vreinterpretq_s64_u64(b)));
  const uint64x2_t high =
      vorrq_u64(vshlq_u64(one, vreinterpretq_s64_u64(c)), vshlq_u64(one, vreinterpretq_s64_u64(d)));
  const std::uint64_t bits = or_of_lanes(vorrq_u64(low, high));
  return vaddv_u8(vcnt_u8(vcreate_u8(bits))) == block ? bits : 0;
}

void store_verdicts(Verdict* verdicts, Verdict verdict) noexcept {
  vst1_u8(reinterpret_cast<std::uint8_t*>(verdicts), vdup_n_u8(static_cast<std::uint8_t>(verdict)));
}

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
    open(state, word);
  }
  current->seen = 0;
  return true;
}

/// Takes a block within one word if each counter is new or each was seen before: then their order
/// does not matter. Else changes nothing.
bool take_block(State* state, Open* current, const std::uint64_t* counters,
                Verdict* verdicts) noexcept {
  const std::uint64_t word = counters[0] / word_bits;
  const std::uint64_t bits = block_within(word, counters);
  if (bits == 0) return false;
  if (word != current->word && !change(state, current, word)) return false;
  const std::uint64_t duplicates = current->seen & bits;
  if (duplicates == 0) {
    current->seen |= bits;
    store_verdicts(verdicts, Verdict::accept);
    return true;
  }
  if (duplicates != bits) return false;
  store_verdicts(verdicts, Verdict::duplicate);
  return true;
}

/// How many counters to take one by one where a block was none: to the end of a word, so that the
/// next block may be one again; else several blocks, for where one is mixed the next will be too,
/// and trying each of them costs more than it finds.
std::size_t step_over(std::uint64_t counter, std::size_t left) noexcept {
  const std::uint64_t to_next_word = word_bits - counter % word_bits;
  const std::size_t step = to_next_word < block ? to_next_word : 4 * block;
  return step < left ? step : left;
}

void batch(State* state, const std::uint64_t* counters, std::size_t count,
           Verdict* verdicts) noexcept {
  std::size_t i = 0;
  Open current = open_head(state);
  while (count - i >= block) {
    if (take_block(state, &current, counters + i, verdicts + i)) {
      i += block;
      continue;
    }
    store(state, current);
    const std::size_t step = step_over(counters[i], count - i);
    one_by_one(state, counters + i, step, verdicts + i, open);
    i += step;
    current = open_head(state);
  }
  store(state, current);
  one_by_one(state, counters + i, count - i, verdicts + i, open);
}

}  // namespace

constinit const Kernel neon = {"neon", open, batch};

}  // namespace lp::replay::kernels
