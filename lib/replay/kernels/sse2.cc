// x86-64: every such processor has SSE2. It has no shift by a count for each lane, so what it can
// tell at once is whether counters follow one another without a gap.
#include <emmintrin.h>

#include "lib/replay/kernels/kernels.h"

namespace lp::replay::kernels {
namespace {

constexpr std::size_t block = 8;

void open(State* state, std::uint64_t word) noexcept {
  if (word - state->head <= ring_words) return scalar_open(state, word);
  const __m128i zero = _mm_setzero_si128();
  auto* const ring = reinterpret_cast<__m128i*>(state->ring);
  _mm_storeu_si128(ring + 0, zero);
  _mm_storeu_si128(ring + 1, zero);
  _mm_storeu_si128(ring + 2, zero);
  _mm_storeu_si128(ring + 3, zero);
  _mm_storeu_si128(ring + 4, zero);
  _mm_storeu_si128(ring + 5, zero);
  _mm_storeu_si128(ring + 6, zero);
  _mm_storeu_si128(ring + 7, zero);
  state->head = word;
  state->oldest = 0;
}

/// The bits of eight counters within `word`, each one more than the one before; 0 if they are
/// anything else.
std::uint64_t block_within(std::uint64_t word, const std::uint64_t* counters) noexcept {
  const std::uint64_t place = counters[0] - word * word_bits;
  if (place > word_bits - block) return 0;
  const auto* const source = reinterpret_cast<const __m128i*>(counters);
  const __m128i two = _mm_set1_epi64x(2);
  const __m128i first = _mm_set1_epi64x(static_cast<long long>(counters[0]));
  const __m128i expected0 = _mm_add_epi64(first, _mm_set_epi64x(1, 0));
  const __m128i expected1 = _mm_add_epi64(expected0, two);
  const __m128i expected2 = _mm_add_epi64(expected1, two);
  const __m128i expected3 = _mm_add_epi64(expected2, two);
  // Halves are compared, for SSE2 has no comparison of 64 bits; all must be equal anyway.
  const __m128i equal =
      _mm_and_si128(_mm_and_si128(_mm_cmpeq_epi32(_mm_loadu_si128(source + 0), expected0),
                                  _mm_cmpeq_epi32(_mm_loadu_si128(source + 1), expected1)),
                    _mm_and_si128(_mm_cmpeq_epi32(_mm_loadu_si128(source + 2), expected2),
                                  _mm_cmpeq_epi32(_mm_loadu_si128(source + 3), expected3)));
  return _mm_movemask_epi8(equal) == 0xffff ? std::uint64_t{0xff} << place : 0;
}

void store_verdicts(Verdict* verdicts, Verdict verdict) noexcept {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(verdicts), _mm_set1_epi8(static_cast<char>(verdict)));
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

constinit const Kernel sse2 = {"sse2", open, batch};

}  // namespace lp::replay::kernels
