// The other end of a WireGuard handshake, for tests.
#pragma once

#include <optional>

#include "lib/wireguard/handshake.h"

namespace lp::wireguard {

/// When a test begins.
inline constexpr MonotonicTime start{};

class Responder {
 public:
  explicit Responder(crypto::X25519KeyPair local_static, Secret<32> preshared = {});

  /// Takes an initiation with a good mac1; the handshake before it is given up.
  [[nodiscard]] Result<void> read_initiation(ByteView datagram);
  /// After read_initiation: the response, and with it the session.
  [[nodiscard]] Result<ByteArray<response_size>> write_response(std::uint32_t index,
                                                                crypto::X25519KeyPair ephemeral,
                                                                MonotonicTime now);
  /// The answer of a responder under load.
  [[nodiscard]] ByteArray<cookie_reply_size> write_cookie_reply(ByteView initiation,
                                                                const MacTag& cookie) const;
  /// Whether the initiation's mac2 is over `cookie`.
  [[nodiscard]] static bool has_mac2(ByteView initiation, const MacTag& cookie);

  [[nodiscard]] const crypto::X25519Public& public_key() const { return local_.public_key; }
  [[nodiscard]] const crypto::X25519Public& initiator() const { return initiator_; }
  [[nodiscard]] const Tai64n& timestamp() const { return timestamp_; }
  [[nodiscard]] std::optional<Session>& session() { return session_; }
  [[nodiscard]] const Digest& handshake_hash() const { return hash_; }

 private:
  crypto::X25519KeyPair local_;
  Secret<32> preshared_;
  std::optional<SymmetricState> symmetric_;
  crypto::X25519Public initiator_;
  crypto::X25519Public initiator_ephemeral_;
  std::uint32_t initiator_index_ = 0;
  Tai64n timestamp_{};
  Digest hash_{};
  std::optional<Session> session_;
};

/// A response that carries another message than it did when its mac1 was made gets a new one.
void renew_mac1(MutableByteView message, const crypto::X25519Public& recipient);

}  // namespace lp::wireguard
