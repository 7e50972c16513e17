// ClientHello: everything that is refused, is refused without a byte and under its own label.
#include "lib/wire/format.h"
#include "tests/gateway/connection/fixture.h"

namespace lp::gateway::connection {
namespace {

using wire::MessageType;

Bytes frame(const wire::Header& header, std::size_t content_size) {
  return wire::make_frame(header, Bytes(content_size, 0x5a));
}

struct Refusal {
  std::string what;
  std::string reason;
  std::function<Bytes(const Bytes& hello)> spoil;
};

std::ostream& operator<<(std::ostream& out, const Refusal& refusal) {
  return out << refusal.what;
}

class RefusedHelloTest : public ServerTest, public testing::WithParamInterface<Refusal> {};

TEST_P(RefusedHelloTest, EndsTheConnectionWithoutAByteAndIsCounted) {
  start();
  auto connection = connect();
  ASSERT_TRUE(connection.send(GetParam().spoil(client().client_hello())));
  EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_EQ(hello_failures(GetParam().reason), 1);
  expect_sums();
  EXPECT_EQ(metric("lp_connections_total{result=\"error\"}"), 1);
}

Bytes with_byte(Bytes frame, std::size_t packet_offset, std::uint8_t value) {
  frame[wire::frame_length_size + packet_offset] = value;
  return frame;
}

Bytes with_length(Bytes frame, std::uint32_t length) {
  store_be(frame.data(), length);
  return frame;
}

Bytes with_timestamp(Bytes frame, std::int64_t off) {
  const auto place = frame.data() + wire::frame_length_size + wire::header_size + 32;
  store_le(place, static_cast<std::uint64_t>(
                      static_cast<std::int64_t>(load_le<std::uint64_t>(place)) + off));
  return frame;
}

const Refusal refusals[] = {
    {"version_0", "version", [](auto hello) { return with_byte(hello, wire::version_offset, 0); }},
    {"version_2", "version", [](auto hello) { return with_byte(hello, wire::version_offset, 2); }},
    {"unknown_type", "type", [](auto hello) { return with_byte(hello, wire::type_offset, 4); }},
    {"busy", "type", [](auto) { return frame({.type = MessageType::busy}, 0); }},
    {"handshake_packet", "type", [](auto) { return frame({.type = MessageType::handshake}, 48); }},
    {"encrypted_data", "type",
     [](auto) { return frame({.type = MessageType::encrypted_data}, 48); }},
    {"one_byte_short", "size", [](auto) { return frame({.type = MessageType::client_hello}, 63); }},
    {"one_byte_long", "size", [](auto) { return frame({.type = MessageType::client_hello}, 65); }},
    {"empty_hello", "size", [](auto) { return frame({.type = MessageType::client_hello}, 0); }},
    {"length_0", "too_short", [](auto hello) { return with_length(hello, 0); }},
    {"length_33", "too_short", [](auto hello) { return with_length(hello, 33); }},
    {"length_65537", "oversize", [](auto hello) { return with_length(hello, 65'537); }},
    {"length_max", "oversize", [](auto hello) { return with_length(hello, 0xffff'ffff); }},
    {"session_id", "header",
     [](auto hello) { return with_byte(hello, wire::session_id_offset, 1); }},
    {"counter", "header", [](auto hello) { return with_byte(hello, wire::counter_offset, 1); }},
    {"too_old", "timestamp", [](auto hello) { return with_timestamp(hello, -31); }},
    {"too_new", "timestamp", [](auto hello) { return with_timestamp(hello, 31); }},
    {"http_request", "oversize",
     [](auto) {
       const std::string_view text = "GET / HTTP/1.1\r\nHost: gateway\r\n\r\n";
       return Bytes(text.begin(), text.end());
     }},
};

INSTANTIATE_TEST_SUITE_P(Refusals, RefusedHelloTest, testing::ValuesIn(refusals),
                         [](const auto& info) { return info.param.what; });

class HelloTest : public ServerTest {};

TEST_F(HelloTest, TimestampsOnTheEdgeOfTheToleranceAreTaken) {
  start();
  for (const std::int64_t off : {-30, 30}) {
    test::RawClient client(keys.public_key,
                           static_cast<UnixSeconds>(static_cast<std::int64_t>(clock.now()) + off));
    EXPECT_NO_THROW((void)shaken(client)) << off;
  }
}

TEST_F(HelloTest, ReservedBytesAndTrailerChangeNothing) {
  start();
  auto client = this->client();
  auto hello = client.client_hello();
  for (std::size_t i = 0; i < 3; ++i)
    hello[wire::frame_length_size + wire::reserved_offset + i] = 7;
  for (std::size_t i = 0; i < wire::trailer_size; ++i)
    hello[hello.size() - 1 - i] = 9;
  auto connection = connect();
  ASSERT_TRUE(connection.send(test::concatenate(hello, client.message_1())));
  EXPECT_TRUE(connection.receive_packet());
}

TEST_F(HelloTest, AReplayedHelloIsRefusedWithoutAByte) {
  start();
  auto client = this->client();
  const auto first_flight = test::concatenate(client.client_hello(), client.message_1());
  auto original = connect();
  ASSERT_TRUE(original.send(first_flight));
  ASSERT_TRUE(original.receive_packet());

  auto replay = connect();
  ASSERT_TRUE(replay.send(first_flight));
  EXPECT_TRUE(replay.closed_without_a_byte());
  EXPECT_EQ(hello_failures("replayed"), 1);
  // The connection whose hello it was is none the worse for it.
  EXPECT_TRUE(original.silent());
  original.close();
  expect_sums();
}

TEST_F(HelloTest, AReplayIsRefusedAfterTheClockHasGoneForthAndBack) {
  start();
  auto client = this->client();
  const auto first_flight = test::concatenate(client.client_hello(), client.message_1());
  {
    auto original = connect();
    ASSERT_TRUE(original.send(first_flight));
    ASSERT_TRUE(original.receive_packet());
  }
  const UnixSeconds before = clock.now();
  clock.set(before + 3600);
  {
    // Makes the cache forget what is too old by this clock.
    auto later = this->client();
    EXPECT_NO_THROW((void)shaken(later));
  }
  clock.set(before);
  auto replay = connect();
  ASSERT_TRUE(replay.send(first_flight));
  EXPECT_TRUE(replay.closed_without_a_byte());
  EXPECT_EQ(hello_failures("timestamp"), 1);
}

TEST_F(HelloTest, AFullCacheForgetsTheOldestAndSaysSo) {
  options.client_hello_cache_entries = 2;
  start();
  for (int i = 0; i < 3; ++i) {
    auto client = this->client();
    EXPECT_NO_THROW((void)shaken(client));
  }
  EXPECT_EQ(metric("lp_client_hello_cache_entries"), 2);
  EXPECT_EQ(metric("lp_client_hello_cache_evicted_total"), 1);
}

TEST_F(HelloTest, AClientThatClosesBeforeItsHelloIsCountedAsClosed) {
  start();
  {
    auto silent = connect();
    silent.shut_down_sending();
    EXPECT_TRUE(silent.closed_without_a_byte());
  }
  {
    auto halfway = connect();
    ASSERT_TRUE(halfway.send(ByteView(client().client_hello()).first(101)));
    halfway.shut_down_sending();
    EXPECT_TRUE(halfway.closed_without_a_byte());
  }
  EXPECT_EQ(hello_failures("closed"), 2);
  auto resetting = connect();
  wait_until([&] { return server->active_connections() == 1; });
  resetting.close(/*reset=*/true);
  wait_until_idle();
  EXPECT_EQ(hello_failures("closed"), 3);
  expect_sums();
}

}  // namespace
}  // namespace lp::gateway::connection
