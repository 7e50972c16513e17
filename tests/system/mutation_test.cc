// Every packet of a session against a real gateway, mutated: each outcome is defined, the database
// and WireGuard stay untouched wherever the packet is not taken, and the process stays alive.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "lib/wire/format.h"
#include "tests/support/raw_client.h"
#include "tests/system/gateway_process.h"

namespace lp::test {
namespace {

enum class Packet : std::uint8_t { client_hello, message_1, message_3, request };
constexpr Packet packets[] = {Packet::client_hello, Packet::message_1, Packet::message_3,
                              Packet::request};

const char* name(Packet packet) {
  constexpr const char* names[] = {"ClientHello", "message 1", "message 3", "request"};
  return names[static_cast<std::size_t>(packet)];
}

/// What is done to a frame before it is sent.
using Mutation = std::function<void(Bytes& frame)>;

/// How a session with one mutated packet ended.
enum class Outcome : std::uint8_t {
  registered,
  refused,  ///< closed without an answer
  dropped,  ///< the gateway goes on waiting: the packet left no trace
};

std::ostream& operator<<(std::ostream& out, Outcome outcome) {
  constexpr const char* names[] = {"registered", "refused", "dropped"};
  return out << names[static_cast<std::size_t>(outcome)];
}

class MutationTest : public testing::Test {
 protected:
  /// A session whose packet `target` is sent mutated; the rest is as it should be.
  Outcome session(Packet target, const Mutation& mutate) {
    RawConnection connection("127.0.0.1", gateway.port());
    RawClient client(gateway.lp_key(), now());
    bool ended = false;
    const auto send = [&](Packet packet, Bytes frame) {
      if (ended) return;
      if (packet == target) mutate(frame);
      connection.send(frame);
      if (packet == target && end_of_stream) {
        connection.shut_down_sending();
        ended = true;
      }
    };
    send(Packet::client_hello, client.client_hello());
    send(Packet::message_1, client.message_1());
    if (target == Packet::client_hello || target == Packet::message_1)
      connection.shut_down_sending();
    const auto message_2 = connection.receive_packet();
    if (!message_2) return Outcome::refused;
    if (target == Packet::client_hello || target == Packet::message_1) {
      // The rest of this session is as it should be, and it was not refused so far.
      return finish_elsewhere(target, mutate);
    }
    send(Packet::message_3, client.message_3(*message_2));
    send(Packet::request, client.request(next_request()));
    connection.shut_down_sending();
    if (connection.receive_packet()) return Outcome::registered;
    const bool dropped = target == Packet::request && !end_of_stream && request_was_dropped(mutate);
    return dropped ? Outcome::dropped : Outcome::refused;
  }

  /// The same session without the early end of sending.
  Outcome finish_elsewhere(Packet target, const Mutation& mutate) {
    RawConnection connection("127.0.0.1", gateway.port());
    RawClient client(gateway.lp_key(), now());
    Bytes hello = client.client_hello();
    Bytes message_1 = client.message_1();
    mutate(target == Packet::client_hello ? hello : message_1);
    connection.send(hello);
    connection.send(message_1);
    const auto message_2 = connection.receive_packet();
    if (!message_2) return Outcome::refused;
    connection.send(client.message_3(*message_2));
    connection.send(client.request(next_request()));
    connection.shut_down_sending();
    return connection.receive_packet() ? Outcome::registered : Outcome::refused;
  }

  /// Whether a good request that follows the mutated one is still taken.
  bool request_was_dropped(const Mutation& mutate) {
    RawConnection connection("127.0.0.1", gateway.port());
    RawClient client(gateway.lp_key(), now());
    if (!shake_hands(connection, client)) return false;
    Bytes spoilt = client.request(next_request());
    mutate(spoilt);
    connection.send(spoilt);
    connection.send(client.request(next_request()));
    connection.shut_down_sending();
    return connection.receive_packet().has_value();
  }

  messages::RegistrationRequest next_request() {
    ++number_;
    return request(number_, number_);
  }

  /// Runs the session and checks that the tables moved exactly where it registered.
  void expect(Outcome expected, Packet target, const Mutation& mutate, const std::string& what) {
    const auto before = gateway.tables();
    const Outcome outcome = session(target, mutate);
    ASSERT_EQ(outcome, expected) << name(target) << ": " << what;
    ASSERT_TRUE(gateway.running());
    const auto registered = gateway.tables().spent - before.spent;
    ASSERT_EQ(registered, expected == Outcome::refused ? 0 : 1) << name(target) << ": " << what;
  }

