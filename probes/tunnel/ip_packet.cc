#include "probes/tunnel/ip_packet.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace lp::probe::tunnel {
namespace {

using messages::IpV4;
using messages::IpV6;

constexpr std::size_t ipv4_header = 20;
constexpr std::size_t ipv6_header = 40;
constexpr std::size_t icmp_header = 8;
constexpr std::size_t udp_header = 8;
constexpr std::uint8_t hop_limit = 64;

constexpr std::uint8_t protocol_icmp = 1;
constexpr std::uint8_t protocol_udp = 17;
constexpr std::uint8_t protocol_icmp_v6 = 58;

constexpr std::uint8_t echo_request = 8;
constexpr std::uint8_t echo_reply = 0;
constexpr std::uint8_t echo_request_v6 = 128;
constexpr std::uint8_t echo_reply_v6 = 129;

template <typename T>
using Parsed = std::expected<T, PacketError>;

std::unexpected<PacketError> refuse(PacketError error) {
  return std::unexpected(error);
}

std::uint16_t u16(ByteView bytes, std::size_t at) {
  return load_be<std::uint16_t>(bytes.data() + at);
}

/// RFC 1071: the ones' complement sum of 16-bit words. An odd last byte is the high one of a word.
class Checksum {
 public:
  void add(ByteView bytes) noexcept {
    std::size_t i = 0;
    for (; i + 1 < bytes.size(); i += 2)
      sum_ += u16(bytes, i);
    if (i < bytes.size()) sum_ += static_cast<std::uint64_t>(bytes[i]) << 8;
  }
  void add(std::uint64_t value) noexcept { sum_ += value; }
  /// The field's value; 0 over bytes that hold a right one.
  [[nodiscard]] std::uint16_t value() const noexcept {
    std::uint64_t sum = sum_;
    while (sum >> 16 != 0)
      sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
  }

