#include "lib/crypto/hash.h"

#include <sodium.h>

namespace lp::crypto {
namespace {

/// HMAC-SHA-256 under one key: the two blocks that hold the key are hashed once for all messages.
class HmacSha256 {
 public:
  explicit HmacSha256(const Secret<32>& key) noexcept {
    crypto_auth_hmacsha256_init(&keyed_, key.data(), Secret<32>::size);
  }
  HmacSha256(const HmacSha256&) = delete;
  HmacSha256& operator=(const HmacSha256&) = delete;
  ~HmacSha256() { sodium_memzero(&keyed_, sizeof keyed_); }

  /// Of a ‖ b.
  [[nodiscard]] Secret<32> mac(ByteView a, ByteView b = {}) const noexcept {
    crypto_auth_hmacsha256_state state = keyed_;
    crypto_auth_hmacsha256_update(&state, a.data(), a.size());
    crypto_auth_hmacsha256_update(&state, b.data(), b.size());
    Secret<32> mac;
    crypto_auth_hmacsha256_final(&state, mac.mutable_bytes().data());
    sodium_memzero(&state, sizeof state);
    return mac;
  }

 private:
  crypto_auth_hmacsha256_state keyed_;
};

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
  const HmacSha256 temp_key(HmacSha256(chaining_key).mac(input_key_material));
  std::array<Secret<32>, N> outputs;
  ByteView previous;
  for (std::size_t i = 0; i < N; ++i) {
    const std::uint8_t index = static_cast<std::uint8_t>(i + 1);
    outputs[i] = temp_key.mac(previous, ByteView(&index, 1));
    previous = outputs[i].bytes();
  }
  return outputs;
}

template std::array<Secret<32>, 2> noise_hkdf<2>(const Secret<32>&, ByteView) noexcept;
template std::array<Secret<32>, 3> noise_hkdf<3>(const Secret<32>&, ByteView) noexcept;

}  // namespace lp::crypto
