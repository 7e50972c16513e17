// The test that a kernel passes before it is used: counters whose verdicts are known.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lib/replay/kernel.h"

namespace lp::replay {

/// A walk over steps, late counters, repeats and jumps of up to 18 words. Always the same.
using Questions = std::array<std::uint64_t, 4096>;
Questions known_questions() noexcept;

/// FNV-1a over verdicts, a byte each.
std::uint64_t digest(std::span<const Verdict> verdicts) noexcept;

/// digest() of the right verdicts, which a set-based model gave.
constexpr std::uint64_t known_digest = 12602058192390294273U;

/// Whether the kernel gives the known answers, one counter at a time and in batches, and both leave
/// the same state. Takes some tens of microseconds.
[[nodiscard]] bool gives_known_answers(const Kernel& kernel) noexcept;

}  // namespace lp::replay
