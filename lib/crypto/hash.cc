#include "lib/crypto/hash.h"

#include <sodium.h>

namespace lp::crypto {
namespace {

/// HMAC-SHA-256(key, a ‖ b).
Secret<32> hmac_sha256(const Secret<32>& key, ByteView a, ByteView b = {}) noexcept {
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, key.data(), Secret<32>::size);
  crypto_auth_hmacsha256_update(&state, a.data(), a.size());
  crypto_auth_hmacsha256_update(&state, b.data(), b.size());
  Secret<32> mac;
  crypto_auth_hmacsha256_final(&state, mac.mutable_bytes().data());
  sodium_memzero(&state, sizeof state);
  return mac;
}

}  // namespace

Sha256Digest sha256(ByteView a, ByteView b) noexcept {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, a.data(), a.size());
  crypto_hash_sha256_update(&state, b.data(), b.size());
  Sha256Digest digest;
  crypto_hash_sha256_final(&state, digest.data());
  return digest;
}

template <std::size_t N>
std::array<Secret<32>, N> noise_hkdf(const Secret<32>& chaining_key,
                                     ByteView input_key_material) noexcept {
  static_assert(N == 2 || N == 3);
  const Secret<32> temp_key = hmac_sha256(chaining_key, input_key_material);
  std::array<Secret<32>, N> outputs;
  ByteView previous;
  for (std::size_t i = 0; i < N; ++i) {
    const std::uint8_t index = static_cast<std::uint8_t>(i + 1);
    outputs[i] = hmac_sha256(temp_key, previous, ByteView(&index, 1));
    previous = outputs[i].bytes();
  }
  return outputs;
}

template std::array<Secret<32>, 2> noise_hkdf<2>(const Secret<32>&, ByteView) noexcept;
template std::array<Secret<32>, 3> noise_hkdf<3>(const Secret<32>&, ByteView) noexcept;

}  // namespace lp::crypto
