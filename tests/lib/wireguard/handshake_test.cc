// What the initiator must not take, and that refusing it harms nothing.
#include "lib/wireguard/handshake.h"

#include <gtest/gtest.h>

#include "tests/lib/wireguard/responder.h"

namespace lp::wireguard {
namespace {

using namespace std::chrono_literals;
using crypto::X25519KeyPair;

Secret<32> secret(std::uint8_t fill) {
  ByteArray<32> bytes;
  bytes.fill(fill);
  return Secret<32>(bytes);
}

struct Ends {
  explicit Ends(std::uint8_t own_psk = 0, std::uint8_t other_psk = 0)
      : responder(X25519KeyPair::generate(), secret(other_psk)),
        local(X25519KeyPair::generate()),
        initiator(local.clone(), responder.public_key(), secret(own_psk)) {}

  ByteArray<initiation_size> initiate(std::uint32_t index, MonotonicTime now = start) {
    return initiator.initiate(index, X25519KeyPair::generate(), to_tai64n(index), now).value();
  }
  ByteArray<response_size> respond(ByteView initiation) {
    EXPECT_TRUE(responder.read_initiation(initiation));
    return responder.write_response(77, X25519KeyPair::generate(), start).value();
  }

  Responder responder;
  X25519KeyPair local;
  Initiator initiator;
};

Response as_response(ByteView datagram) {
  return std::get<Response>(decode(datagram).value());
}

TEST(WireguardHandshakeTest, RandomKeysMeet) {
  Ends ends(9, 9);
  const auto response = ends.respond(ends.initiate(5));
  auto session = ends.initiator.read_response(as_response(response));
  ASSERT_TRUE(session);
  EXPECT_EQ(session->local(), 5u);
  EXPECT_EQ(session->remote(), 77u);
  EXPECT_EQ(ends.responder.initiator(), ends.local.public_key);
}

TEST(WireguardHandshakeTest, ReplayedResponseMakesNoSecondSession) {
  Ends ends;
  const auto response = ends.respond(ends.initiate(5));
  ASSERT_TRUE(ends.initiator.read_response(as_response(response)));
  EXPECT_EQ(ends.initiator.read_response(as_response(response)).error(), Refusal::not_expected);
  // Nor when the next handshake is under way, even with the same index.
  (void)ends.initiate(6);
  EXPECT_EQ(ends.initiator.read_response(as_response(response)).error(), Refusal::receiver_unknown);
  (void)ends.initiate(5);
  EXPECT_EQ(ends.initiator.read_response(as_response(response)).error(), Refusal::authentication);
}

TEST(WireguardHandshakeTest, LateResponseToAnEarlierInitiationDoesNotEndTheLater) {
  Ends ends;
  const auto first = ends.initiate(5);
  const auto second = ends.initiate(6);
  const auto late = ends.respond(first);
  EXPECT_EQ(ends.initiator.read_response(as_response(late)).error(), Refusal::receiver_unknown);
  EXPECT_TRUE(ends.initiator.read_response(as_response(ends.respond(second))));
}

TEST(WireguardHandshakeTest, EveryChangedBitIsRefusedAndTheTrueResponseStillTaken) {
  Ends ends(3, 3);
  const auto response = ends.respond(ends.initiate(5));
  constexpr std::size_t authentic = response_size - 2 * sizeof(MacTag);
  for (std::size_t bit = 0; bit < response_size * 8; bit += 5) {
    auto changed = response;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1U << (bit % 8)));
    // With its mac1 as it was, and with a new one, as anybody who knows both public keys can make.
    for (const bool renewed : {false, true}) {
      if (renewed && bit / 8 >= authentic) continue;
      if (renewed) renew_mac1(changed, ends.local.public_key);
      const auto message = decode(changed);
      if (!message) continue;  // the type
      // mac2 counts only under load, and the sender's index is not authenticated before transport.
      const std::size_t byte = bit / 8;
      if (byte >= response_size - sizeof(MacTag) || (renewed && byte >= 4 && byte < 8)) continue;
      EXPECT_FALSE(ends.initiator.read_response(std::get<Response>(*message))) << bit;
    }
  }
  EXPECT_TRUE(ends.initiator.read_response(as_response(response)));
}

