#include "lib/base/error.h"

#include <array>
#include <cstddef>

namespace lp {
namespace {

struct Entry {
  Error error;
  std::string_view name;
  std::string_view gloss;
};

constexpr std::array entries{
    Entry{Error::frame_oversize, "frame_oversize", "the length prefix is over 65,536"},
    Entry{Error::packet_too_short, "packet_too_short",
          "fewer than 34 bytes: header and trailer do not fit"},
    Entry{Error::version_unsupported, "version_unsupported", "the protocol version is not 1"},
    Entry{Error::message_type_unknown, "message_type_unknown",
          "the message type is none of the four"},
    Entry{Error::busy_with_content, "busy_with_content", "a Busy packet carries content"},
    Entry{Error::client_hello_size, "client_hello_size", "a ClientHello's content is not 64 bytes"},
    Entry{Error::packet_size_unexpected, "packet_size_unexpected",
          "the packet has not the size this state requires"},
    Entry{Error::message_type_unexpected, "message_type_unexpected",
          "a known type that this state does not take"},
    Entry{Error::session_id_mismatch, "session_id_mismatch",
          "the session id is not this connection's lp_id"},
    Entry{Error::counter_unexpected, "counter_unexpected",
          "a handshake packet has not the one counter it may have"},
    Entry{Error::counter_not_transport, "counter_not_transport",
          "EncryptedData with a counter of the handshake's"},
    Entry{Error::replay_duplicate, "replay_duplicate", "the counter was accepted before"},
    Entry{Error::replay_too_old, "replay_too_old", "the counter lies below the replay window"},
    Entry{Error::too_many_dropped, "too_many_dropped",
          "more than 16 packets were dropped in transport"},
    Entry{Error::counter_exhausted, "counter_exhausted", "no counter or nonce is left for sending"},
    Entry{Error::busy, "busy", "the peer answered Busy"},
    Entry{Error::key_size, "key_size", "a key has not 32 bytes"},
    Entry{Error::key_invalid, "key_invalid", "a public key is no usable point"},
    Entry{Error::key_low_order, "key_low_order", "X25519 gave the all-zero result"},
    Entry{Error::noise_message_size, "noise_message_size", "a Noise message has not its size"},
    Entry{Error::noise_decrypt, "noise_decrypt", "authentication failed"},
    Entry{Error::static_key_mismatch, "static_key_mismatch",
          "message 3 carries another key than ClientHello"},
    Entry{Error::base58_invalid, "base58_invalid", "a character or length base58 does not allow"},
    Entry{Error::base64_invalid, "base64_invalid", "not canonical base64"},
    Entry{Error::hex_invalid, "hex_invalid", "not hexadecimal"},
    Entry{Error::bincode_truncated, "bincode_truncated", "the input ends inside a field"},
    Entry{Error::bincode_trailing, "bincode_trailing", "bytes are left after the last field"},
    Entry{Error::bincode_length, "bincode_length",
          "a length exceeds the input or the field's limit"},
    Entry{Error::bincode_tag, "bincode_tag", "a tag value that the type does not have"},
    Entry{Error::bincode_utf8, "bincode_utf8", "a String is not UTF-8"},
    Entry{Error::point_size, "point_size", "a point's encoding has not its size"},
    Entry{Error::point_flags, "point_flags", "the flag bits are not those of a compressed point"},
    Entry{Error::point_not_canonical, "point_not_canonical",
          "a coordinate is not below the field's modulus"},
    Entry{Error::point_not_on_curve, "point_not_on_curve",
          "no point of the curve has this coordinate"},
    Entry{Error::point_not_in_subgroup, "point_not_in_subgroup",
          "a point outside the subgroup of prime order"},
    Entry{Error::point_infinity, "point_infinity", "the point at infinity"},
    Entry{Error::scalar_invalid, "scalar_invalid",
          "a scalar is zero or not below the group's order"},
    Entry{Error::signature_invalid, "signature_invalid",
          "the signature is not this message's under this key"},
    Entry{Error::input_not_allowed, "input_not_allowed",
          "the state machine does not take this input in this state"},
    Entry{Error::machine_failed, "machine_failed", "the state machine has failed before"},
    Entry{Error::plaintext_too_long, "plaintext_too_long", "the packet would not fit into a frame"},
    Entry{Error::randomness_unavailable, "randomness_unavailable", "libsodium could not start"},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (static_cast<std::size_t>(entries[i].error) != i) return false;
  }
  return true;
}
static_assert(in_order(), "the table has every error once, in the enumeration's order");
static_assert(entries.back().error == Error::randomness_unavailable,
              "the table ends with the last error");

}  // namespace

std::string_view name(Error error) noexcept {
  return entries[static_cast<std::size_t>(error)].name;
}

std::string_view gloss(Error error) noexcept {
  return entries[static_cast<std::size_t>(error)].gloss;
}

}  // namespace lp
