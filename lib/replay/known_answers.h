// The test that a kernel passes before it is used: counters whose verdicts are known.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lib/replay/kernel.h"

namespace lp::replay {

/// First a walk over runs, late counters, repeats and jumps; then a jump of each number of words
/// that makes a difference, each followed by all that it must have kept and must have cleared.
/// Always the same.
using Questions = std::array<std::uint64_t, 6144>;
Questions known_questions() noexcept;

/// FNV-1a over verdicts, a byte each.
std::uint64_t digest(std::span<const Verdict> verdicts) noexcept;

/// digest() of the right verdicts, which a set-based model gave.
constexpr std::uint64_t known_digest = 18055440081839223646U;

/// Whether the kernel gives the known answers, one counter at a time and in batches, and both leave
/// the same state. Takes some tens of microseconds.
[[nodiscard]] bool gives_known_answers(const Kernel& kernel) noexcept;

}  // namespace lp::replay