  void TearDown() override {
    ASSERT_TRUE(gateway.running());
    const auto metrics = gateway.idle_metrics();
    expect_sums_agree(metrics);
    EXPECT_EQ(metrics["lp_wireguard_peers"], static_cast<double>(gateway.tables().peers));
    EXPECT_THAT(gateway.violations(), testing::IsEmpty());
    EXPECT_EQ(gateway.stop(), 0);
  }

  GatewayProcess gateway{
      {.flags = {"--max-connections-per-address", "0", "--ipv4-pool", "10.0.0.0/14"}}};
  /// Nothing follows the mutated packet.
  bool end_of_stream = false;

 private:
  std::uint64_t number_ = 0;
};

constexpr std::size_t prefix = wire::frame_length_size;

Mutation set(std::size_t offset, std::uint8_t value) {
  return [=](Bytes& frame) { frame[prefix + offset] = value; };
}

TEST_F(MutationTest, EachHeaderFieldHasItsOutcomeInEachState) {
  const std::vector<std::uint8_t> types{0, 1, 2, 3, 9};
  for (const Packet packet : packets) {
    const bool transport = packet == Packet::request;
    expect(Outcome::registered, packet, [](Bytes&) {}, "unchanged");
    expect(Outcome::refused, packet, set(wire::version_offset, 2), "version 2");
    expect(Outcome::refused, packet, set(wire::version_offset, 0), "version 0");
    expect(Outcome::registered, packet, set(wire::reserved_offset + 1, 0xff), "reserved");
    expect(
        transport ? Outcome::dropped : Outcome::refused, packet,
        [](Bytes& frame) { frame[prefix + wire::session_id_offset] ^= 1; }, "session id");
    // A counter that the handshake does not have; in transport another nonce, or one of the
    // handshake's.
    expect(
        Outcome::refused, packet,
        [](Bytes& frame) { frame[prefix + wire::counter_offset] ^= 0x10; }, "counter");
    if (transport) {
      expect(Outcome::refused, packet, set(wire::counter_offset, 1), "counter of message 3");
    }
    expect(Outcome::registered, packet, [](Bytes& frame) { frame.back() = 0xff; }, "trailer");
    const std::uint8_t own = packet == Packet::client_hello ? 3 : transport ? 2 : 1;
    for (const std::uint8_t type : types) {
      if (type != own) {
        expect(Outcome::refused, packet, set(wire::type_offset, type),
               "type " + std::to_string(type));
      }
    }
    expect(Outcome::refused, packet, set(wire::type_offset + 1, 1), "type, high byte");
  }
}

TEST_F(MutationTest, PacketTruncatedAnywhereIsRefused) {
  const auto step = static_cast<std::size_t>(rounds(7, 1));
  for (const Packet packet : packets) {
    Bytes whole;
    expect(Outcome::registered, packet, [&](Bytes& frame) { whole = frame; }, "unchanged");
    for (std::size_t size = 0; size + prefix < whole.size(); size += step) {
      end_of_stream = true;
      expect(
          Outcome::refused, packet, [=](Bytes& frame) { frame.resize(prefix + size); },
          "cut to " + std::to_string(size));
      end_of_stream = false;
      expect(
          Outcome::refused, packet,
          [=](Bytes& frame) {
            frame.resize(prefix + size);
            store_be(frame.data(), static_cast<std::uint32_t>(size));
          },
          "framed as " + std::to_string(size));
    }
  }
}

TEST_F(MutationTest, EveryFlippedBitHasADefinedOutcome) {
  const auto step = static_cast<std::size_t>(rounds(13, 1));
  for (const Packet packet : packets) {
    std::size_t size = 0;
    expect(Outcome::registered, packet, [&](Bytes& frame) { size = frame.size(); }, "unchanged");
    for (std::size_t bit = 0; bit < size * 8; bit += step) {
      const std::size_t byte = bit / 8;
      const bool ignored =
          (byte >= prefix + wire::reserved_offset && byte < prefix + wire::session_id_offset) ||
          byte >= size - wire::trailer_size;
      const bool session_id =
          byte >= prefix + wire::session_id_offset && byte < prefix + wire::counter_offset;
      const bool dropped = packet == Packet::request && session_id;
      // A flipped bit of the client's key or of the salt is found when both sides disagree on the
      // static key or the PSK.
      expect(
          ignored   ? Outcome::registered
          : dropped ? Outcome::dropped
                    : Outcome::refused,
          packet,
          [=](Bytes& frame) {
            frame[byte] = static_cast<std::uint8_t>(frame[byte] ^ (1U << (bit % 8)));
          },
          "bit " + std::to_string(bit));
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace lp::test
