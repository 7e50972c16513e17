// A gateway's machine, in each of its states, against a client that also knows the keys: hostile
// packets, honest ones, and honest ones with a byte changed.
//
// The input is one byte for the state in which the attack begins, then steps: one byte for the
// kind, two for a length, and that many bytes.
#include <algorithm>
#include <optional>

#include "lib/session/state_machine.h"
#include "tests/fuzz/require.h"

namespace {

using namespace lp;
using namespace lp::session;

crypto::X25519KeyPair key_pair(std::uint8_t byte) {
  ByteArray<32> secret;
  secret.fill(byte);
  return crypto::X25519KeyPair::from_secret(Secret<32>(secret));
}

const crypto::X25519KeyPair& gateway_key() {
  static const auto pair = key_pair(1);
  return pair;
}
const crypto::X25519KeyPair& client_key() {
  static const auto pair = key_pair(2);
  return pair;
}

Bytes sent(const Result<Actions>& actions) {
  require(actions.has_value());
  const ByteView frame = actions->find<SendPacket>()->frame;
  return Bytes(frame.begin() + wire::frame_length_size, frame.end());
}

struct Connection {
  StateMachine client = StateMachine::initiator(client_key().clone(), gateway_key().public_key,
                                                wire::Salt{}, key_pair(3));
  StateMachine gateway =
      StateMachine::responder(gateway_key(), client_key().public_key, wire::Salt{}, key_pair(4));

  void advance(unsigned messages) {
    if (messages < 1) return;
    const Bytes message_1 = sent(client.process(StartHandshake{}));
    const Bytes message_2 = sent(gateway.process(ReceivePacket{message_1}));
    if (messages < 2) return;
    const Bytes message_3 = sent(client.process(ReceivePacket{message_2}));
    require(gateway.process(ReceivePacket{message_3}).has_value());
  }
};

/// One packet to the gateway, and what must hold whatever it is.
void receive(StateMachine& gateway, ByteView packet, std::optional<ByteView> honest) {
  const State before = gateway.state();
  const unsigned dropped_before = gateway.dropped();
  const auto actions = gateway.process(ReceivePacket{packet});
  require(gateway.dropped() <= max_dropped_packets);
  if (!actions) {
    require(gateway.state() == State::failed && gateway.max_packet_size() == 0);
    require(before == State::failed || actions.error() != Error::machine_failed);
    return;
  }
  require(actions->size() == 1);
  if (actions->find<DropPacket>() != nullptr) {
    require(before == State::handshake_complete && gateway.state() == before);
    require(gateway.dropped() == dropped_before + 1);
  }
  if (const auto* deliver = actions->find<DeliverData>()) {
    require(before == State::handshake_complete && honest.has_value());
    require(std::ranges::equal(deliver->plaintext, *honest));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  ByteView input(data + 1, size - 1);
  Connection connection;
  connection.advance(data[0] % 3);

  while (input.size() >= 3) {
    const unsigned kind = input[0] % 4;
    const std::size_t length =
        std::min<std::size_t>(load_le<std::uint16_t>(input.data() + 1), input.size() - 3);
    const ByteView bytes = input.subspan(3, length);
    input = input.subspan(3 + length);

    if (kind == 0) {
      receive(connection.gateway, bytes, std::nullopt);
    } else if (kind == 1) {
      (void)connection.gateway.process(SendData{bytes});
    } else if (connection.client.state() == State::handshake_complete) {
      Bytes packet = sent(connection.client.process(SendData{bytes}));
      const bool changed = kind == 3 && bytes.size() >= 2;
      if (changed) packet[bytes[0] % packet.size()] ^= bytes[1];
      receive(connection.gateway, packet, bytes);
      // Once more: a replay, or the original after its forgery, must never be delivered twice.
      receive(connection.gateway, packet, std::nullopt);
    }
  }
  return 0;
}