 private:
  std::uint64_t sum_ = 0;
};

ByteView octets(const IpAddress& address) {
  if (const auto* v4 = std::get_if<IpV4>(&address)) return v4->octets;
  return std::get<IpV6>(address).octets;
}

bool is_v4(const IpAddress& address) {
  return std::holds_alternative<IpV4>(address);
}

/// Over the payload and the pseudo-header of both addresses, protocol and length.
std::uint16_t payload_checksum(const IpAddress& from, const IpAddress& to, std::uint8_t protocol,
                               ByteView payload) {
  Checksum sum;
  // ICMP over IPv4 has no pseudo-header.
  if (protocol != protocol_icmp) {
    sum.add(octets(from));
    sum.add(octets(to));
    sum.add(std::uint64_t{protocol});
    sum.add(payload.size());
  }
  sum.add(payload);
  return sum.value();
}

/// An IP header, and room for `size` bytes of payload behind it.
Bytes make_packet(const IpAddress& from, const IpAddress& to, std::uint8_t protocol,
                  std::size_t size) {
  const std::size_t header = is_v4(from) ? ipv4_header : ipv6_header;
  Bytes packet(header + size);
  if (is_v4(from)) {
    packet[0] = 0x45;  // version 4, five words of header
    store_be(packet.data() + 2, static_cast<std::uint16_t>(packet.size()));
    store_be(packet.data() + 6, std::uint16_t{0x4000});  // do not fragment
    packet[8] = hop_limit;
    packet[9] = protocol;
    std::ranges::copy(octets(from), packet.begin() + 12);
    std::ranges::copy(octets(to), packet.begin() + 16);
    Checksum sum;
    sum.add(ByteView(packet).first(ipv4_header));
    store_be(packet.data() + 10, sum.value());
  } else {
    packet[0] = 0x60;  // version 6
    store_be(packet.data() + 4, static_cast<std::uint16_t>(size));
    packet[6] = protocol;
    packet[7] = hop_limit;
    std::ranges::copy(octets(from), packet.begin() + 8);
    std::ranges::copy(octets(to), packet.begin() + 24);
  }
  return packet;
}

/// What an IP header says of the bytes behind it.
struct Carried {
  IpAddress source;
  IpAddress destination;
  std::uint8_t protocol = 0;
  ByteView payload;
};

Parsed<std::size_t> ipv4_header_size(ByteView bytes) {
  if (bytes.size() < ipv4_header) return refuse(PacketError::truncated);
  const std::size_t size = std::size_t{4} * (bytes[0] & 0x0f);
  if (size < ipv4_header) return refuse(PacketError::header_length);
  if (size > bytes.size()) return refuse(PacketError::truncated);
  return size;
}

IpV4 v4_at(ByteView bytes, std::size_t at) {
  return {to_array<4>(bytes.subspan(at))};
}

IpV6 v6_at(ByteView bytes, std::size_t at) {
  return {to_array<16>(bytes.subspan(at))};
}

Parsed<Carried> open_ipv4(ByteView bytes) {
  const auto header = ipv4_header_size(bytes);
  if (!header) return refuse(header.error());
  const std::size_t total = u16(bytes, 2);
  if (total < *header || total > bytes.size()) return refuse(PacketError::total_length);
  Checksum sum;
  sum.add(bytes.first(*header));
  if (sum.value() != 0) return refuse(PacketError::header_checksum);
  constexpr std::uint16_t more_fragments_and_offset = 0x3fff;
  if ((u16(bytes, 6) & more_fragments_and_offset) != 0) return refuse(PacketError::fragment);
  return Carried{v4_at(bytes, 12), v4_at(bytes, 16), bytes[9],
                 bytes.subspan(*header, total - *header)};
}

Parsed<Carried> open_ipv6(ByteView bytes) {
  if (bytes.size() < ipv6_header) return refuse(PacketError::truncated);
  const std::size_t size = u16(bytes, 4);
  if (ipv6_header + size > bytes.size()) return refuse(PacketError::total_length);
  return Carried{v6_at(bytes, 8), v6_at(bytes, 24), bytes[6], bytes.subspan(ipv6_header, size)};
}

std::string_view reason_v4(std::uint8_t type, std::uint8_t code) {
  constexpr std::uint8_t unreachable = 3;
  if (type != unreachable) return "hop limit passed";
  switch (code) {
    case 0:
    case 6:
    case 11:
      return "no route to the network";
    case 1:
    case 7:
    case 12:
      return "no route to the host";
    case 2:
      return "protocol unreachable";
    case 3:
      return "port unreachable";
    case 4:
      return "packet too big";
    case 9:
    case 10:
    case 13:
      return "prohibited by a firewall";
    default:
      return "unreachable";
  }
}

std::string_view reason_v6(std::uint8_t type, std::uint8_t code) {
  constexpr std::uint8_t unreachable = 1;
  constexpr std::uint8_t too_big = 2;
  if (type == too_big) return "packet too big";
  if (type != unreachable) return "hop limit passed";
  switch (code) {
    case 0:
      return "no route to the network";
    case 1:
    case 5:
      return "prohibited by a firewall";
    case 3:
      return "no route to the host";
    case 4:
      return "port unreachable";
    default:
      return "unreachable";
  }
}

/// The beginning of our packet that an ICMP error quotes: its IP header and eight bytes. The rest
/// may be cut off, so its lengths and checksums say nothing.
Parsed<Undelivered> parse_quote(bool v4, ByteView quote, std::string_view reason) {
  Undelivered error;
  error.reason = reason;
  std::size_t header = ipv6_header;
  std::uint8_t protocol = 0;
  if (v4) {
    const auto size = ipv4_header_size(quote);
    if (!size || quote[0] >> 4 != 4) return refuse(PacketError::icmp_quote);
    header = *size;
    protocol = quote[9];
    error.destination = v4_at(quote, 16);
  } else {
    if (quote.size() < ipv6_header || quote[0] >> 4 != 6) return refuse(PacketError::icmp_quote);
    protocol = quote[6];
    error.destination = v6_at(quote, 24);
  }
  constexpr std::size_t needed = 8;
  if (quote.size() < header + needed) return refuse(PacketError::icmp_quote);
  error.was_udp = protocol == protocol_udp;
  const std::uint8_t icmp = v4 ? protocol_icmp : protocol_icmp_v6;
  const std::uint8_t request = v4 ? echo_request : echo_request_v6;
  if (!error.was_udp && (protocol != icmp || quote[header] != request)) {
    return refuse(PacketError::icmp_quote);
  }
  const std::size_t at = error.was_udp ? header : header + 4;
  error.first = u16(quote, at);
  error.second = u16(quote, at + 2);
  return error;
}

Parsed<IpPacket> parse_icmp(const Carried& carried, bool v4) {
  const ByteView bytes = carried.payload;
  if (bytes.size() < icmp_header) return refuse(PacketError::truncated);
  if (payload_checksum(carried.source, carried.destination, carried.protocol, bytes) != 0) {
    return refuse(PacketError::payload_checksum);
  }
  const std::uint8_t type = bytes[0];
  const std::uint8_t code = bytes[1];
  IpPacket packet{carried.source, carried.destination, {}};
  if (type == (v4 ? echo_reply : echo_reply_v6) && code == 0) {
    packet.content = EchoReply{u16(bytes, 4), u16(bytes, 6), bytes.subspan(icmp_header)};
    return packet;
  }
  const bool is_error = v4 ? type == 3 || type == 11 : type >= 1 && type <= 3;
  if (!is_error) return refuse(PacketError::icmp_type);
  const auto reason = v4 ? reason_v4(type, code) : reason_v6(type, code);
  auto error = parse_quote(v4, bytes.subspan(icmp_header), reason);
  if (!error) return refuse(error.error());
  packet.content = *error;
  return packet;
}

Parsed<IpPacket> parse_udp(const Carried& carried, bool v4) {
  const ByteView bytes = carried.payload;
  if (bytes.size() < udp_header) return refuse(PacketError::truncated);
  if (u16(bytes, 4) != bytes.size()) return refuse(PacketError::udp_length);
  // "An all zero transmitted checksum value means that the transmitter generated no checksum" (RFC
  // 768); IPv6 has no such way out (RFC 8200, section 8.1).
  const bool has_checksum = u16(bytes, 6) != 0;
  if (!has_checksum && !v4) return refuse(PacketError::payload_checksum);
  if (has_checksum &&
      payload_checksum(carried.source, carried.destination, protocol_udp, bytes) != 0) {
    return refuse(PacketError::payload_checksum);
  }
  return IpPacket{carried.source, carried.destination,
                  Datagram{u16(bytes, 0), u16(bytes, 2), bytes.subspan(udp_header)}};
}

constexpr std::array<std::string_view, 11> packet_error_names{
    "truncated", "version",          "header_length", "total_length", "header_checksum", "fragment",
    "protocol",  "payload_checksum", "udp_length",    "icmp_type",    "icmp_quote"};

}  // namespace

