// The IP packets that go through the tunnel: ICMP echo and UDP, over IPv4 (RFC 791, 792, 768) and
// IPv6 (RFC 8200, 4443).
//
// What comes out of the tunnel was sent by the gateway or by anybody beyond it, so all of it is
// hostile: lengths and checksums are checked, and what is not understood is refused.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>
#include <variant>

#include "lib/base/bytes.h"
#include "lib/messages/registration.h"

namespace lp::probe::tunnel {

using messages::IpAddress;

/// Both addresses are of one family.
[[nodiscard]] Bytes make_echo_request(const IpAddress& from, const IpAddress& to,
                                      std::uint16_t identifier, std::uint16_t sequence,
                                      ByteView payload);
[[nodiscard]] Bytes make_udp(const IpAddress& from, const IpAddress& to, std::uint16_t source_port,
                             std::uint16_t destination_port, ByteView payload);

struct EchoReply {
  std::uint16_t identifier = 0;
  std::uint16_t sequence = 0;
  ByteView payload;
};

struct Datagram {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  ByteView payload;
};

/// An ICMP error about a packet that this side sent.
struct Undelivered {
  std::string_view reason;   ///< "no route", "prohibited", …
  IpAddress destination;     ///< where that packet was to go
  bool was_udp = false;      ///< else an echo request
  std::uint16_t first = 0;   ///< its source port, or its identifier
  std::uint16_t second = 0;  ///< its destination port, or its sequence
};

/// Views are into the bytes that were parsed.
struct IpPacket {
  IpAddress source;
  IpAddress destination;
  std::variant<EchoReply, Datagram, Undelivered> content;
};

enum class PacketError : std::uint8_t {
  truncated,         ///< shorter than its headers say
  version,           ///< neither IPv4 nor IPv6
  header_length,     ///< an IPv4 header of fewer than 20 bytes
  total_length,      ///< the length field is smaller than the headers or larger than the packet
  header_checksum,   ///< IPv4
  fragment,          ///< fragments are not put together: everything asked for fits into one packet
  protocol,          ///< neither ICMP nor UDP, or behind extension headers
  payload_checksum,  ///< ICMP's or UDP's
  udp_length,        ///< not the length that IP says
  icmp_type,         ///< neither an echo reply nor an error
  icmp_quote,        ///< an error that does not say what it is about
};
[[nodiscard]] std::string_view name(PacketError error) noexcept;

/// Bytes after the end that the IP header names are padding.
[[nodiscard]] std::expected<IpPacket, PacketError> parse_ip_packet(ByteView bytes) noexcept;

}  // namespace lp::probe::tunnel
