#include "bench/handshake.h"

#include <utility>

#include "lib/crypto/random.h"
#include "lib/session/state_machine.h"
#include "lib/wire/format.h"
#include "lib/wire/packet.h"

namespace lp::bench {
namespace {

ByteView packet_in(ByteView frame) {
  return frame.subspan(wire::frame_length_size);
}

/// The one packet that a machine's answer has to send.
std::optional<ByteView> sent(const Result<session::Actions>& actions) {
  if (!actions) return std::nullopt;
  const auto* packet = actions->find<session::SendPacket>();
  return packet == nullptr ? std::nullopt : std::optional(packet_in(packet->frame));
}

}  // namespace

std::optional<Handshake> shake_hands(const crypto::X25519KeyPair& gateway) {
  Handshake spent;
  wire::Salt salt{};
  crypto::random_bytes(salt);
  crypto::X25519Public client;
  auto initiator = timed(spent.initiator, [&] {
    auto key = crypto::X25519KeyPair::generate();
    client = key.public_key;
    return session::StateMachine::initiator(std::move(key), gateway.public_key, salt);
  });
  auto responder = timed(spent.responder,
                         [&] { return session::StateMachine::responder(gateway, client, salt); });
  const auto message_1 =
      timed(spent.initiator, [&] { return sent(initiator.process(session::StartHandshake{})); });
  if (!message_1) return std::nullopt;
  const auto message_2 = timed(
      spent.responder, [&] { return sent(responder.process(session::ReceivePacket{*message_1})); });
  if (!message_2) return std::nullopt;
  const auto message_3 = timed(
      spent.initiator, [&] { return sent(initiator.process(session::ReceivePacket{*message_2})); });
  if (!message_3) return std::nullopt;
  const bool complete = timed(spent.responder, [&] {
    return responder.process(session::ReceivePacket{*message_3}).has_value();
  });
  if (!complete || responder.state() != session::State::handshake_complete) return std::nullopt;
  return spent;
}

}  // namespace lp::bench
