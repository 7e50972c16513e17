// Every error the protocol library can report, as one flat enumeration.
//
// A function that can fail returns Result<T>. Nothing in lib/ throws across its interface.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

namespace lp {

/// One cause of failure. Each has a stable snake_case name (`name`) that metrics and reports may
/// use, and one sentence for people (`gloss`).
enum class Error : std::uint8_t {
  // wire: frames and packets (lp-protocol(7), "Frame and packet")
  frame_oversize,           ///< the length prefix is over 65,536
  packet_too_short,         ///< fewer than 34 bytes: header and trailer do not fit
  version_unsupported,      ///< the protocol version is not 1
  message_type_unknown,     ///< the message type is none of the four
  busy_with_content,        ///< a Busy packet carries content
  client_hello_size,        ///< a ClientHello's content is not 64 bytes
  packet_size_unexpected,   ///< the packet has not the size this state requires
  message_type_unexpected,  ///< a known type that this state does not take
  session_id_mismatch,      ///< the session id is not this connection's lp_id
  counter_unexpected,       ///< a handshake packet has not the one counter it may have
  counter_not_transport,    ///< EncryptedData with a counter of the handshake's
  replay_duplicate,         ///< the counter was accepted before
  replay_too_old,           ///< the counter lies below the replay window
  too_many_dropped,         ///< more than 16 packets were dropped in transport
  counter_exhausted,        ///< no counter or nonce is left for sending
  busy,                     ///< the peer answered Busy
  // keys and cryptography
  key_size,             ///< a key has not 32 bytes
  key_invalid,          ///< a public key is no usable point
  key_low_order,        ///< X25519 gave the all-zero result
  noise_message_size,   ///< a Noise message has not its size
  noise_decrypt,        ///< authentication failed
  static_key_mismatch,  ///< message 3 carries another key than ClientHello
  // encodings
  base58_invalid,  ///< a character or length base58 does not allow
  base64_invalid,  ///< not canonical base64
  hex_invalid,     ///< not hexadecimal
  // bincode and registration messages
  bincode_truncated,  ///< the input ends inside a field
  bincode_trailing,   ///< bytes are left after the last field
  bincode_length,     ///< a length exceeds the input or the field's limit
  bincode_tag,        ///< a tag value that the type does not have
  bincode_utf8,       ///< a String is not UTF-8
  // BLS12-381 and tickets (docs/ecash.md)
  point_size,             ///< a point's encoding has not its size
  point_flags,            ///< the flag bits are not those of a compressed point
  point_not_canonical,    ///< a coordinate is not below the field's modulus
  point_not_on_curve,     ///< no point of the curve has this coordinate
  point_not_in_subgroup,  ///< a point outside the subgroup of prime order
  point_infinity,         ///< the point at infinity
  scalar_invalid,         ///< a scalar is zero or not below the group's order
  signature_invalid,      ///< the signature is not this message's under this key
  // use of the library
  input_not_allowed,       ///< the state machine does not take this input in this state
  machine_failed,          ///< the state machine has failed before
  plaintext_too_long,      ///< the packet would not fit into a frame
  randomness_unavailable,  ///< libsodium could not start
};

/// Stable snake_case name of `error`, the enumerator itself.
[[nodiscard]] std::string_view name(Error error) noexcept;

/// One sentence for people, without a full stop.
[[nodiscard]] std::string_view gloss(Error error) noexcept;

template <typename T>
using Result = std::expected<T, Error>;
using Status = std::expected<void, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(Error error) noexcept {
  return std::unexpected<Error>(error);
}

}  // namespace lp
