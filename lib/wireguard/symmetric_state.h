// SymmetricState of the Noise specification, section 5.2, for the one protocol that WireGuard has:
// Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s with its prologue.
#pragma once

#include "lib/crypto/keys.h"
#include "lib/noise/cipher_state.h"
#include "lib/wireguard/blake2s.h"
#include "lib/wireguard/refusal.h"

namespace lp::wireguard {

class SymmetricState {
 public:
  /// Protocol name, prologue, and the pre-message `<- s`.
  explicit SymmetricState(const crypto::X25519Public& responder_static);

  void mix_key(ByteView input_key_material);
  void mix_hash(ByteView data);
  void mix_key_and_hash(ByteView input_key_material);
  /// Token `e`, either way: its bytes go into the hash and, there being a psk token, the key.
  void mix_ephemeral(const crypto::X25519Public& ephemeral);
  /// Tokens `es`, `ss`, `ee`, `se`. Fails with key_low_order.
  [[nodiscard]] Result<void> mix_dh(const crypto::X25519Secret& own,
                                    const crypto::X25519Public& peer);

  /// `out` has plaintext.size() + 16 bytes. There is a key: mix_key came before.
  void encrypt_and_hash(ByteView plaintext, MutableByteView out);
  /// `out` has ciphertext.size() - 16 bytes. Fails with authentication.
  [[nodiscard]] Result<void> decrypt_and_hash(ByteView ciphertext, MutableByteView out);

  /// A copy without the cipher's key, which the next message's first token replaces: a message that
  /// turns out forged is tried on the copy and leaves this one as it was.
  [[nodiscard]] SymmetricState fork() const;

  /// Keys from initiator to responder, and from responder to initiator. Ends this object's use.
  [[nodiscard]] std::pair<noise::CipherState, noise::CipherState> split();

  [[nodiscard]] const Digest& handshake_hash() const noexcept { return h_; }

 private:
  SymmetricState(const Secret<32>& ck, const Digest& h) : ck_(ck.clone()), h_(h) {}

  noise::CipherState cipher_;
  Secret<32> ck_;
  Digest h_{};
};

}  // namespace lp::wireguard