std::string_view name(PacketError error) noexcept {
  return packet_error_names[static_cast<std::size_t>(error)];
}

Bytes make_echo_request(const IpAddress& from, const IpAddress& to, std::uint16_t identifier,
                        std::uint16_t sequence, ByteView payload) {
  const bool v4 = is_v4(from);
  const std::uint8_t protocol = v4 ? protocol_icmp : protocol_icmp_v6;
  Bytes packet = make_packet(from, to, protocol, icmp_header + payload.size());
  const MutableByteView icmp = MutableByteView(packet).subspan(v4 ? ipv4_header : ipv6_header);
  icmp[0] = v4 ? echo_request : echo_request_v6;
  store_be(icmp.data() + 4, identifier);
  store_be(icmp.data() + 6, sequence);
  std::ranges::copy(payload, icmp.subspan(icmp_header).begin());
  store_be(icmp.data() + 2, payload_checksum(from, to, protocol, icmp));
  return packet;
}

Bytes make_udp(const IpAddress& from, const IpAddress& to, std::uint16_t source_port,
               std::uint16_t destination_port, ByteView payload) {
  const std::size_t size = udp_header + payload.size();
  Bytes packet = make_packet(from, to, protocol_udp, size);
  const MutableByteView udp =
      MutableByteView(packet).subspan(is_v4(from) ? ipv4_header : ipv6_header);
  store_be(udp.data(), source_port);
  store_be(udp.data() + 2, destination_port);
  store_be(udp.data() + 4, static_cast<std::uint16_t>(size));
  std::ranges::copy(payload, udp.subspan(udp_header).begin());
  // A computed zero is sent as all ones, for zero means that there is none.
  const std::uint16_t sum = payload_checksum(from, to, protocol_udp, udp);
  store_be(udp.data() + 6, sum == 0 ? std::uint16_t{0xffff} : sum);
  return packet;
}

std::expected<IpPacket, PacketError> parse_ip_packet(ByteView bytes) noexcept {
  if (bytes.empty()) return refuse(PacketError::truncated);
  const unsigned version = bytes[0] >> 4;
  if (version != 4 && version != 6) return refuse(PacketError::version);
  const bool v4 = version == 4;
  const auto carried = v4 ? open_ipv4(bytes) : open_ipv6(bytes);
  if (!carried) return refuse(carried.error());
  if (carried->protocol == (v4 ? protocol_icmp : protocol_icmp_v6)) return parse_icmp(*carried, v4);
  if (carried->protocol == protocol_udp) return parse_udp(*carried, v4);
  return refuse(PacketError::protocol);
}

}  // namespace lp::probe::tunnel
