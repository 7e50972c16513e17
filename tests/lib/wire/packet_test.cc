#include "lib/wire/packet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "lib/base/encoding.h"
#include "tests/lib/outcome.h"
#include "tests/support/vectors.h"

namespace lp::wire {
namespace {

using test::error_of;
using testing::Each;
using testing::ElementsAreArray;

Bytes packet_of(const Header& header, std::size_t content_size) {
  const Bytes frame = make_frame(header, Bytes(content_size, 0x77));
  return Bytes(frame.begin() + frame_length_size, frame.end());
}

TEST(Packet, FrameIsNotTheRecordedOne) {
  for (const auto& vector : test::lp_v1().handshakes) {
    for (const auto& recorded : vector.frames) {
      const auto parsed = parse_packet(recorded.packet());
      ASSERT_TRUE(parsed) << name(parsed.error());
      EXPECT_EQ(parsed->header.version, 1);
      EXPECT_EQ(parsed->header.session_id, recorded.session_id);
      EXPECT_EQ(parsed->header.counter, recorded.counter);
      EXPECT_EQ(make_frame(parsed->header, parsed->content), recorded.frame);
    }
  }
}

TEST(Packet, BusyIsNotTheRecordedFrame) {
  EXPECT_THAT(busy_frame(), ElementsAreArray(test::lp_v1().busy_frame));
  const auto parsed = parse_packet(ByteView(busy_frame()).subspan(frame_length_size));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->header.type, MessageType::busy);
  EXPECT_EQ(parsed->header.session_id, 0U);
  EXPECT_EQ(parsed->header.counter, 0U);
  EXPECT_TRUE(parsed->content.empty());
}

TEST(Packet, OddPacketIsTakenOrRefusedForAnotherReason) {
  const std::map<std::string, std::optional<Error>> expected{
      {"empty", Error::packet_too_short},
      {"header only", Error::packet_too_short},
      {"no trailer", Error::packet_too_short},
      {"unknown type", Error::message_type_unknown},
      {"unknown type high byte", Error::message_type_unknown},
      {"busy with payload", Error::busy_with_content},
      {"client hello short", Error::client_hello_size},
      {"client hello long", Error::client_hello_size},
      {"version 2", Error::version_unsupported},
      {"reserved set", std::nullopt},
      {"trailer set", std::nullopt},
  };
  ASSERT_EQ(test::lp_v1().odd_packets.size(), expected.size());
  for (const auto& vector : test::lp_v1().odd_packets) {
    ASSERT_TRUE(expected.contains(vector.name)) << vector.name;
    const auto parsed = parse_packet(vector.packet);
    EXPECT_EQ(error_of(parsed), expected.at(vector.name)) << vector.name;
    if (parsed) {
      EXPECT_EQ(parsed->header.session_id, 7U) << vector.name;
      EXPECT_EQ(parsed->header.counter, 1U) << vector.name;
      EXPECT_THAT(parsed->content, testing::ElementsAre(1, 2, 3)) << vector.name;
    }
  }
}

TEST(Packet, ReservedBytesOrTrailerChangeWhatIsRead) {
  const Header header{
      .session_id = 0x01020304, .counter = 0x1112131415161718, .type = MessageType::encrypted_data};
  const Bytes plain = packet_of(header, 5);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const bool reserved = i >= reserved_offset && i < session_id_offset;
    if (!reserved && i < plain.size() - trailer_size) continue;
    Bytes packet = plain;
    packet[i] = 0xff;
    const auto parsed = parse_packet(packet);
    ASSERT_TRUE(parsed) << i;
    EXPECT_EQ(parsed->header.session_id, header.session_id);
    EXPECT_EQ(parsed->header.counter, header.counter);
    EXPECT_EQ(parsed->header.type, header.type);
    EXPECT_THAT(parsed->content, testing::SizeIs(5));
    EXPECT_THAT(parsed->content, Each(0x77));
  }
}

