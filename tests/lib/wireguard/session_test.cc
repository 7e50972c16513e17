// Transport messages, and the decoder that all messages go through first.
#include "lib/wireguard/session.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "lib/crypto/random.h"
#include "lib/wireguard/blake2s.h"
#include "tests/lib/wireguard/responder.h"

namespace lp::wireguard {
namespace {

using namespace std::chrono_literals;

struct Pair {
  Pair() {
    ByteArray<32> key{};
    const auto cipher = [&](std::uint8_t fill) {
      key.fill(fill);
      noise::CipherState state;
      state.initialize_key(Secret<32>(key));
      return state;
    };
    a.emplace(cipher(1), cipher(2), 10, 20, start);
    b.emplace(cipher(2), cipher(1), 20, 10, start);
  }
  Bytes seal(ByteView packet) {
    Bytes out;
    EXPECT_TRUE(a->seal(packet, start, out));
    return out;
  }
  Result<void> open(ByteView datagram, MonotonicTime now = start) {
    return b->open(std::get<Transport>(decode(datagram).value()), now, opened);
  }
  std::optional<Session> a, b;
  Bytes opened;
};

TEST(WireguardSessionTest, PacketsArePaddedToSixteenAndComeBack) {
  Pair pair;
  for (std::size_t size = 0; size <= 64; ++size) {
    const Bytes packet(size, 0xab);
    const auto datagram = pair.seal(packet);
    EXPECT_EQ(datagram.size(), transport_overhead + (size + 15) / 16 * 16);
    ASSERT_TRUE(pair.open(datagram));
    EXPECT_TRUE(std::equal(packet.begin(), packet.end(), pair.opened.begin()));
    EXPECT_TRUE(std::all_of(pair.opened.begin() + static_cast<std::ptrdiff_t>(size),
                            pair.opened.end(), [](auto byte) { return byte == 0; }));
  }
}

TEST(WireguardSessionTest, ReplayedMessageIsRefused) {
  Pair pair;
  const auto first = pair.seal({});
  const auto second = pair.seal({});
  EXPECT_TRUE(pair.open(second));
  EXPECT_TRUE(pair.open(first)) << "order does not matter";
  EXPECT_EQ(pair.open(first).error(), Refusal::replay_duplicate);
  EXPECT_EQ(pair.open(second).error(), Refusal::replay_duplicate);
  Bytes last;
  for (std::uint64_t i = 0; i < replay::Window::size + 1; ++i)
    last = pair.seal({});
  EXPECT_TRUE(pair.open(last));
  EXPECT_EQ(pair.open(first).error(), Refusal::replay_too_old);
}

TEST(WireguardSessionTest, ForgedMessageMovesNoWindowAndChangesNoPacket) {
  Pair pair;
  const auto good = pair.seal(Bytes{1, 2, 3});
  auto forged = good;
  forged[14] = 0x40;  // a counter far above
  pair.opened = {42};
  EXPECT_EQ(pair.open(forged).error(), Refusal::authentication);
  for (std::size_t i = transport_header_size; i < good.size(); ++i) {
    auto changed = good;
    changed[i] ^= 1;
    EXPECT_EQ(pair.open(changed).error(), Refusal::authentication);
  }
  EXPECT_EQ(pair.opened, Bytes{42});
  EXPECT_TRUE(pair.open(good));
}

TEST(WireguardSessionTest, AnotherReceiverIsRefused) {
  Pair pair;
  auto datagram = pair.seal({});
  datagram[4] ^= 1;
  EXPECT_EQ(pair.open(datagram).error(), Refusal::receiver_unknown);
}

TEST(WireguardSessionTest, KeysAreUsedForThreeMinutesAtMost) {
  Pair pair;
  const auto datagram = pair.seal({});
  EXPECT_EQ(pair.open(datagram, start + 180s).error(), Refusal::expired);
  EXPECT_TRUE(pair.open(datagram, start + 179s));
  Bytes out;
  EXPECT_EQ(pair.a->seal({}, start + 180s, out).error(), Refusal::expired);
}

TEST(WireguardSessionTest, CounterAtTheEndOfItsSpaceIsRefused) {
  Pair pair;
  auto datagram = pair.seal({});
  std::fill(datagram.begin() + 8, datagram.begin() + 16, std::uint8_t{0xff});
  EXPECT_EQ(pair.open(datagram).error(), Refusal::expired);
}

TEST(WireguardMessagesTest, OnlyTheExactSizeOfATypeIsTaken) {
  for (std::size_t size = 0; size <= 200; ++size) {
    for (unsigned type = 0; type <= 5; ++type) {
      Bytes datagram(size);
      if (size > 0) datagram[0] = static_cast<std::uint8_t>(type);
      const bool right = (type == 1 && size == initiation_size) ||
                         (type == 2 && size == response_size) ||
                         (type == 3 && size == cookie_reply_size) || (type == 4 && size >= 32);
      const auto message = decode(datagram);
      EXPECT_EQ(message.has_value(), right) << type << " " << size;
      if (!message) {
        const bool known = size >= 4 && type >= 1 && type <= 4;
        EXPECT_EQ(message.error(), known ? Refusal::message_size : Refusal::message_type);
      }
    }
  }
}

TEST(WireguardMessagesTest, ReservedBytesAreZero) {
  for (std::size_t i = 1; i < 4; ++i) {
    Bytes datagram(response_size);
    datagram[0] = 2;
    datagram[i] = 1;
    EXPECT_EQ(decode(datagram).error(), Refusal::message_type);
  }
}

TEST(WireguardMessagesTest, EncodingIsTheInverseOfDecoding) {
  const auto random = [](std::uint8_t type, std::size_t size) {
    Bytes datagram(size);
    crypto::random_bytes(datagram);
    datagram[0] = type;
    datagram[1] = datagram[2] = datagram[3] = 0;
    return datagram;
  };
  const auto same = [](const auto& encoded, const Bytes& datagram) {
    return std::ranges::equal(encoded, datagram);
  };
  const auto one = random(1, initiation_size);
  EXPECT_TRUE(same(encode(std::get<Initiation>(decode(one).value())), one));
  const auto two = random(2, response_size);
  EXPECT_TRUE(same(encode(std::get<Response>(decode(two).value())), two));
  const auto three = random(3, cookie_reply_size);
  EXPECT_TRUE(same(encode(std::get<CookieReply>(decode(three).value())), three));
}

TEST(WireguardBlake2sTest, OpenSslHasIt) {
  EXPECT_TRUE(blake2s_works());
}

}  // namespace
}  // namespace lp::wireguard
