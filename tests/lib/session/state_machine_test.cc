#include "lib/session/state_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "tests/lib/session/pair.h"

namespace lp::session {
namespace {

using test::delivered;
using test::dropped;
using test::error_of;
using test::HandshakeVector;
using test::Pair;

constexpr std::size_t largest_plaintext = 65'536 - 34 - 16;

TEST(StateMachine, ErrorIsForgotten) {
  Pair pair;
  EXPECT_EQ(error_of(pair.gateway.process(ReceivePacket{{}})), Error::packet_too_short);
  EXPECT_EQ(pair.gateway.state(), State::failed);
  EXPECT_EQ(pair.gateway.max_packet_size(), 0U);
  for (const Input& input : {Input{StartHandshake{}}, Input{SendData{}}, Input{ReceivePacket{}},
                             Input{ReceivePacket{pair.vector.frames[1].packet()}}}) {
    EXPECT_EQ(error_of(pair.gateway.process(input)), Error::machine_failed);
  }
}

TEST(StateMachine, CallersMistakeEndsTheConnection) {
  Pair pair;
  const auto refuses = [](StateMachine& machine, const Input& input) {
    const State before = machine.state();
    EXPECT_EQ(error_of(machine.process(input)), Error::input_not_allowed);
    EXPECT_EQ(machine.state(), before);
  };
  const Bytes data{1};
  refuses(pair.client, SendData{data});
  refuses(pair.gateway, SendData{data});
  refuses(pair.gateway, StartHandshake{});

  const Bytes message_1 = test::sent_packet(pair.client.process(StartHandshake{}));
  refuses(pair.client, StartHandshake{});
  refuses(pair.client, SendData{data});

  const Bytes message_2 = test::sent_packet(pair.gateway.process(ReceivePacket{message_1}));
  refuses(pair.gateway, StartHandshake{});
  refuses(pair.gateway, SendData{data});

  const Bytes message_3 = test::sent_packet(pair.client.process(ReceivePacket{message_2}));
  ASSERT_TRUE(pair.gateway.process(ReceivePacket{message_3}));
  refuses(pair.client, StartHandshake{});
  refuses(pair.gateway, StartHandshake{});
  EXPECT_TRUE(test::converse(pair.client, pair.gateway));
}

TEST(StateMachine, PlaintextThatFillsAFrameDoesNotFit) {
  Pair pair;
  pair.run_to(State::handshake_complete);
  const Bytes too_long(largest_plaintext + 1);
  EXPECT_EQ(error_of(pair.client.process(SendData{too_long})), Error::plaintext_too_long);
  EXPECT_EQ(pair.client.state(), State::handshake_complete);

  const Bytes largest(largest_plaintext, 0x33);
  const Bytes packet = test::seal(pair.client, largest);
  EXPECT_EQ(packet.size(), 65'536U);
  EXPECT_EQ(delivered(pair.gateway.process(ReceivePacket{packet})), largest)
      << "the refused plaintext used up a counter, or the packet is refused";
}

TEST(StateMachine, OversizePacketIsOpened) {
  Pair pair;
  pair.run_to(State::handshake_complete);
  EXPECT_EQ(error_of(pair.gateway.process(ReceivePacket{Bytes(65'537)})), Error::frame_oversize);
  EXPECT_EQ(pair.gateway.state(), State::failed);
}

TEST(StateMachine, SeventeenthDropIsForgiven) {
  for (const Error reason : {Error::session_id_mismatch, Error::replay_duplicate}) {
    Pair pair;
    pair.run_to(State::handshake_complete);
    Bytes packet = test::seal(pair.client, Bytes{1});
    if (reason == Error::session_id_mismatch) {
      packet[wire::session_id_offset] ^= 1;
    } else {
      ASSERT_TRUE(delivered(pair.gateway.process(ReceivePacket{packet})));
    }
    for (unsigned i = 1; i <= 16; ++i) {
      EXPECT_EQ(dropped(pair.gateway.process(ReceivePacket{packet})), reason) << i;
      EXPECT_EQ(pair.gateway.dropped(), i);
    }
    EXPECT_TRUE(test::converse(pair.client, pair.gateway)) << "16 dropped packets left a trace";
    EXPECT_EQ(error_of(pair.gateway.process(ReceivePacket{packet})), Error::too_many_dropped);
    EXPECT_EQ(pair.gateway.state(), State::failed);
    EXPECT_EQ(pair.gateway.dropped(), 16U);
  }
}

TEST(StateMachine, OldPacketIsNotDroppedAsTooOld) {
  Pair pair;
  pair.run_to(State::handshake_complete);
  const Bytes first = test::seal(pair.client, Bytes{1});
  Bytes packet;
  for (int i = 0; i < 1024; ++i)
    packet = test::seal(pair.client, Bytes{2});
  ASSERT_TRUE(delivered(pair.gateway.process(ReceivePacket{packet})));
  EXPECT_EQ(dropped(pair.gateway.process(ReceivePacket{first})), Error::replay_too_old);
}

TEST(StateMachine, ForgedPacketMovesTheWindow) {
  // A forgery is fatal, so the proof is that it is noise_decrypt and no drop, and that a counter
  // far ahead is refused by cryptography and not taken.
  Pair pair;
  pair.run_to(State::handshake_complete);
  Bytes packet = test::seal(pair.client, Bytes{1});
  store_le(packet.data() + wire::counter_offset, std::uint64_t{1} << 40);
  EXPECT_EQ(error_of(pair.gateway.process(ReceivePacket{packet})), Error::noise_decrypt);
  EXPECT_EQ(pair.gateway.state(), State::failed);
}

TEST(StateMachine, StaticKeyOfAnotherClientIsTaken) {
  // The ClientHello named one key, message 3 carries another, and everything else is right: the
  // initiator even uses the session id of the key that was announced.
  const auto& vector = test::lp_v1().handshakes[0];
  const auto gateway_key = vector.gateway();
  const auto announced = crypto::X25519KeyPair::generate();
  auto gateway = StateMachine::responder(gateway_key, announced.public_key, vector.salt);
  auto client = StateMachine::initiator(vector.client(), gateway_key.public_key, vector.salt);

  const auto readdressed = [](Bytes packet, std::uint32_t lp_id) {
    store_le(packet.data() + wire::session_id_offset, lp_id);
    return packet;
  };
  const Bytes message_1 = test::sent_packet(client.process(StartHandshake{}));
  const Bytes message_2 =
      test::sent_packet(gateway.process(ReceivePacket{readdressed(message_1, gateway.lp_id())}));
  const Bytes message_3 =
      test::sent_packet(client.process(ReceivePacket{readdressed(message_2, client.lp_id())}));
  EXPECT_EQ(error_of(gateway.process(ReceivePacket{readdressed(message_3, gateway.lp_id())})),
            Error::static_key_mismatch);
  EXPECT_EQ(gateway.state(), State::failed);
  EXPECT_EQ(gateway.handshake_hash(), std::nullopt);
}

TEST(StateMachine, OtherSaltIsTaken) {
  const auto& vector = test::lp_v1().handshakes[0];
  const auto gateway_key = vector.gateway();
  auto salt = vector.salt;
  salt[31] ^= 1;
  auto gateway = StateMachine::responder(gateway_key, vector.client_public, salt);
  auto client = StateMachine::initiator(vector.client(), gateway_key.public_key, vector.salt);
  const Bytes message_1 = test::sent_packet(client.process(StartHandshake{}));
  const Bytes message_2 = test::sent_packet(gateway.process(ReceivePacket{message_1}));
  const Bytes message_3 = test::sent_packet(client.process(ReceivePacket{message_2}));
  EXPECT_EQ(error_of(gateway.process(ReceivePacket{message_3})), Error::noise_decrypt);
}

TEST(StateMachine, LowOrderKeyIsTaken) {
  const auto& vector = test::lp_v1().handshakes[0];
  const crypto::X25519Public zero;
  auto client = StateMachine::initiator(vector.client(), zero, vector.salt);
  EXPECT_EQ(error_of(client.process(StartHandshake{})), Error::key_low_order);
  EXPECT_EQ(client.state(), State::failed);

  // A ClientHello with a low-order key: the honest part of the handshake goes through, and the PSK
  // fails where it is needed.
  const auto gateway_key = vector.gateway();
  auto weak = vector.client();
  weak.public_key = zero;
  auto gateway = StateMachine::responder(gateway_key, zero, vector.salt);
  auto impostor = StateMachine::initiator(std::move(weak), gateway_key.public_key, vector.salt);
  const Bytes message_1 = test::sent_packet(impostor.process(StartHandshake{}));
  const Bytes message_2 = test::sent_packet(gateway.process(ReceivePacket{message_1}));
  const Bytes message_3 = test::sent_packet(impostor.process(ReceivePacket{message_2}));
  EXPECT_EQ(error_of(gateway.process(ReceivePacket{message_3})), Error::key_low_order);

  // An ephemeral key of low order in message 1.
  auto other = StateMachine::responder(gateway_key, vector.client_public, vector.salt);
  const auto message = wire::make_frame(
      {.session_id = other.lp_id(), .type = wire::MessageType::handshake}, Bytes(48));
  EXPECT_EQ(error_of(other.process(ReceivePacket{ByteView(message).subspan(4)})),
            Error::key_low_order);
}

TEST(StateMachine, DeliveredDataCannotBeSentBack) {
  Pair pair;
  pair.run_to(State::handshake_complete);
  const Bytes text{'e', 'c', 'h', 'o'};
  const Bytes packet = test::seal(pair.client, text);
  const auto actions = pair.gateway.process(ReceivePacket{packet});
  ASSERT_TRUE(actions);
  const ByteView plaintext = actions->find<DeliverData>()->plaintext;
  const Bytes echo = test::sent_packet(pair.gateway.process(SendData{plaintext}));
  EXPECT_EQ(delivered(pair.client.process(ReceivePacket{echo})), text);
}

TEST(StateMachine, MachineMovedFromGoesOn) {
  Pair pair;
  pair.run_to(State::handshake_complete);
  StateMachine moved(std::move(pair.client));
  EXPECT_EQ(pair.client.state(), State::failed);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(error_of(pair.client.process(SendData{})), Error::machine_failed);
  EXPECT_TRUE(test::converse(moved, pair.gateway));

  Pair other;
  other.client = std::move(moved);
  EXPECT_EQ(error_of(moved.process(SendData{})), Error::machine_failed);  // NOLINT
  EXPECT_EQ(other.client.state(), State::handshake_complete);
  EXPECT_TRUE(test::converse(other.client, pair.gateway));

  // In the middle of a handshake as well.
  Pair half;
  half.run_to(State::handshake_in_progress);
  StateMachine gateway(std::move(half.gateway));
  EXPECT_EQ(error_of(half.gateway.process(ReceivePacket{})), Error::machine_failed);  // NOLINT
  EXPECT_TRUE(
      gateway.process(ReceivePacket{half.vector.frames[HandshakeVector::message_3].packet()}));
  EXPECT_EQ(gateway.state(), State::handshake_complete);
}

TEST(StateMachine, HandshakeHashIsShownBeforeItIsAgreed) {
  Pair pair;
  EXPECT_EQ(pair.client.handshake_hash(), std::nullopt);
  pair.run_to(State::handshake_in_progress);
  EXPECT_EQ(pair.client.handshake_hash(), std::nullopt);
  EXPECT_EQ(pair.gateway.handshake_hash(), std::nullopt);
}

TEST(StateMachine, StateHasAnotherNameThanTheDocuments) {
  EXPECT_EQ(name(State::waiting_for_handshake), "WaitingForHandshake");
  EXPECT_EQ(name(State::handshake_in_progress), "HandshakeInProgress");
  EXPECT_EQ(name(State::handshake_complete), "HandshakeComplete");
  EXPECT_EQ(name(State::failed), "Failed");
}

}  // namespace
}  // namespace lp::session
