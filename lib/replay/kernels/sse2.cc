// x86-64: every such processor has SSE2. It has no shift by a count for each lane, so what it can
// tell at once is whether counters follow one another without a gap.
#include <emmintrin.h>

#include "lib/replay/kernels/block_batch.h"

namespace lp::replay::kernels {
namespace {

struct Sse2 {
  static constexpr std::size_t block = 8;

  static void open(State* state, std::uint64_t word) noexcept {
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
  static std::uint64_t block_within(std::uint64_t word, const std::uint64_t* counters) noexcept {
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

  static void store_verdicts(Verdict* verdicts, Verdict verdict) noexcept {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(verdicts),
                     _mm_set1_epi8(static_cast<char>(verdict)));
  }
};

}  // namespace

constinit const Kernel sse2 = {"sse2", Sse2::open, batch_in_blocks<Sse2>};

}  // namespace lp::replay::kernels
