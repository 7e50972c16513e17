// SymmetricState of the Noise specification, section 5.2, with SHA-256.
#pragma once

#include <string_view>
#include <utility>

#include "lib/crypto/hash.h"
#include "lib/noise/cipher_state.h"

namespace lp::noise {

class SymmetricState {
 public:
  explicit SymmetricState(std::string_view protocol_name) noexcept;

  void mix_key(ByteView input_key_material) noexcept;
  void mix_hash(ByteView data) noexcept;
  void mix_key_and_hash(ByteView input_key_material) noexcept;
  [[nodiscard]] const crypto::Sha256Digest& handshake_hash() const noexcept { return h_; }

  /// `out` has plaintext.size() bytes, and 16 more once there is a key.
  [[nodiscard]] Status encrypt_and_hash(ByteView plaintext, MutableByteView out) noexcept;
  [[nodiscard]] Status decrypt_and_hash(ByteView ciphertext, MutableByteView out) noexcept;

  /// The transport keys: initiator to responder, responder to initiator. Ends this object's use.
  [[nodiscard]] std::pair<CipherState, CipherState> split() noexcept;

 private:
  CipherState cipher_;
  Secret<32> ck_;
  crypto::Sha256Digest h_{};
};

}  // namespace lp::noise