TEST(Packet, ShortPacketIsRead) {
  const Bytes packet = packet_of({.type = MessageType::encrypted_data}, 0);
  ASSERT_EQ(packet.size(), 34U);
  EXPECT_TRUE(parse_packet(packet));
  for (std::size_t size = 0; size < packet.size(); ++size) {
    // An exact allocation, so that a sanitizer sees a read beyond it.
    const Bytes cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(error_of(parse_packet(cut)), Error::packet_too_short) << size;
    EXPECT_EQ(error_of(split_packet(cut)), Error::packet_too_short) << size;
  }
}

TEST(Packet, OversizePacketIsRead) {
  EXPECT_TRUE(parse_packet(packet_of({.type = MessageType::encrypted_data}, max_content_size)));
  EXPECT_EQ(error_of(parse_packet(Bytes(max_packet_size + 1))), Error::frame_oversize);
}

TEST(Packet, OtherVersionIsRead) {
  Bytes packet = packet_of({.type = MessageType::handshake}, 48);
  for (unsigned version = 0; version <= 0xff; ++version) {
    packet[version_offset] = static_cast<std::uint8_t>(version);
    EXPECT_EQ(error_of(parse_packet(packet)),
              version == 1 ? test::no_error : Error::version_unsupported)
        << version;
  }
}

TEST(Packet, UnknownTypeIsRead) {
  Bytes packet = packet_of({.type = MessageType::handshake}, 64);
  for (std::uint32_t type = 0; type <= 0xffff; ++type) {
    store_le(packet.data() + type_offset, static_cast<std::uint16_t>(type));
    const auto error = error_of(parse_packet(packet));
    if (type == 0) {
      EXPECT_EQ(error, Error::busy_with_content);
    } else if (type <= 3) {
      EXPECT_EQ(error, test::no_error) << type;
    } else {
      ASSERT_EQ(error, Error::message_type_unknown) << type;
    }
  }
}

TEST(Packet, ChecksComeInAnotherOrder) {
  Bytes packet = packet_of({.version = 9, .type = MessageType::busy}, 3);
  packet[type_offset + 1] = 0xff;
  EXPECT_EQ(error_of(parse_packet(ByteView(packet).first(33))), Error::packet_too_short);
  EXPECT_EQ(error_of(parse_packet(packet)), Error::version_unsupported);
  packet[version_offset] = 1;
  EXPECT_EQ(error_of(parse_packet(packet)), Error::message_type_unknown);
  packet[type_offset + 1] = 0;
  EXPECT_EQ(error_of(parse_packet(packet)), Error::busy_with_content);
  EXPECT_EQ(error_of(split_packet(packet)), test::no_error);
}

TEST(Packet, SecondFrameOverwritesTheFirst) {
  Bytes out;
  const Header header{.session_id = 5, .counter = 6, .type = MessageType::encrypted_data};
  std::ranges::fill(append_frame(out, header, 3), std::uint8_t{1});
  const Bytes first = out;
  std::ranges::fill(append_frame(out, header, 2), std::uint8_t{2});
  EXPECT_EQ(Bytes(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(first.size())), first);
  EXPECT_EQ(to_hex(ByteView(out).subspan(first.size())),
            "00000024"
            "01000000"
            "05000000"
            "0600000000000000"
            "0200"
            "0202"
            "00000000000000000000000000000000");
}

const test::FrameVector& recorded_hello() {
  return test::lp_v1().handshakes[0].frames[test::HandshakeVector::client_hello];
}

TEST(ClientHello, DiffersFromTheVectors) {
  for (const auto& vector : test::lp_v1().handshakes) {
    const auto& recorded = vector.frames[test::HandshakeVector::client_hello];
    const auto hello = ClientHello::from_packet(parse_packet(recorded.packet()).value());
    ASSERT_TRUE(hello);
    EXPECT_EQ(hello->client_public_key, vector.client_public);
    EXPECT_EQ(hello->salt, vector.salt);
    EXPECT_EQ(hello->timestamp, load_le<std::uint64_t>(vector.salt.data()));
    EXPECT_EQ(hello->protocol_version, 1);

    Bytes frame{0xaa};
    hello->append_frame(frame);
    EXPECT_THAT(ByteView(frame).subspan(1), ElementsAreArray(recorded.frame));
  }
}

