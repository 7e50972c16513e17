// x86-64 with AVX2 and POPCNT. Compiled with -mavx2 -mpopcnt: nothing here may run before the
// dispatcher has asked the processor.
#include <immintrin.h>

#include "lib/replay/kernels/block_batch.h"

namespace lp::replay::kernels {
namespace {

struct Avx2 {
  static constexpr std::size_t block = 16;

  static void open(State* state, std::uint64_t word) noexcept {
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

  static __m256i load(const std::uint64_t* counters) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(counters));
  }

  /// The bits of a block of counters within `word`, all different; 0 if they are anything else.
  static std::uint64_t block_within(std::uint64_t word, const std::uint64_t* counters) noexcept {
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
    const __m128i two =
        _mm_or_si128(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
    const __m128i all = _mm_or_si128(two, _mm_unpackhi_epi64(two, two));
    const auto bits = static_cast<std::uint64_t>(_mm_cvtsi128_si64(all));
    return _mm_popcnt_u64(bits) == static_cast<long long>(block) ? bits : 0;
  }

  static void store_verdicts(Verdict* verdicts, Verdict verdict) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(verdicts),
                     _mm_set1_epi8(static_cast<char>(verdict)));
  }
};

}  // namespace

constinit const Kernel avx2 = {"avx2", Avx2::open, batch_in_blocks<Avx2>};

}  // namespace lp::replay::kernels
