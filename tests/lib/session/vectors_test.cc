// Both roles against recorded connections, byte for byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "lib/base/encoding.h"
#include "tests/lib/session/pair.h"

namespace lp::session {
namespace {

using test::delivered;
using test::FrameVector;
using test::HandshakeVector;
using test::Pair;
using test::sent;

class RecordedConnection : public testing::TestWithParam<std::size_t> {
 protected:
  [[nodiscard]] static const HandshakeVector& vector() {
    return test::lp_v1().handshakes[GetParam()];
  }
  [[nodiscard]] static const FrameVector& frame(std::size_t index) {
    return vector().frames.at(index);
  }
  /// EncryptedData of one side, in the order sent.
  [[nodiscard]] static std::vector<FrameVector> transport(bool from_client) {
    std::vector<FrameVector> frames;
    for (std::size_t i = HandshakeVector::first_transport; i < vector().frames.size(); ++i) {
      if (frame(i).from_client == from_client) frames.push_back(frame(i));
    }
    return frames;
  }
};

INSTANTIATE_TEST_SUITE_P(Vectors, RecordedConnection,
                         testing::Range(std::size_t{0}, test::lp_v1().handshakes.size()));

TEST_P(RecordedConnection, ClientSendsOtherBytesThanTheReference) {
  Pair pair(vector());
  EXPECT_EQ(pair.client.lp_id(), vector().lp_id);
  EXPECT_EQ(pair.client.max_packet_size(), wire::min_packet_size);

  EXPECT_EQ(sent(pair.client.process(StartHandshake{})), frame(HandshakeVector::message_1).frame);
  EXPECT_EQ(pair.client.state(), State::handshake_in_progress);
  EXPECT_EQ(pair.client.max_packet_size(), 82U);

  const auto third = pair.client.process(ReceivePacket{frame(HandshakeVector::message_2).packet()});
  ASSERT_TRUE(third) << name(third.error());
  ASSERT_EQ(third->size(), 2U);
  EXPECT_TRUE(std::holds_alternative<SendPacket>((*third)[0])) << "message 3 goes out first";
  EXPECT_TRUE(std::holds_alternative<HandshakeComplete>((*third)[1]));
  EXPECT_EQ(sent(third), frame(HandshakeVector::message_3).frame);
  EXPECT_EQ(pair.client.state(), State::handshake_complete);
  EXPECT_EQ(pair.client.handshake_hash(), vector().handshake_hash);
  EXPECT_EQ(pair.client.max_packet_size(), wire::max_packet_size);

  for (std::size_t i = HandshakeVector::first_transport; i < vector().frames.size(); ++i) {
    SCOPED_TRACE(i);
    if (frame(i).from_client) {
      EXPECT_EQ(sent(pair.client.process(SendData{*frame(i).plaintext})), frame(i).frame);
    } else {
      EXPECT_EQ(delivered(pair.client.process(ReceivePacket{frame(i).packet()})),
                frame(i).plaintext);
    }
  }
}

TEST_P(RecordedConnection, GatewaySendsOtherBytesThanTheReference) {
  Pair pair(vector());
  EXPECT_EQ(pair.gateway.lp_id(), vector().lp_id);
  EXPECT_EQ(pair.gateway.max_packet_size(), 82U);

  EXPECT_EQ(sent(pair.gateway.process(ReceivePacket{frame(HandshakeVector::message_1).packet()})),
            frame(HandshakeVector::message_2).frame);
  EXPECT_EQ(pair.gateway.state(), State::handshake_in_progress);
  EXPECT_EQ(pair.gateway.max_packet_size(), 98U);

  const auto complete =
      pair.gateway.process(ReceivePacket{frame(HandshakeVector::message_3).packet()});
  ASSERT_TRUE(complete) << name(complete.error());
  ASSERT_EQ(complete->size(), 1U);
  EXPECT_TRUE(std::holds_alternative<HandshakeComplete>((*complete)[0]));
  EXPECT_EQ(pair.gateway.state(), State::handshake_complete);
  EXPECT_EQ(pair.gateway.handshake_hash(), vector().handshake_hash);
  EXPECT_EQ(pair.gateway.max_packet_size(), wire::max_packet_size);

  for (std::size_t i = HandshakeVector::first_transport; i < vector().frames.size(); ++i) {
    SCOPED_TRACE(i);
    if (frame(i).from_client) {
      EXPECT_EQ(delivered(pair.gateway.process(ReceivePacket{frame(i).packet()})),
                frame(i).plaintext);
    } else {
      EXPECT_EQ(sent(pair.gateway.process(SendData{*frame(i).plaintext})), frame(i).frame);
    }
  }
}

/// Every order in which one side's packets can arrive.
void expect_all_orders_delivered(const HandshakeVector& vector, Role receiver,
                                 const std::vector<FrameVector>& packets) {
  std::vector<std::size_t> order(packets.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  do {
    SCOPED_TRACE(testing::PrintToString(order));
    Pair pair(vector);
    pair.run_to(State::handshake_complete);
    auto& machine = pair.machine(receiver);
    for (const std::size_t i : order) {
      EXPECT_EQ(delivered(machine.process(ReceivePacket{packets[i].packet()})),
                packets[i].plaintext);
    }
    for (const std::size_t i : order) {
      EXPECT_EQ(test::dropped(machine.process(ReceivePacket{packets[i].packet()})),
                Error::replay_duplicate);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_P(RecordedConnection, GatewayRefusesTransportOutOfOrder) {
  const auto packets = transport(true);
  ASSERT_EQ(packets.size(), 3U);
  expect_all_orders_delivered(vector(), Role::responder, packets);
}

TEST_P(RecordedConnection, ClientRefusesTransportOutOfOrder) {
  const auto packets = transport(false);
  ASSERT_EQ(packets.size(), 3U);
  expect_all_orders_delivered(vector(), Role::initiator, packets);
}

TEST_P(RecordedConnection, FreshEphemeralKeysDoNotComplete) {
  const auto gateway_key = vector().gateway();
  auto client = StateMachine::initiator(vector().client(), gateway_key.public_key, vector().salt);
  auto gateway = StateMachine::responder(gateway_key, vector().client_public, vector().salt);
  const Bytes message_1 = test::sent_packet(client.process(StartHandshake{}));
  EXPECT_THAT(message_1,
              testing::Not(testing::ElementsAreArray(frame(HandshakeVector::message_1).packet())));
  const Bytes message_2 = test::sent_packet(gateway.process(ReceivePacket{message_1}));
  const Bytes message_3 = test::sent_packet(client.process(ReceivePacket{message_2}));
  ASSERT_TRUE(gateway.process(ReceivePacket{message_3}));
  EXPECT_EQ(client.handshake_hash(), gateway.handshake_hash());
  EXPECT_TRUE(test::converse(client, gateway));
}

}  // namespace
}  // namespace lp::session
