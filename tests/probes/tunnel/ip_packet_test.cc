// Packets out of the tunnel: every field that can lie.
#include "probes/tunnel/ip_packet.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"

namespace lp::probe::tunnel {
namespace {

Bytes hex(std::string_view text) {
  std::string compact;
  std::ranges::copy_if(text, std::back_inserter(compact), [](char c) { return c != ' '; });
  return from_hex(compact).value();
}

const IpAddress me4 = messages::IpV4{{10, 1, 0, 7}};
const IpAddress gw4 = messages::IpV4{{10, 1, 0, 1}};

// From 10.1.0.1 to 10.1.0.7; good_reply() puts the checksums in.
const char* const reply_v4 =
    "4500 0024 0000 4000 4001 0000 0a01 0001 0a01 0007"
    "0000 0000 1234 0005 01020304 4a5a 0708";

PacketError error_of(ByteView bytes) {
  const auto packet = parse_ip_packet(bytes);
  EXPECT_FALSE(packet);
  return packet ? PacketError::truncated : packet.error();
}

/// Ones' complement sums over 16-bit words, written down anew.
std::uint16_t sum_of(ByteView bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8 : std::uint32_t{bytes[i]};
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void repair_header(Bytes& packet) {
  packet[10] = packet[11] = 0;
  store_be(packet.data() + 10, sum_of(ByteView(packet).first(20)));
}

Bytes good_reply() {
  auto packet = hex(reply_v4);
  repair_header(packet);
  packet[22] = packet[23] = 0;
  store_be(packet.data() + 22, sum_of(ByteView(packet).subspan(20)));
  return packet;
}

TEST(IpPacketTest, EchoReplyIsRead) {
  const auto bytes = good_reply();
  const auto packet = parse_ip_packet(bytes);
  ASSERT_TRUE(packet) << name(packet.error());
  EXPECT_EQ(packet->source, gw4);
  EXPECT_EQ(packet->destination, me4);
  const auto& reply = std::get<EchoReply>(packet->content);
  EXPECT_EQ(reply.identifier, 0x1234);
  EXPECT_EQ(reply.sequence, 5);
  EXPECT_EQ(to_hex(reply.payload), "010203044a5a0708");
}

TEST(IpPacketTest, WhatIsSentHasRightLengthsAndChecksums) {
  const auto echo = make_echo_request(me4, gw4, 0x1234, 5, Bytes{1, 2, 3});
  EXPECT_EQ(echo.size(), 20u + 8 + 3);
  EXPECT_EQ(load_be<std::uint16_t>(echo.data() + 2), echo.size());
  EXPECT_EQ(sum_of(ByteView(echo).first(20)), 0);
  EXPECT_EQ(sum_of(ByteView(echo).subspan(20)), 0);
  EXPECT_EQ(echo[20], 8);

  const IpAddress me6 = messages::ip_address_from_string("fc01::7").value();
  const IpAddress gw6 = messages::ip_address_from_string("fc01::1").value();
  const auto echo6 = make_echo_request(me6, gw6, 1, 2, {});
  EXPECT_EQ(load_be<std::uint16_t>(echo6.data() + 4), 8);
  Bytes pseudo(echo6.begin() + 8, echo6.begin() + 40);
  pseudo.insert(pseudo.end(), {0, 0, 0, 8, 0, 0, 0, 58});
  pseudo.insert(pseudo.end(), echo6.begin() + 40, echo6.end());
  EXPECT_EQ(sum_of(pseudo), 0);

  // A UDP packet goes both ways through the same functions.
  for (const auto& [from, to] : {std::pair{me4, gw4}, std::pair{me6, gw6}}) {
    for (std::size_t size = 0; size < 70; ++size) {
      Bytes payload(size);
      crypto::random_bytes(payload);
      const auto bytes = make_udp(from, to, 4000, 53, payload);
      const auto packet = parse_ip_packet(bytes);
      ASSERT_TRUE(packet) << name(packet.error());
      const auto& datagram = std::get<Datagram>(packet->content);
      EXPECT_EQ(datagram.source_port, 4000);
      EXPECT_EQ(datagram.destination_port, 53);
      EXPECT_TRUE(std::ranges::equal(datagram.payload, payload));
    }
  }
}

TEST(IpPacketTest, PaddingBehindThePacketIsNotPartOfIt) {
  auto bytes = good_reply();
  bytes.resize(bytes.size() + 15, 0xff);
  const auto packet = parse_ip_packet(bytes);
  ASSERT_TRUE(packet);
  EXPECT_EQ(std::get<EchoReply>(packet->content).payload.size(), 8u);
}

TEST(IpPacketTest, EveryCutIsRefused) {
  const auto v4 = good_reply();
  const auto v6 = make_udp(messages::ip_address_from_string("fc01::7").value(),
                           messages::ip_address_from_string("fc01::1").value(), 1, 2, Bytes(9));
  for (const auto& whole : {v4, v6}) {
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_FALSE(parse_ip_packet(ByteView(whole).first(size))) << size;
  }
}

TEST(IpPacketTest, EachLieHasItsError) {
  struct Case {
    const char* what;
    PacketError error;
    std::function<void(Bytes&)> change;
    bool repair;
  };
  const Case cases[] = {
      {"version 5", PacketError::version, [](Bytes& p) { p[0] = 0x55; }, false},
      {"four words of header", PacketError::header_length, [](Bytes& p) { p[0] = 0x44; }, false},
      {"fifteen words", PacketError::truncated, [](Bytes& p) { p[0] = 0x4f; }, false},
      {"a total length past the end", PacketError::total_length, [](Bytes& p) { p[2] = 1; }, true},
      {"a total length below the header", PacketError::total_length, [](Bytes& p) { p[3] = 19; },
       true},
      {"a flipped bit in the header", PacketError::header_checksum, [](Bytes& p) { p[8] ^= 1; },
       false},
      {"more fragments", PacketError::fragment, [](Bytes& p) { p[6] = 0x20; }, true},
      {"a fragment's offset", PacketError::fragment, [](Bytes& p) { p[7] = 1; }, true},
      {"TCP", PacketError::protocol, [](Bytes& p) { p[9] = 6; }, true},
      {"a flipped bit in the payload", PacketError::payload_checksum, [](Bytes& p) { p[30] ^= 1; },
       true},
      {"seven bytes of ICMP", PacketError::truncated, [](Bytes& p) { p[3] = 27; }, true},
  };
  for (const auto& [what, error, change, repair] : cases) {
    auto packet = good_reply();
    change(packet);
    if (repair) repair_header(packet);
    EXPECT_EQ(name(error_of(packet)), name(error)) << what;
  }
  auto request = make_echo_request(gw4, me4, 1, 1, {});
  EXPECT_EQ(error_of(request), PacketError::icmp_type) << "a request is no reply";
}

TEST(IpPacketTest, UdpLengthAndChecksumMustHold) {
  auto packet = make_udp(gw4, me4, 53, 4000, Bytes{1, 2, 3, 4});
  packet[25] = 11;
  EXPECT_EQ(error_of(packet), PacketError::udp_length);
  packet = make_udp(gw4, me4, 53, 4000, Bytes{1, 2, 3, 4});
  packet[27] ^= 1;
  EXPECT_EQ(error_of(packet), PacketError::payload_checksum);
  packet[26] = packet[27] = 0;
  EXPECT_TRUE(parse_ip_packet(packet)) << "IPv4 may leave it out";
  auto packet6 = make_udp(messages::ip_address_from_string("fc01::1").value(),
                          messages::ip_address_from_string("fc01::7").value(), 53, 1, Bytes{1});
  packet6[46] = packet6[47] = 0;
  EXPECT_EQ(error_of(packet6), PacketError::payload_checksum) << "IPv6 may not";
}

TEST(IpPacketTest, ExtensionHeadersAreNotFollowed) {
  auto packet = make_udp(messages::ip_address_from_string("fc01::1").value(),
                         messages::ip_address_from_string("fc01::7").value(), 53, 1, Bytes(16));
  for (const auto next : Bytes{0, 43, 44, 60}) {
    packet[6] = next;
    EXPECT_EQ(error_of(packet), PacketError::protocol);
  }
}

/// An ICMP error of `type` and `code` about `quote`, with right checksums.
Bytes icmp_error(std::uint8_t type, std::uint8_t code, ByteView quote) {
  auto packet = make_echo_request(gw4, me4, 0, 0, quote);
  packet[20] = type;
  packet[21] = code;
  packet[22] = packet[23] = 0;
  store_be(packet.data() + 22, sum_of(ByteView(packet).subspan(20)));
  return packet;
}

TEST(IpPacketTest, IcmpErrorTellsWhichPacketItIsAbout) {
  const IpAddress far = messages::IpV4{{192, 0, 2, 1}};
  const auto ping = make_echo_request(me4, far, 0x77, 3, Bytes(32));
  const auto bytes = icmp_error(3, 13, ByteView(ping).first(28));
  const auto packet = parse_ip_packet(bytes);
  ASSERT_TRUE(packet) << name(packet.error());
  const auto& error = std::get<Undelivered>(packet->content);
  EXPECT_EQ(error.reason, "prohibited by a firewall");
  EXPECT_EQ(error.destination, far);
  EXPECT_FALSE(error.was_udp);
  EXPECT_EQ(error.first, 0x77);
  EXPECT_EQ(error.second, 3);
  const auto query = make_udp(me4, far, 50'000, 53, {});
  const auto about_udp = icmp_error(11, 0, query);
  const auto udp_packet = parse_ip_packet(about_udp);
  ASSERT_TRUE(udp_packet);
  const auto& udp_error = std::get<Undelivered>(udp_packet->content);
  EXPECT_EQ(udp_error.reason, "hop limit passed");
  EXPECT_TRUE(udp_error.was_udp);
  EXPECT_EQ(udp_error.first, 50'000);
  EXPECT_EQ(udp_error.second, 53);
}

TEST(IpPacketTest, IcmpErrorWithoutAWholeQuoteIsRefused) {
  const auto ping = make_echo_request(me4, gw4, 1, 1, {});
  for (std::size_t size = 0; size < 28; ++size)
    EXPECT_EQ(error_of(icmp_error(3, 1, ByteView(ping).first(size))), PacketError::icmp_quote);
  auto tcp = ping;
  tcp[9] = 6;
  EXPECT_EQ(error_of(icmp_error(3, 1, tcp)), PacketError::icmp_quote);
  auto long_header = ping;
  long_header[0] = 0x4f;
  EXPECT_EQ(error_of(icmp_error(3, 1, long_header)), PacketError::icmp_quote);
}

TEST(IpPacketTest, RandomBytesAndFlippedBitsAreRefusedOrRead) {
  ASSERT_TRUE(crypto::initialise());
  Bytes bytes(80);
  for (int i = 0; i < 20'000; ++i) {
    crypto::random_bytes(bytes);
    bytes[0] = static_cast<std::uint8_t>((i % 2 == 0 ? 0x40 : 0x60) | (bytes[0] & 0x0f));
    (void)parse_ip_packet(ByteView(bytes).first(bytes[79] % 80));
  }
  const auto good = good_reply();
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto changed = good;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1U << (bit % 8)));
    EXPECT_FALSE(parse_ip_packet(changed)) << bit;
  }
}

}  // namespace
}  // namespace lp::probe::tunnel
