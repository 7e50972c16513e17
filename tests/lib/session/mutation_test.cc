// Every single bit of a recorded connection flipped, at both machines.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/lib/session/pair.h"

namespace lp::session {
namespace {

using test::FrameVector;
using test::HandshakeVector;
using test::Pair;

/// Fields of a packet, by the byte that was hit.
enum class Field { version, reserved, session_id, counter, type, content, trailer };

Field field_at(std::size_t byte, std::size_t packet_size) {
  if (byte >= packet_size - wire::trailer_size) return Field::trailer;
  if (byte >= wire::header_size) return Field::content;
  if (byte >= wire::type_offset) return Field::type;
  if (byte >= wire::counter_offset) return Field::counter;
  if (byte >= wire::session_id_offset) return Field::session_id;
  return byte >= wire::reserved_offset ? Field::reserved : Field::version;
}

/// The packets one role receives after ClientHello, with the bytes that it answers.
std::vector<FrameVector> received_by(Role role, const HandshakeVector& vector) {
  std::vector<FrameVector> frames;
  for (std::size_t i = HandshakeVector::message_1; i < vector.frames.size(); ++i) {
    if (vector.frames[i].from_client == (role == Role::responder)) {
      frames.push_back(vector.frames[i]);
    }
  }
  return frames;
}

/// What a machine did with one packet, as far as the network and the caller see it.
struct Answer {
  std::optional<Error> error;
  std::optional<Error> dropped;
  std::optional<Bytes> sent;
  std::optional<Bytes> delivered;
  State state{};

  friend bool operator==(const Answer&, const Answer&) = default;
};

Answer answer(StateMachine& machine, ByteView packet) {
  const auto actions = machine.process(ReceivePacket{packet});
  return {test::error_of(actions), test::dropped(actions), test::sent(actions),
          test::delivered(actions), machine.state()};
}

/// Plays the recorded connection to one machine up to packet `until` of those it receives.
void play(StateMachine& machine, const std::vector<FrameVector>& packets, std::size_t until) {
  if (machine.role() == Role::initiator) {
    ASSERT_TRUE(machine.process(StartHandshake{}));
  }
  for (std::size_t i = 0; i < until; ++i) {
    ASSERT_TRUE(machine.process(ReceivePacket{packets[i].packet()}));
  }
}

/// Whether the machine has finished its handshake before it receives packet `index`.
bool in_transport(Role role, std::size_t index) {
  return index >= (role == Role::initiator ? 1U : 2U);
}

std::optional<Error> expected_error(Role role, std::size_t index, std::size_t bit,
                                    const FrameVector& frame) {
  const bool transport = in_transport(role, index);
  switch (field_at(bit / 8, frame.packet().size())) {
    case Field::version:
      return Error::version_unsupported;
    case Field::session_id:
      return transport ? std::nullopt : std::optional(Error::session_id_mismatch);
    case Field::counter: {
      if (!transport) return Error::counter_unexpected;
      const std::uint64_t flipped =
          frame.counter ^ (std::uint64_t{1} << (bit - wire::counter_offset * 8));
      const std::uint64_t handshake_packets = role == Role::initiator ? 1 : 2;
      if (flipped < handshake_packets) return Error::counter_not_transport;
      // A counter that came before is dropped; the packets before this one have those below its
      // own.
      return flipped < frame.counter ? std::nullopt : std::optional(Error::noise_decrypt);
    }
    case Field::type: {
      const std::size_t type_bit = bit - wire::type_offset * 8;
      if (type_bit >= 2) return Error::message_type_unknown;
      // Handshake with its low bit flipped is a Busy, which an initiator takes, if it is empty.
      const bool busy = !transport && type_bit == 0 && role == Role::initiator;
      return busy ? Error::busy_with_content : Error::message_type_unexpected;
    }
    case Field::content:
      return Error::noise_decrypt;
    case Field::reserved:
    case Field::trailer:
      break;
  }
  return std::nullopt;
}

void flip_every_bit(Role role, const HandshakeVector& vector) {
  const auto packets = received_by(role, vector);
  ASSERT_EQ(packets.size(), role == Role::initiator ? 4U : 5U);
  for (std::size_t index = 0; index < packets.size(); ++index) {
    const ByteView original = packets[index].packet();
    Pair reference(vector);
    ASSERT_NO_FATAL_FAILURE(play(reference.machine(role), packets, index));
    const Answer unchanged = answer(reference.machine(role), original);
    ASSERT_EQ(unchanged.error, test::no_error);

    for (std::size_t bit = 0; bit < original.size() * 8; ++bit) {
      SCOPED_TRACE("packet " + std::to_string(index) + ", byte " + std::to_string(bit / 8) +
                   ", bit " + std::to_string(bit % 8));
      Bytes packet(original.begin(), original.end());
      packet[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
      Pair pair(vector);
      auto& machine = pair.machine(role);
      ASSERT_NO_FATAL_FAILURE(play(machine, packets, index));
      const Answer flipped = answer(machine, packet);

      const Field field = field_at(bit / 8, original.size());
      if (field == Field::reserved || field == Field::trailer) {
        ASSERT_EQ(flipped, unchanged) << "a bit that means nothing changed something";
        continue;
      }
      ASSERT_EQ(flipped.error, expected_error(role, index, bit, packets[index]));
      ASSERT_EQ(flipped.sent, std::nullopt);
      ASSERT_EQ(flipped.delivered, std::nullopt);
      if (flipped.error) {
        ASSERT_EQ(flipped.state, State::failed);
        continue;
      }
      ASSERT_EQ(flipped.dropped,
                field == Field::session_id ? Error::session_id_mismatch : Error::replay_duplicate);
      ASSERT_EQ(answer(machine, original), unchanged) << "the dropped packet left a trace";
    }
  }
}

TEST(FlippedBit, GatewayTakesOrMisjudgesThePacket) {
  flip_every_bit(Role::responder, test::lp_v1().handshakes[0]);
}

TEST(FlippedBit, ClientTakesOrMisjudgesThePacket) {
  flip_every_bit(Role::initiator, test::lp_v1().handshakes[0]);
}

}  // namespace
}  // namespace lp::session
