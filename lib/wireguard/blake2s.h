// BLAKE2s as WireGuard uses it ("WireGuard: Next Generation Kernel Network Tunnel", section 5.4):
// Hash, Mac and Kdf, from OpenSSL.
//
// OpenSSL can fail here in two ways: for want of memory, or because its configuration has taken
// BLAKE2s away (a FIPS provider alone). The second is asked once, with blake2s_works(); after that
// a failure throws std::bad_alloc, as any other allocation does.
#pragma once

#include <array>

#include "lib/base/bytes.h"
#include "lib/base/secret.h"

namespace lp::wireguard {

using Digest = ByteArray<32>;
using MacTag = ByteArray<16>;

/// Runs known answers. False: no tunnel can be had with this OpenSSL.
[[nodiscard]] bool blake2s_works() noexcept;

/// Hash(a ‖ b): BLAKE2s-256.
[[nodiscard]] Digest hash(ByteView a, ByteView b = {});

/// Mac(key, input): BLAKE2s-128 keyed with 1 to 32 bytes.
[[nodiscard]] MacTag mac(ByteView key, ByteView input);

/// Kdf_N(key, input): HKDF with HMAC-BLAKE2s-256. N is 1, 2 or 3.
template <std::size_t N>
[[nodiscard]] std::array<Secret<32>, N> kdf(const Secret<32>& key, ByteView input);

extern template std::array<Secret<32>, 1> kdf<1>(const Secret<32>&, ByteView);
extern template std::array<Secret<32>, 2> kdf<2>(const Secret<32>&, ByteView);
extern template std::array<Secret<32>, 3> kdf<3>(const Secret<32>&, ByteView);

}  // namespace lp::wireguard
