// HandshakeState of the Noise specification, section 5.3, for the one pattern LP has:
//
//   Noise_XKpsk3_25519_ChaChaPoly_SHA256
//     <- s
//     ...
//     -> e, es          48 bytes
//     <- e, ee          48 bytes
//     -> s, se, psk     64 bytes
//
// Empty prologue, empty payloads.
#pragma once

#include <optional>
#include <utility>

#include "lib/crypto/keys.h"
#include "lib/noise/symmetric_state.h"
#include "lib/wire/format.h"

namespace lp::noise {

using Message1 = ByteArray<wire::noise_message_1_size>;
using Message2 = ByteArray<wire::noise_message_2_size>;
using Message3 = ByteArray<wire::noise_message_3_size>;

/// Keys of one direction each.
struct TransportKeys {
  CipherState send;
  CipherState receive;
};

/// The initiator's half. Each step is called once, in order; a failed step ends the handshake.
class Initiator {
 public:
  /// `ephemeral` is fresh (tests pass a fixed one). Key pairs are taken over.
  Initiator(crypto::X25519KeyPair local_static, const crypto::X25519Public& remote_static,
            crypto::X25519KeyPair ephemeral) noexcept;

  /// -> e, es. Fails with key_low_order.
  [[nodiscard]] Result<Message1> write_message_1() noexcept;
  /// <- e, ee. Fails with key_low_order, noise_decrypt.
  [[nodiscard]] Status read_message_2(const Message2& message) noexcept;
  /// -> s, se, psk.
  [[nodiscard]] Result<Message3> write_message_3(const Secret<32>& psk) noexcept;
  /// After message 3.
  [[nodiscard]] TransportKeys split() noexcept;
  [[nodiscard]] const crypto::Sha256Digest& handshake_hash() const noexcept;

 private:
  SymmetricState symmetric_;
  crypto::X25519KeyPair s_;
  crypto::X25519KeyPair e_;
  crypto::X25519Public rs_;
  crypto::X25519Public re_;
};

/// The responder's half. The local static pair must outlive it: one pair serves all connections.
class Responder {
 public:
  Responder(const crypto::X25519KeyPair& local_static, crypto::X25519KeyPair ephemeral) noexcept;

  /// -> e, es. Fails with key_low_order, noise_decrypt.
  [[nodiscard]] Status read_message_1(const Message1& message) noexcept;
  /// <- e, ee. Fails with key_low_order.
  [[nodiscard]] Result<Message2> write_message_2() noexcept;
  /// -> s: the initiator's static key, authenticated by nothing yet but decrypted. Comes before
  /// read_message_3_psk so that the caller can refuse it (static_key_mismatch) and derive the PSK.
  [[nodiscard]] Result<crypto::X25519Public> read_message_3_static(
      const Message3& message) noexcept;
  /// se, psk and the final tag. Fails with key_low_order, noise_decrypt.
  [[nodiscard]] Status read_message_3_psk(const Message3& message, const Secret<32>& psk) noexcept;
  [[nodiscard]] TransportKeys split() noexcept;
  [[nodiscard]] const crypto::Sha256Digest& handshake_hash() const noexcept;

 private:
  SymmetricState symmetric_;
  const crypto::X25519KeyPair* s_;
  crypto::X25519KeyPair e_;
  crypto::X25519Public rs_;
  crypto::X25519Public re_;
};

}  // namespace lp::noise
