#include "tests/lib/session/pair.h"

#include <stdexcept>

namespace lp::session {

void PrintTo(State state, std::ostream* out) {
  *out << name(state);
}
void PrintTo(Role role, std::ostream* out) {
  *out << (role == Role::initiator ? "initiator" : "responder");
}

}  // namespace lp::session

namespace lp::test {

using session::Actions;
using session::ReceivePacket;
using session::SendData;
using session::StartHandshake;
using session::State;
using session::StateMachine;

Pair::Pair(const HandshakeVector& from)
    : vector(from),
      gateway_key(from.gateway()),
      client(StateMachine::initiator(from.client(), gateway_key.public_key, from.salt,
                                     from.initiator_ephemeral_pair())),
      gateway(StateMachine::responder(gateway_key, from.client_public, from.salt,
                                      from.responder_ephemeral_pair())) {}

void Pair::run_to(State state) {
  if (state == State::waiting_for_handshake) return;
  const Bytes message_1 = sent_packet(client.process(StartHandshake{}));
  const Bytes message_2 = sent_packet(gateway.process(ReceivePacket{message_1}));
  if (state == State::handshake_in_progress) return;
  const Bytes message_3 = sent_packet(client.process(ReceivePacket{message_2}));
  if (!gateway.process(ReceivePacket{message_3})) throw std::logic_error("handshake failed");
  if (state == State::handshake_complete) return;
  (void)client.process(ReceivePacket{{}});
  (void)gateway.process(ReceivePacket{{}});
}

std::optional<Bytes> sent(const Result<Actions>& actions) {
  if (!actions) return std::nullopt;
  const auto* send = actions->find<session::SendPacket>();
  if (send == nullptr) return std::nullopt;
  return Bytes(send->frame.begin(), send->frame.end());
}

Bytes sent_packet(const Result<Actions>& actions) {
  const auto frame = sent(actions);
  if (!frame) throw std::logic_error("nothing was sent");
  return Bytes(frame->begin() + wire::frame_length_size, frame->end());
}

std::optional<Bytes> delivered(const Result<Actions>& actions) {
  if (!actions) return std::nullopt;
  const auto* deliver = actions->find<session::DeliverData>();
  if (deliver == nullptr) return std::nullopt;
  return Bytes(deliver->plaintext.begin(), deliver->plaintext.end());
}

std::optional<Error> dropped(const Result<Actions>& actions) {
  if (!actions) return std::nullopt;
  const auto* drop = actions->find<session::DropPacket>();
  if (drop == nullptr) return std::nullopt;
  return drop->reason;
}

Bytes seal(StateMachine& from, ByteView plaintext) {
  return sent_packet(from.process(SendData{plaintext}));
}

bool converse(StateMachine& a, StateMachine& b) {
  const Bytes to_b{'p', 'i', 'n', 'g'};
  const Bytes to_a{'p', 'o', 'n', 'g'};
  return delivered(b.process(ReceivePacket{seal(a, to_b)})) == to_b &&
         delivered(a.process(ReceivePacket{seal(b, to_a)})) == to_a;
}

}  // namespace lp::test
