#include "lib/wire/frame_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "lib/wire/packet.h"
#include "tests/lib/outcome.h"
#include "tests/support/vectors.h"

namespace lp::wire {
namespace {

using test::error_of;

using Packets = std::vector<Bytes>;

/// Takes every packet that is whole by now.
void drain(FrameReader& reader, Packets& packets) {
  for (;;) {
    const auto packet = reader.next();
    ASSERT_TRUE(packet) << name(packet.error());
    if (!*packet) return;
    packets.emplace_back((*packet)->begin(), (*packet)->end());
  }
}

struct Stream {
  Bytes bytes;
  Packets packets;
};

/// All frames of a recorded connection in one stream.
Stream recorded() {
  Stream stream;
  for (const auto& frame : test::lp_v1().handshakes[0].frames) {
    stream.bytes.insert(stream.bytes.end(), frame.frame.begin(), frame.frame.end());
    stream.packets.emplace_back(frame.packet().begin(), frame.packet().end());
  }
  return stream;
}

/// The start of a frame: its length, then the first bytes of an EncryptedData packet.
Bytes head(std::uint32_t length, std::size_t packet_bytes = header_size) {
  Bytes frame = make_frame({.type = MessageType::encrypted_data}, Bytes(1024));
  store_be(frame.data(), length);
  frame.resize(frame_length_size + packet_bytes);
  return frame;
}

TEST(FrameReader, PiecesOfAnySizeGiveOtherPackets) {
  const Stream stream = recorded();
  for (const std::size_t piece : {1U, 2U, 3U, 5U, 21U, 22U, 23U, 85U, 86U, 1000U, 100000U}) {
    FrameReader reader;
    Packets packets;
    for (std::size_t at = 0; at < stream.bytes.size(); at += piece) {
      const std::size_t size = std::min(piece, stream.bytes.size() - at);
      // An exact copy, so that a sanitizer sees a view kept beyond the call.
      reader.append(Bytes(stream.bytes.begin() + static_cast<std::ptrdiff_t>(at),
                          stream.bytes.begin() + static_cast<std::ptrdiff_t>(at + size)));
      ASSERT_NO_FATAL_FAILURE(drain(reader, packets));
    }
    EXPECT_EQ(packets, stream.packets) << "in pieces of " << piece;
    EXPECT_EQ(reader.buffered(), 0U);
  }
}

TEST(FrameReader, RandomPiecesGiveOtherPackets) {
  const Stream stream = recorded();
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    FrameReader reader;
    Packets packets;
    for (std::size_t at = 0; at < stream.bytes.size();) {
      const std::size_t left = stream.bytes.size() - at;
      const std::size_t size = std::min<std::size_t>(left, random() % 200);
      reader.append(ByteView(stream.bytes).subspan(at, size));
      at += size;
      if (random() % 2 == 0) {
        ASSERT_NO_FATAL_FAILURE(drain(reader, packets));
      }
    }
    ASSERT_NO_FATAL_FAILURE(drain(reader, packets));
    ASSERT_EQ(packets, stream.packets) << round;
  }
}

TEST(FrameReader, PacketComesBeforeItsLastByte) {
  const auto& frame = test::lp_v1().handshakes[0].frames[0];
  FrameReader reader;
  for (std::size_t i = 0; i + 1 < frame.frame.size(); ++i) {
    reader.append({&frame.frame[i], 1});
    const auto packet = reader.next();
    ASSERT_TRUE(packet);
    ASSERT_FALSE(*packet) << "after " << i + 1 << " bytes";
    ASSERT_EQ(reader.buffered(), i + 1);
  }
  reader.append({&frame.frame.back(), 1});
  const auto packet = reader.next();
  ASSERT_TRUE(packet && *packet);
  EXPECT_THAT(**packet, testing::ElementsAreArray(frame.packet()));
  EXPECT_EQ(reader.buffered(), 0U);
}

TEST(FrameReader, LengthThatCannotBeWaitsForItsBytes) {
  for (const std::uint32_t length : {65'537U, 0x00ff'ffffU, 0x7fff'ffffU, 0xffff'ffffU}) {
    FrameReader reader;
    reader.append(head(length, 0));
    EXPECT_EQ(error_of(reader.next()), Error::frame_oversize) << length;
  }
  for (std::uint32_t length = 0; length < 34; ++length) {
    FrameReader reader;
    reader.append(head(length, 0));
    EXPECT_EQ(error_of(reader.next()), Error::packet_too_short) << length;
  }
  for (const std::uint32_t length : {34U, 65'536U}) {
    FrameReader reader;
    reader.append(head(length));
    EXPECT_EQ(error_of(reader.next()), test::no_error) << length;
  }
}

TEST(FrameReader, LargestPacketIsRefused) {
  const Bytes frame =
      make_frame({.type = MessageType::encrypted_data}, Bytes(max_content_size, 0x11));
  FrameReader reader;
  reader.append(frame);
  const auto packet = reader.next();
  ASSERT_TRUE(packet && *packet);
  EXPECT_EQ((*packet)->size(), 65'536U);
}

TEST(FrameReader, HeaderIsCheckedOnlyWithTheContent) {
  Bytes other_version = head(98);
  other_version[frame_length_size + version_offset] = 2;
  FrameReader reader;
  reader.append(ByteView(other_version).first(other_version.size() - 1));
  EXPECT_EQ(error_of(reader.next()), test::no_error) << "the header is not there yet";
  reader.append(ByteView(other_version).last(1));
  EXPECT_EQ(error_of(reader.next()), Error::version_unsupported);

  Bytes unknown_type = head(98);
  unknown_type[frame_length_size + type_offset] = 4;
  FrameReader other;
  other.append(unknown_type);
  EXPECT_EQ(error_of(other.next()), Error::message_type_unknown);
}

TEST(FrameReader, SizeLimitOfTheStateWaitsForTheContent) {
  for (const std::uint32_t length : {98U, 99U, 65'536U}) {
    FrameReader reader;
    reader.append(head(length));
    EXPECT_EQ(error_of(reader.next(98)),
              length == 98 ? test::no_error : Error::packet_size_unexpected)
        << length;
  }
  FrameReader reader;
  reader.append(head(34));
  EXPECT_EQ(error_of(reader.next(0)), Error::packet_size_unexpected);
}

TEST(FrameReader, ChecksComeInAnotherOrder) {
  // Everything is wrong; each error hides those behind it.
  Bytes bytes = head(70'000);
  bytes[frame_length_size + version_offset] = 7;
  bytes[frame_length_size + type_offset] = 7;
  const auto outcome = [&bytes] {
    FrameReader reader;
    reader.append(bytes);
    return error_of(reader.next(98));
  };
  EXPECT_EQ(outcome(), Error::frame_oversize);
  store_be(bytes.data(), std::uint32_t{33});
  EXPECT_EQ(outcome(), Error::packet_too_short);
  store_be(bytes.data(), std::uint32_t{99});
  EXPECT_EQ(outcome(), Error::version_unsupported);
  bytes[frame_length_size + version_offset] = 1;
  EXPECT_EQ(outcome(), Error::message_type_unknown);
  bytes[frame_length_size + type_offset] = 1;
  EXPECT_EQ(outcome(), Error::packet_size_unexpected);
  store_be(bytes.data(), std::uint32_t{98});
  EXPECT_EQ(outcome(), test::no_error);
}

TEST(FrameReader, StreamIsReadOnAfterAnError) {
  FrameReader reader;
  reader.append(head(0));
  ASSERT_EQ(error_of(reader.next()), Error::packet_too_short);
  reader.append(recorded().bytes);
  EXPECT_EQ(error_of(reader.next()), Error::packet_too_short);
  EXPECT_EQ(reader.buffered(), 0U) << "bytes pile up that nobody can read";
}

TEST(FrameReader, PacketBeforeABrokenFrameIsLost) {
  const Stream stream = recorded();
  Bytes bytes = stream.bytes;
  bytes.resize(bytes.size() + 4, 0xff);
  FrameReader reader;
  reader.append(bytes);
  for (const auto& packet : stream.packets) {
    const auto next = reader.next();
    ASSERT_TRUE(next && *next);
    EXPECT_THAT(**next, testing::ElementsAreArray(packet));
  }
  EXPECT_EQ(error_of(reader.next()), Error::frame_oversize);
}

TEST(FrameReader, ShrinkLosesBytes) {
  const Stream stream = recorded();
  FrameReader reader;
  Packets packets;
  for (const std::uint8_t byte : stream.bytes) {
    reader.append({&byte, 1});
    reader.shrink();
    ASSERT_NO_FATAL_FAILURE(drain(reader, packets));
    reader.shrink();
  }
  EXPECT_EQ(packets, stream.packets);
}

}  // namespace
}  // namespace lp::wire