TEST(WireguardHandshakeTest, AnotherPresharedKeyIsNoHandshake) {
  Ends ends(1, 2);
  const auto response = ends.respond(ends.initiate(5));
  EXPECT_EQ(ends.initiator.read_response(as_response(response)).error(), Refusal::authentication);
  EXPECT_TRUE(ends.initiator.would_take(as_response(response), secret(2)));
  EXPECT_FALSE(ends.initiator.would_take(as_response(response), secret(0)));
}

TEST(WireguardHandshakeTest, ResponseOfAnotherKeyIsRefused) {
  Ends ends;
  const auto initiation = ends.initiate(5);
  EXPECT_EQ(Responder(X25519KeyPair::generate()).read_initiation(initiation).error(),
            Refusal::mac1_invalid);
  // A stranger who makes up the handshake's keys without the gateway's secret.
  Response forged;
  forged.receiver = 5;
  forged.ephemeral = X25519KeyPair::generate().public_key;
  auto datagram = encode(forged);
  renew_mac1(datagram, ends.local.public_key);
  EXPECT_EQ(ends.initiator.read_response(as_response(datagram)).error(), Refusal::authentication);
}

TEST(WireguardHandshakeTest, EphemeralOfLowOrderIsRefused) {
  Ends ends;
  (void)ends.initiate(5);
  Response forged;
  forged.receiver = 5;
  auto datagram = encode(forged);
  renew_mac1(datagram, ends.local.public_key);
  EXPECT_EQ(ends.initiator.read_response(as_response(datagram)).error(), Refusal::key_low_order);
  Initiator to_zero(X25519KeyPair::generate(), {}, {});
  EXPECT_EQ(to_zero.initiate(1, X25519KeyPair::generate(), {}, start).error(),
            Refusal::key_low_order);
}

TEST(WireguardHandshakeTest, NothingIsTakenBeforeSomethingWasSent) {
  Ends ends;
  EXPECT_EQ(ends.initiator.read_response({}).error(), Refusal::not_expected);
  EXPECT_EQ(ends.initiator.read_cookie_reply({}, start).error(), Refusal::not_expected);
}

TEST(WireguardHandshakeTest, CookieIsUsedForTwoMinutesAndNoLonger) {
  Ends ends;
  const MacTag cookie{1, 2, 3};
  const auto reply = ends.responder.write_cookie_reply(ends.initiate(5), cookie);
  const auto message = std::get<CookieReply>(decode(reply).value());
  ASSERT_TRUE(ends.initiator.read_cookie_reply(message, start));
  EXPECT_TRUE(Responder::has_mac2(ends.initiate(6, start + 119s), cookie));
  const auto without = ends.initiate(7, start + 120s);
  EXPECT_EQ(to_array<16>(ByteView(without).last(16)), MacTag{});
}

TEST(WireguardHandshakeTest, CookieReplyCountsOnceAndForItsOwnInitiation) {
  Ends ends;
  const auto reply = ends.responder.write_cookie_reply(ends.initiate(5), {9});
  const auto message = std::get<CookieReply>(decode(reply).value());
  auto changed = message;
  changed.sealed_cookie[3] ^= 1;
  EXPECT_EQ(ends.initiator.read_cookie_reply(changed, start).error(), Refusal::authentication);
  changed = message;
  changed.receiver = 6;
  EXPECT_EQ(ends.initiator.read_cookie_reply(changed, start).error(), Refusal::receiver_unknown);
  ASSERT_TRUE(ends.initiator.read_cookie_reply(message, start));
  EXPECT_EQ(ends.initiator.read_cookie_reply(message, start).error(), Refusal::not_expected);
  (void)ends.initiate(5);  // same index, another mac1
  EXPECT_EQ(ends.initiator.read_cookie_reply(message, start).error(), Refusal::authentication);
}

TEST(WireguardHandshakeTest, TimestampsSortAsTheirMoments) {
  EXPECT_LT(to_tai64n(999'999'999), to_tai64n(1'000'000'000));
  EXPECT_LT(to_tai64n(1'763'770'000'000'000'000), to_tai64n(1'763'770'000'000'000'001));
}

}  // namespace
}  // namespace lp::wireguard
