// Randomness, from libsodium.
#pragma once

#include "lib/base/bytes.h"
#include "lib/base/error.h"

namespace lp::crypto {

/// Starts libsodium, and BLAKE3's choice of instructions. Every program calls it once, before it
/// has threads; it may be called again from any thread.
[[nodiscard]] Status initialise() noexcept;

void random_bytes(MutableByteView out) noexcept;
[[nodiscard]] std::uint32_t random_u32() noexcept;

}  // namespace lp::crypto