TEST(ClientHello, FreshOneHasAnotherTimeOrAnOldSalt) {
  const auto key = test::lp_v1().handshakes[0].client_public;
  const auto a = ClientHello::make(key, 0x0102030405060708);
  const auto b = ClientHello::make(key, 0x0102030405060708);
  EXPECT_EQ(a.client_public_key, key);
  EXPECT_EQ(a.timestamp, 0x0102030405060708U);
  EXPECT_EQ(to_hex(ByteView(a.salt).first(8)), "0807060504030201");
  EXPECT_NE(a.salt, b.salt);

  Bytes frame;
  a.append_frame(frame);
  const auto read =
      ClientHello::from_packet(parse_packet(ByteView(frame).subspan(frame_length_size)).value());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->salt, a.salt);
  EXPECT_EQ(read->timestamp, a.timestamp);
}

TEST(ClientHello, EveryFlippedBitHasNoDefinedOutcome) {
  const ByteView original = recorded_hello().packet();
  const auto reference = ClientHello::from_packet(parse_packet(original).value()).value();
  for (std::size_t bit = 0; bit < original.size() * 8; ++bit) {
    Bytes packet(original.begin(), original.end());
    packet[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    const std::size_t at = bit / 8;
    SCOPED_TRACE("bit " + std::to_string(bit % 8) + " of byte " + std::to_string(at));

    const auto parsed = parse_packet(packet);
    const auto hello = parsed ? ClientHello::from_packet(*parsed) : fail(parsed.error());
    if (at < reserved_offset) {
      EXPECT_EQ(error_of(hello), Error::version_unsupported);
    } else if (at < session_id_offset || at >= header_size + client_hello_content_size) {
      ASSERT_TRUE(hello);
      EXPECT_EQ(hello->client_public_key, reference.client_public_key);
      EXPECT_EQ(hello->salt, reference.salt);
      EXPECT_EQ(hello->timestamp, reference.timestamp);
    } else if (at < counter_offset) {
      EXPECT_EQ(error_of(hello), Error::session_id_mismatch);
    } else if (at < type_offset) {
      EXPECT_EQ(error_of(hello), Error::counter_unexpected);
    } else if (bit == type_offset * 8 || bit == type_offset * 8 + 1) {
      EXPECT_EQ(error_of(hello), Error::message_type_unexpected);  // 3 becomes 2 or 1
    } else if (at < header_size) {
      EXPECT_EQ(error_of(hello), Error::message_type_unknown);
    } else {
      ASSERT_TRUE(hello);
      EXPECT_EQ(hello->client_public_key == reference.client_public_key, at >= header_size + 32);
      EXPECT_EQ(hello->timestamp == reference.timestamp,
                at < header_size + 32 || at >= header_size + 40);
      EXPECT_EQ(hello->salt == reference.salt, at < header_size + 32);
    }
  }
}

TEST(ClientHello, OtherContentSizeReachesTheCopy) {
  for (const std::size_t size : {0U, 31U, 32U, 63U, 65U, 200U}) {
    const Bytes packet = packet_of({.type = MessageType::client_hello}, size);
    EXPECT_EQ(error_of(ClientHello::from_packet(split_packet(packet).value())),
              Error::client_hello_size);
  }
}

TEST(Packet, TypeHasAnotherNameThanTheDocuments) {
  EXPECT_EQ(name(MessageType::busy), "Busy");
  EXPECT_EQ(name(MessageType::handshake), "Handshake");
  EXPECT_EQ(name(MessageType::encrypted_data), "EncryptedData");
  EXPECT_EQ(name(MessageType::client_hello), "ClientHello");
}

}  // namespace
}  // namespace lp::wire
