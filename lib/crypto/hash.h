// SHA-256, HMAC-SHA-256 and Noise's HKDF over it, from libsodium.
#pragma once

#include <array>

#include "lib/base/bytes.h"
#include "lib/base/secret.h"

namespace lp::crypto {

using Sha256Digest = ByteArray<32>;

/// SHA-256(a ‖ b).
[[nodiscard]] Sha256Digest sha256(ByteView a, ByteView b = {}) noexcept;

/// HKDF of the Noise specification, section 4.3: `chaining_key` is the HMAC key, N is 2 or 3.
template <std::size_t N>
[[nodiscard]] std::array<Secret<32>, N> noise_hkdf(const Secret<32>& chaining_key,
                                                   ByteView input_key_material) noexcept;

extern template std::array<Secret<32>, 2> noise_hkdf<2>(const Secret<32>&, ByteView) noexcept;
extern template std::array<Secret<32>, 3> noise_hkdf<3>(const Secret<32>&, ByteView) noexcept;

}  // namespace lp::crypto
