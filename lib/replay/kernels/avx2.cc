// x86-64 with AVX2 and POPCNT. Compiled with -mavx2 -mpopcnt: nothing here may run before the
// dispatcher has asked the processor.
#include <immintrin.h>

#include "lib/replay/kernels/kernels.h"

namespace lp::replay::kernels {
namespace {

constexpr std::size_t block = 16;

void open(State* state, std::uint64_t word) noexcept {
  if (word - state->head <= ring_words) return scalar_open(state, word);
  const __m256i zero = _mm256_setzero_si256();
  auto* const ring = reinterpret_cast<__m256i*>(state->ring);
  _mm256_storeu_si256(ring + 0, zero);
  _mm256_storeu_si256(ring + 1, zero);
  _mm256_storeu_si256(ring + 2, zero);
  _mm256_storeu_si256(ring + 3, zero);
  state->head = word;
  state->oldest = 0;
}

__m256i load(const std::uint64_t* counters) noexcept {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(counters));
}

/// The bits of a block of counters within `word`, all different; 0 if they are anything else.
std::uint64_t block_within(std::uint64_t word, const std::uint64_t* counters) noexcept {
  const std::uint64_t first = word * word_bits;
  const __m256i start = _mm256_set1_epi64x(static_cast<long long>(first));
  const __m256i a = _mm256_xor_si256(load(counters + 0), start);
  const __m256i b = _mm256_xor_si256(load(counters + 4), start);
  const __m256i c = _mm256_xor_si256(load(counters + 8), start);
  const __m256i d = _mm256_xor_si256(load(counters + 12), start);
  const __m256i places = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
  if (_mm256_testz_si256(places, _mm256_set1_epi64x(~63LL)) == 0) return 0;
  const __m256i one = _mm256_set1_epi64x(1);
  const __m256i four =
      _mm256_or_si256(_mm256_or_si256(_mm256_sllv_epi64(one, a), _mm256_sllv_epi64(one, b)),
                      _mm256_or_si256(_mm256_sllv_epi64(one, c), _mm256_sllv_epi64(one, d)));
  const __m128i two = _mm_or_si128(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
  const __m128i all = _mm_or_si128(two, _mm_unpackhi_epi64(two, two));
  const auto bits = static_cast<std::uint64_t>(_mm_cvtsi128_si64(all));
  return _mm_popcnt_u64(bits) == static_cast<long long>(block) ? bits : 0;
}

void store_verdicts(Verdict* verdicts, Verdict verdict) noexcept {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(verdicts), _mm_set1_epi8(static_cast<char>(verdict)));
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

constinit const Kernel avx2 = {"avx2", open, batch};

}  // namespace lp::replay::kernels
