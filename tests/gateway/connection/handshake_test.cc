// The handshake: everything wrong ends the connection without a byte and under its own label.
#include <array>

#include "lib/wire/format.h"
#include "tests/gateway/connection/fixture.h"

namespace lp::gateway::connection {
namespace {

using wire::MessageType;

constexpr std::size_t content_offset = wire::frame_length_size + wire::header_size;

struct Refusal {
  std::string what;
  std::string reason;
  std::function<void(Bytes& frame)> spoil;
};

std::ostream& operator<<(std::ostream& out, const Refusal& refusal) {
  return out << refusal.what;
}

void flip(Bytes& frame, std::size_t packet_offset) {
  frame[wire::frame_length_size + packet_offset] ^= 1;
}

void resize_packet(Bytes& frame, std::size_t size) {
  frame.resize(wire::frame_length_size + size);
  store_be(frame.data(), static_cast<std::uint32_t>(size));
}

const Refusal refusals[] = {
    {"version", "version", [](auto& frame) { flip(frame, wire::version_offset); }},
    {"unknown_type", "type", [](auto& frame) { frame[4 + wire::type_offset] = 77; }},
    {"busy", "type",
     [](auto& frame) {
       const auto& busy = wire::busy_frame();
       frame.assign(busy.begin(), busy.end());
     }},
    {"encrypted_data", "type", [](auto& frame) { frame[4 + wire::type_offset] = 2; }},
    {"client_hello", "type", [](auto& frame) { frame[4 + wire::type_offset] = 3; }},
    {"session_id", "session_id", [](auto& frame) { flip(frame, wire::session_id_offset + 3); }},
    {"counter", "counter", [](auto& frame) { flip(frame, wire::counter_offset + 7); }},
    {"next_counter", "counter", [](auto& frame) { frame[4 + wire::counter_offset] += 1; }},
    {"one_byte_short", "size",
     [](auto& frame) { resize_packet(frame, frame.size() - wire::frame_length_size - 1); }},
    {"one_byte_long", "size",
     [](auto& frame) { resize_packet(frame, frame.size() - wire::frame_length_size + 1); }},
    {"header_and_trailer_only", "size", [](auto& frame) { resize_packet(frame, 34); }},
    {"length_33", "too_short", [](auto& frame) { store_be<std::uint32_t>(frame.data(), 33); }},
    {"length_65537", "oversize",
     [](auto& frame) { store_be<std::uint32_t>(frame.data(), 65'537); }},
    {"first_byte", "decrypt", [](auto& frame) { frame[content_offset] ^= 1; }},
    {"tag", "decrypt", [](auto& frame) { frame[frame.size() - wire::trailer_size - 1] ^= 1; }},
};

class RefusedMessage1Test : public ServerTest, public testing::WithParamInterface<Refusal> {};

TEST_P(RefusedMessage1Test, EndsTheConnectionWithoutAByteAndIsCounted) {
  start();
  auto client = this->client();
  auto message_1 = client.message_1();
  GetParam().spoil(message_1);
  auto connection = connect();
  ASSERT_TRUE(connection.send(test::concatenate(client.client_hello(), message_1)));
  EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_EQ(handshake_failures(GetParam().reason), 1);
  expect_sums();
}

INSTANTIATE_TEST_SUITE_P(Refusals, RefusedMessage1Test, testing::ValuesIn(refusals),
                         [](const auto& info) { return info.param.what; });

class RefusedMessage3Test : public ServerTest, public testing::WithParamInterface<Refusal> {};

TEST_P(RefusedMessage3Test, EndsTheConnectionWithoutAnotherByteAndIsCounted) {
  start();
  auto client = this->client();
  auto connection = connect();
  ASSERT_TRUE(connection.send(test::concatenate(client.client_hello(), client.message_1())));
  const auto message_2 = connection.receive_packet();
  ASSERT_TRUE(message_2);
  auto message_3 = client.message_3(*message_2);
  GetParam().spoil(message_3);
  ASSERT_TRUE(connection.send(message_3));
  EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_EQ(handshake_failures(GetParam().reason), 1);
  EXPECT_EQ(metric("lp_registration_attempts_total"), 0);
  expect_sums();
}

INSTANTIATE_TEST_SUITE_P(Refusals, RefusedMessage3Test, testing::ValuesIn(refusals),
                         [](const auto& info) { return info.param.what; });

class HandshakeTest : public ServerTest {};

TEST_F(HandshakeTest, AnEphemeralKeyOfLowOrderIsRefused) {
  start();
  auto client = this->client();
  auto message_1 = client.message_1();
  std::fill_n(message_1.begin() + content_offset, 32, std::uint8_t{0});
  auto connection = connect();
  ASSERT_TRUE(connection.send(test::concatenate(client.client_hello(), message_1)));
  EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_EQ(handshake_failures("low_order"), 1);
  expect_sums();
}

/// Whoever announces one key and proves another must not pass. The headers carry the session id of
/// the announced key, since nothing authenticates them.
TEST_F(HandshakeTest, AStaticKeyOtherThanTheOneInTheHelloIsRefused) {
  start();
  auto announced = this->client();
  auto other = this->client();
  const auto with_session_id_of = [](Bytes packet_or_frame, std::size_t at, std::uint32_t id) {
    store_le(packet_or_frame.data() + at, id);
    return packet_or_frame;
  };
  constexpr std::size_t in_frame = wire::frame_length_size + wire::session_id_offset;
  const std::uint32_t announced_id = announced.machine().lp_id();
  const std::uint32_t own_id = other.machine().lp_id();

  auto connection = connect();
  ASSERT_TRUE(connection.send(test::concatenate(
      announced.client_hello(), with_session_id_of(other.message_1(), in_frame, announced_id))));
  const auto message_2 = connection.receive_packet();
  ASSERT_TRUE(message_2);
  const auto message_3 =
      other.message_3(with_session_id_of(*message_2, wire::session_id_offset, own_id));
  ASSERT_TRUE(connection.send(with_session_id_of(message_3, in_frame, announced_id)));
  EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_EQ(handshake_failures("static_key_mismatch"), 1);
  expect_sums();
}

TEST_F(HandshakeTest, AClientThatClosesDuringTheHandshakeIsCountedAsClosed) {
  start();
  {
    auto after_hello = connect();
    ASSERT_TRUE(after_hello.send(client().client_hello()));
    after_hello.shut_down_sending();
    EXPECT_TRUE(after_hello.closed_without_a_byte());
  }
  {
    auto client = this->client();
    auto after_message_2 = connect();
    ASSERT_TRUE(after_message_2.send(test::concatenate(client.client_hello(), client.message_1())));
    ASSERT_TRUE(after_message_2.receive_packet());
    after_message_2.shut_down_sending();
    EXPECT_TRUE(after_message_2.closed_without_a_byte());
  }
  EXPECT_EQ(handshake_failures("closed"), 2);
  expect_sums();
}

TEST_F(HandshakeTest, ARepeatedMessage1IsRefused) {
  start();
  auto client = this->client();
  const auto message_1 = client.message_1();
  auto connection = connect();
  ASSERT_TRUE(connection.send(test::concatenate(client.client_hello(), message_1)));
  ASSERT_TRUE(connection.receive_packet());
  ASSERT_TRUE(connection.send(message_1));
  EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_EQ(handshake_failures("size"), 1);
  expect_sums();
}

}  // namespace
}  // namespace lp::gateway::connection
