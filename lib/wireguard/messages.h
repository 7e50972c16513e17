// WireGuard's four messages ("WireGuard: Next Generation Kernel Network Tunnel", section 5.4). All
// integers are little-endian; each message begins with its type in one byte and three zero bytes.
#pragma once

#include <cstdint>
#include <variant>

#include "lib/crypto/keys.h"
#include "lib/wireguard/blake2s.h"
#include "lib/wireguard/refusal.h"

namespace lp::wireguard {

inline constexpr std::size_t tag_size = 16;
inline constexpr std::size_t initiation_size = 148;
inline constexpr std::size_t response_size = 92;
inline constexpr std::size_t cookie_reply_size = 64;
/// A transport message without its packet: type, receiver, counter and tag. A keepalive is just
/// that.
inline constexpr std::size_t transport_header_size = 16;
inline constexpr std::size_t transport_overhead = transport_header_size + tag_size;

/// TAI64N: seconds since 1970 TAI plus 2^62, then nanoseconds, both big-endian. They sort as bytes.
using Tai64n = ByteArray<12>;
/// The label of a moment: nanoseconds since 1970-01-01 UTC. Leap seconds are left out, as
/// everywhere in WireGuard: only the order counts.
[[nodiscard]] Tai64n to_tai64n(std::uint64_t unix_nanoseconds) noexcept;

struct Initiation {
  std::uint32_t sender = 0;
  crypto::X25519Public ephemeral;
  ByteArray<32 + tag_size> sealed_static{};
  ByteArray<12 + tag_size> sealed_timestamp{};
  MacTag mac1{};
  MacTag mac2{};  ///< zero where there is no cookie
};

struct Response {
  std::uint32_t sender = 0;
  std::uint32_t receiver = 0;
  crypto::X25519Public ephemeral;
  ByteArray<tag_size> sealed_nothing{};
  MacTag mac1{};
  MacTag mac2{};
};

struct CookieReply {
  std::uint32_t receiver = 0;
  ByteArray<24> nonce{};
  ByteArray<16 + tag_size> sealed_cookie{};
};

/// `sealed` is a view into the datagram, tag included.
struct Transport {
  std::uint32_t receiver = 0;
  std::uint64_t counter = 0;
  ByteView sealed;
};

using Message = std::variant<Initiation, Response, CookieReply, Transport>;

/// Takes the whole datagram. Fails with message_type, message_size.
[[nodiscard]] Result<Message> decode(ByteView datagram) noexcept;

[[nodiscard]] ByteArray<initiation_size> encode(const Initiation& message) noexcept;
[[nodiscard]] ByteArray<response_size> encode(const Response& message) noexcept;
[[nodiscard]] ByteArray<cookie_reply_size> encode(const CookieReply& message) noexcept;
/// `to` has transport_header_size bytes.
void encode_transport_header(std::uint32_t receiver, std::uint64_t counter,
                             MutableByteView to) noexcept;

/// The key of mac1 of messages to `recipient`: Hash("mac1----" ‖ recipient).
[[nodiscard]] Digest mac1_key(const crypto::X25519Public& recipient);
/// The key that seals cookies of `sender`: Hash("cookie--" ‖ sender).
[[nodiscard]] Digest cookie_key(const crypto::X25519Public& sender);

/// Writes both MACs into the last 32 bytes of an encoded initiation or response: mac1 over all that
/// comes before them, mac2 over mac1 as well, or zero without a cookie.
void put_macs(MutableByteView message, const Digest& mac1_key, const MacTag* cookie);
/// What mac1 of an encoded initiation or response must be.
[[nodiscard]] MacTag expected_mac1(ByteView message, const Digest& mac1_key);

}  // namespace lp::wireguard
