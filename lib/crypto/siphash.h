// SipHash-1-3, which Rust's standard hasher is. Used for lp_id only: an address, not a secret.
#pragma once

#include "lib/base/bytes.h"

namespace lp::crypto {

/// SipHash-1-3 of `input` with the 128-bit key (k0, k1).
[[nodiscard]] std::uint64_t siphash13(std::uint64_t k0, std::uint64_t k1, ByteView input) noexcept;

}  // namespace lp::crypto
