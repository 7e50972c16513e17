// The initiator's half of WireGuard's handshake (paper, sections 5.4.2 to 5.4.5 and 5.4.7):
//
//   Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s
//     <- s
//     ...
//     -> e, es, s, ss, timestamp
//     <- e, ee, se, psk
//
//   Initiator initiator(own_keys, gateway_key, preshared_key);
//   initiator.initiate(index, fresh_ephemeral, timestamp, now)   the datagram to send
//   initiator.read_response(response)                            the session
//   initiator.read_cookie_reply(reply, now)                      the next initiation carries mac2
//
// Bytes and times go in, bytes come out. A message that is refused changes nothing, so that a
// forged one does not keep the true one from being taken.
#pragma once

#include <optional>

#include "lib/base/clock.h"
#include "lib/wireguard/messages.h"
#include "lib/wireguard/session.h"
#include "lib/wireguard/symmetric_state.h"

namespace lp::wireguard {

/// For how long a cookie is good (section 6.1, cookie_refresh_time).
inline constexpr std::chrono::seconds cookie_lifetime{120};

class Initiator {
 public:
  /// `preshared` is all zero where there is none ("if there is no pre-shared key, it is set to
  /// 0^32").
  Initiator(crypto::X25519KeyPair local_static, const crypto::X25519Public& remote_static,
            Secret<32> preshared);

  /// A new initiation. What came before it is given up: a response to an earlier one is refused.
  /// `index` names the session on this side and should be random; `ephemeral` is fresh; `timestamp`
  /// is later than every one that went to this peer before with this static key. Fails with
  /// key_low_order, where the peer's key is of low order.
  [[nodiscard]] Result<ByteArray<initiation_size>> initiate(std::uint32_t index,
                                                            crypto::X25519KeyPair ephemeral,
                                                            const Tai64n& timestamp,
                                                            MonotonicTime now);

  /// Fails with not_expected (nothing was sent, or its response is read already),
  /// receiver_unknown, mac1_invalid, key_low_order, authentication.
  [[nodiscard]] Result<Session> read_response(const Response& message);

  /// Whether a response that was refused would be taken with this preshared key instead. Changes
  /// nothing: it is for telling a person what is wrong.
  [[nodiscard]] bool would_take(const Response& message, const Secret<32>& preshared) const;

  /// Keeps the cookie for the initiations of the next two minutes; the message that the peer did
  /// not take is not sent again. Fails with not_expected, receiver_unknown, authentication.
  [[nodiscard]] Result<void> read_cookie_reply(const CookieReply& message, MonotonicTime now);

 private:
  /// An initiation that is out.
  struct Sent {
    SymmetricState symmetric;
    crypto::X25519KeyPair ephemeral;
    std::uint32_t index;
    MacTag mac1;
    MonotonicTime at;
    bool cookie_read = false;  ///< one cookie answers one initiation
  };
  struct Cookie {
    MacTag value;
    MonotonicTime received;
  };

  /// The state after message 2, or why it is refused.
  [[nodiscard]] Result<SymmetricState> open(const Response& message,
                                            const Secret<32>& preshared) const;

  crypto::X25519KeyPair local_;
  crypto::X25519Public remote_;
  Secret<32> preshared_;
  Digest mac1_key_out_;  ///< of messages to the peer
  Digest mac1_key_in_;   ///< of messages to this side
  Digest cookie_key_;
  std::optional<Sent> sent_;
  std::optional<Cookie> cookie_;
};

}  // namespace lp::wireguard
