#include "lib/session/transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <type_traits>

#include "tests/lib/outcome.h"
#include "tests/support/vectors.h"

namespace lp::session {
namespace {

using test::error_of;

noise::TransportKeys keys(std::uint8_t send, std::uint8_t receive) {
  const auto cipher = [](std::uint8_t byte) {
    ByteArray<32> key;
    key.fill(byte);
    noise::CipherState state;
    state.initialize_key(Secret<32>(key));
    return state;
  };
  return {cipher(send), cipher(receive)};
}

Transport client() {
  return {keys(1, 2), {.sent = 2, .received = 1}};
}
Transport gateway() {
  return {keys(2, 1), {.sent = 1, .received = 2}};
}

struct Sealed {
  std::uint64_t counter;
  Bytes content;
};

const Bytes text{'t', 'e', 'x', 't'};

Sealed seal(Transport& from) {
  Sealed packet{from.next_counter().value(), Bytes(text.size() + Transport::tag_size)};
  EXPECT_TRUE(from.seal(text, packet.content));
  return packet;
}

std::optional<Error> open(Transport& at, const Sealed& packet) {
  Bytes out(packet.content.size() - Transport::tag_size);
  const auto opened = at.open(packet.counter, packet.content, out);
  if (opened) {
    EXPECT_EQ(out, text);
  }
  return error_of(opened);
}

TEST(Transport, FirstCounterIsNotAfterTheHandshake) {
  auto a = client();
  auto b = gateway();
  EXPECT_EQ(a.next_counter(), 2U);
  EXPECT_EQ(b.next_counter(), 1U);
  EXPECT_EQ(seal(a).counter, 2U);
  EXPECT_EQ(seal(a).counter, 3U);
  EXPECT_EQ(seal(b).counter, 1U);
  EXPECT_EQ(seal(b).counter, 2U);
}

TEST(Transport, CounterOfTheHandshakeIsTaken) {
  auto a = client();
  auto b = gateway();
  auto packet = seal(a);
  for (const std::uint64_t counter : {0U, 1U}) {
    packet.counter = counter;
    EXPECT_EQ(open(b, packet), Error::counter_not_transport) << counter;
  }
  packet = seal(b);
  packet.counter = 0;
  EXPECT_EQ(open(a, packet), Error::counter_not_transport);

  // Also long after these counters have left the window.
  a.skip_to(5000);
  EXPECT_EQ(open(b, seal(a)), test::no_error);
  packet = seal(a);
  packet.counter = 1;
  EXPECT_EQ(open(b, packet), Error::counter_not_transport);
}

TEST(Transport, CounterIsNotAuthenticated) {
  auto a = client();
  auto b = gateway();
  auto packet = seal(a);
  for (const std::uint64_t counter :
       {std::uint64_t{3}, std::uint64_t{1000}, UINT64_MAX - 1, UINT64_MAX}) {
    Sealed forged{counter, packet.content};
    EXPECT_EQ(open(b, forged), Error::noise_decrypt) << counter;
  }
  EXPECT_EQ(open(b, packet), test::no_error) << "a forged packet moved the window";
}

TEST(Transport, ReplayIsTakenOrFreshPacketRefused) {
  auto a = client();
  auto b = gateway();
  const auto first = seal(a);
  const auto second = seal(a);
  a.skip_to(2 + 1023);
  const auto edge = seal(a);
  const auto beyond = seal(a);

  EXPECT_EQ(open(b, edge), test::no_error);
  EXPECT_EQ(open(b, first), test::no_error) << "1,023 below the highest";
  EXPECT_EQ(open(b, first), Error::replay_duplicate);
  EXPECT_EQ(open(b, beyond), test::no_error);
  EXPECT_EQ(open(b, first), Error::replay_too_old);
  EXPECT_EQ(open(b, second), test::no_error);
  EXPECT_EQ(open(b, second), Error::replay_duplicate);
  EXPECT_EQ(open(b, beyond), Error::replay_duplicate);
}

TEST(Transport, RefusedForgeryMarksItsCounter) {
  auto a = client();
  auto b = gateway();
  const auto good = seal(a);
  auto forged = good;
  forged.content[0] ^= 1;
  EXPECT_EQ(open(b, forged), Error::noise_decrypt);
  EXPECT_EQ(open(b, good), test::no_error);
}

TEST(Transport, EndOfTheCountersWrapsAround) {
  auto a = client();
  auto b = gateway();
  a.skip_to(UINT64_MAX - 1);
  const auto last_but_one = seal(a);
  const auto last = seal(a);
  EXPECT_EQ(last.counter, UINT64_MAX);
  EXPECT_EQ(open(b, last), test::no_error);
  EXPECT_EQ(open(b, last_but_one), test::no_error);
  EXPECT_EQ(open(b, last), Error::replay_duplicate);

  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(error_of(a.next_counter()), Error::counter_exhausted);
    Bytes out(text.size() + Transport::tag_size, 0xee);
    EXPECT_EQ(error_of(a.seal(text, out)), Error::counter_exhausted);
    EXPECT_THAT(out, testing::Each(0xee)) << "something was encrypted";
    a.skip_to(10);
  }
  // What arrives is still opened.
  EXPECT_EQ(open(a, seal(b)), test::no_error);
}

TEST(Transport, SkipGoesBack) {
  auto a = client();
  a.skip_to(100);
  a.skip_to(50);
  EXPECT_EQ(a.next_counter(), 100U);
}

TEST(Transport, CopyUsesNoncesTwice) {
  static_assert(!std::is_copy_constructible_v<Transport>);
  static_assert(!std::is_copy_assignable_v<Transport>);
}

}  // namespace
}  // namespace lp::session
