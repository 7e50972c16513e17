// CipherState of the Noise specification, section 5.1, with ChaCha20-Poly1305.
#pragma once

#include <cstdint>
#include <optional>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/base/secret.h"

namespace lp::noise {

/// A key and a nonce. Move-only; the key wipes itself.
class CipherState {
 public:
  static constexpr std::size_t tag_size = 16;
  /// 2^64 - 1 is reserved (section 5.1).
  static constexpr std::uint64_t max_nonce = UINT64_MAX;

  /// No key: encryption copies.
  CipherState() noexcept = default;

  void initialize_key(Secret<32> key) noexcept;
  [[nodiscard]] bool has_key() const noexcept { return has_key_; }
  [[nodiscard]] std::uint64_t nonce() const noexcept { return nonce_; }

  /// Writes ciphertext ‖ tag to `out`, plaintext.size() + 16 bytes (no tag without a key), with the
  /// next nonce. `out` may begin where `plaintext` does. Fails with counter_exhausted.
  [[nodiscard]] Status encrypt_with_ad(ByteView ad, ByteView plaintext,
                                       MutableByteView out) noexcept;
  /// The reverse. On failure (noise_decrypt, counter_exhausted) the nonce stays as it was.
  [[nodiscard]] Status decrypt_with_ad(ByteView ad, ByteView ciphertext,
                                       MutableByteView out) noexcept;

  /// Transport with explicit nonces: the nonce follows from the packet's counter (lp-protocol(7),
  /// "Transport"); the caller never encrypts twice with one. The own nonce is not touched.
  [[nodiscard]] Status encrypt_at(std::uint64_t nonce, ByteView plaintext,
                                  MutableByteView out) const noexcept;
  [[nodiscard]] Status decrypt_at(std::uint64_t nonce, ByteView ciphertext,
                                  MutableByteView out) const noexcept;

 private:
  Secret<32> key_;
  std::uint64_t nonce_ = 0;
  bool has_key_ = false;
};

}  // namespace lp::noise
