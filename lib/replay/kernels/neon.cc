// AArch64: every such processor has NEON.
#include <arm_neon.h>

#include "lib/replay/kernels/block_batch.h"

namespace lp::replay::kernels {
namespace {

struct Neon {
  static constexpr std::size_t block = 8;

  static void open(State* state, std::uint64_t word) noexcept {
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

  static std::uint64_t or_of_lanes(uint64x2_t lanes) noexcept {
    return vgetq_lane_u64(lanes, 0) | vgetq_lane_u64(lanes, 1);
  }

  /// The bits of eight counters within `word`, all different; 0 if they are anything else.
  static std::uint64_t block_within(std::uint64_t word, const std::uint64_t* counters) noexcept {
    const uint64x2_t start = vdupq_n_u64(word * word_bits);
    const uint64x2_t a = veorq_u64(vld1q_u64(counters + 0), start);
    const uint64x2_t b = veorq_u64(vld1q_u64(counters + 2), start);
    const uint64x2_t c = veorq_u64(vld1q_u64(counters + 4), start);
    const uint64x2_t d = veorq_u64(vld1q_u64(counters + 6), start);
    if (or_of_lanes(vorrq_u64(vorrq_u64(a, b), vorrq_u64(c, d))) >= word_bits) return 0;
    const uint64x2_t one = vdupq_n_u64(1);
    const uint64x2_t low = vorrq_u64(vshlq_u64(one, vreinterpretq_s64_u64(a)),
                                     vshlq_u64(one, vreinterpretq_s64_u64(b)));
    const uint64x2_t high = vorrq_u64(vshlq_u64(one, vreinterpretq_s64_u64(c)),
                                      vshlq_u64(one, vreinterpretq_s64_u64(d)));
    const std::uint64_t bits = or_of_lanes(vorrq_u64(low, high));
    return vaddv_u8(vcnt_u8(vcreate_u8(bits))) == block ? bits : 0;
  }

  static void store_verdicts(Verdict* verdicts, Verdict verdict) noexcept {
    vst1_u8(reinterpret_cast<std::uint8_t*>(verdicts),
            vdup_n_u8(static_cast<std::uint8_t>(verdict)));
  }
};

}  // namespace

constinit const Kernel neon = {"neon", Neon::open, batch_in_blocks<Neon>};

}  // namespace lp::replay::kernels
