// The kernels of this build. Which of them the machine can run is for the dispatcher to find out.
#pragma once

#include "lib/replay/kernel.h"

namespace lp::replay::kernels {

extern const Kernel scalar;
#if defined(__x86_64__)
extern const Kernel sse2;
extern const Kernel avx2;
#elif defined(__aarch64__)
extern const Kernel neon;
#endif

/// scalar.open, for kernels whose registers are of no use in a jump of a few words.
void scalar_open(State* state, std::uint64_t word) noexcept;

/// One counter after another, for what the blocks of a kernel do not cover. Jumps go to `open`.
void one_by_one(State* state, const std::uint64_t* counters, std::size_t count, Verdict* verdicts,
                decltype(Kernel::open) open) noexcept;

}  // namespace lp::replay::kernels
