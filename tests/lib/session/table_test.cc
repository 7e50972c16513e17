// Every state of both roles × every message type × every mutation of a packet: each cell has one
// outcome, and after it the machine is either where the table says or has left no trace.
//
// The table here is written down a second time, from lp-protocol(7) and docs/gateway.md, "One
// connection", and not taken from the machine's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/lib/session/pair.h"

namespace lp::session {
namespace {

using test::HandshakeVector;
using test::Pair;
using wire::MessageType;

/// What a packet does to a machine.
struct Outcome {
  enum class Kind { taken, dropped, refused } kind = Kind::taken;
  Error error{};  ///< of the last two

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

void PrintTo(const Outcome& outcome, std::ostream* out) {
  switch (outcome.kind) {
    case Outcome::Kind::taken:
      *out << "taken";
      return;
    case Outcome::Kind::dropped:
      *out << "dropped: " << name(outcome.error);
      return;
    case Outcome::Kind::refused:
      *out << "refused: " << name(outcome.error);
      return;
  }
}

constexpr Outcome taken{};
constexpr Outcome dropped(Error error) {
  return {Outcome::Kind::dropped, error};
}
constexpr Outcome refused(Error error) {
  return {Outcome::Kind::refused, error};
}

Outcome outcome_of(const Result<Actions>& actions) {
  if (!actions) return refused(actions.error());
  if (const auto* drop = actions->find<DropPacket>()) return dropped(drop->reason);
  return taken;
}

struct Place {
  Role role;
  State state;
};

constexpr Place places[] = {
    {Role::initiator, State::waiting_for_handshake},
    {Role::initiator, State::handshake_in_progress},
    {Role::initiator, State::handshake_complete},
    {Role::initiator, State::failed},
    {Role::responder, State::waiting_for_handshake},
    {Role::responder, State::handshake_in_progress},
    {Role::responder, State::handshake_complete},
    {Role::responder, State::failed},
};

constexpr MessageType types[] = {MessageType::busy, MessageType::handshake,
                                 MessageType::encrypted_data, MessageType::client_hello};

/// The best packet of that type for that place: the one that is due where one is, else one that
/// would be in another state.
Bytes packet_for(const Pair& pair, Place place, MessageType type) {
  const auto copy = [](ByteView packet) { return Bytes(packet.begin(), packet.end()); };
  const auto recorded = [&](std::size_t i) { return copy(pair.vector.frames[i].packet()); };
  const bool client = place.role == Role::initiator;
  switch (type) {
    case MessageType::busy:
      return copy(ByteView(wire::busy_frame()).subspan(wire::frame_length_size));
    case MessageType::client_hello:
      return recorded(HandshakeVector::client_hello);
    case MessageType::handshake:
      if (client) return recorded(HandshakeVector::message_2);
      return recorded(place.state == State::waiting_for_handshake ? HandshakeVector::message_1
                                                                  : HandshakeVector::message_3);
    case MessageType::encrypted_data:
      for (std::size_t i = HandshakeVector::first_transport; i < pair.vector.frames.size(); ++i) {
        const auto& frame = pair.vector.frames[i];
        if (frame.from_client != client && !frame.plaintext->empty()) return copy(frame.packet());
      }
  }
  throw std::logic_error("no such packet");
}

/// What an unchanged packet does.
Outcome base_outcome(Place place, MessageType type) {
  if (place.state == State::failed) return refused(Error::machine_failed);
  const bool client = place.role == Role::initiator;
  switch (place.state) {
    case State::waiting_for_handshake:
      if (client && type == MessageType::busy) return refused(Error::busy);
      if (!client && type == MessageType::handshake) return taken;
      break;
    case State::handshake_in_progress:
      if (client && type == MessageType::busy) return refused(Error::busy);
      if (type == MessageType::handshake) return taken;
      break;
    case State::handshake_complete:
      if (type == MessageType::encrypted_data) return taken;
      break;
    case State::failed:
      break;
  }
  return refused(Error::message_type_unexpected);
}

/// One cell: the place, the type, and what comes out of the unchanged packet there.
struct Cell {
  Place place;
  MessageType type;
  Outcome base;

  [[nodiscard]] bool due() const { return base != refused(Error::message_type_unexpected); }
  [[nodiscard]] bool in_transport() const { return place.state == State::handshake_complete; }
};

struct Mutation {
  std::string what;
  std::function<void(Bytes&)> apply;
  /// For a cell that is not in `failed`.
  std::function<Outcome(const Cell&)> expected;
};

Mutation session_id(std::string what, std::function<std::uint32_t(std::uint32_t)> change) {
  return {"session id: " + what,
          [change](Bytes& packet) {
            auto* const at = packet.data() + wire::session_id_offset;
            store_le(at, change(load_le<std::uint32_t>(at)));
          },
          [](const Cell& cell) {
            if (!cell.due()) return cell.base;
            return cell.in_transport() ? dropped(Error::session_id_mismatch)
                                       : refused(Error::session_id_mismatch);
          }};
}

Mutation counter(std::string what, std::function<std::uint64_t(std::uint64_t)> change,
                 Error in_transport) {
  return {"counter: " + what,
          [change](Bytes& packet) {
            auto* const at = packet.data() + wire::counter_offset;
            store_le(at, change(load_le<std::uint64_t>(at)));
          },
          [in_transport](const Cell& cell) {
            if (!cell.due()) return cell.base;
            return refused(cell.in_transport() ? in_transport : Error::counter_unexpected);
          }};
}

Mutation set_byte(std::string what, std::size_t at, std::uint8_t value,
                  std::optional<Error> error) {
  return {std::move(what), [at, value](Bytes& packet) { packet[at] = value; },
          [error](const Cell& cell) { return error ? refused(*error) : cell.base; }};
}

Error wrong_size(MessageType type) {
  return type == MessageType::busy ? Error::busy_with_content : Error::packet_size_unexpected;
}

Mutation truncation(std::size_t size) {
  return {"cut to " + std::to_string(size) + " bytes",
          [size](Bytes& packet) { packet.resize(std::min(size, packet.size())); },
          [size](const Cell& cell) {
            if (size < 34) return refused(Error::packet_too_short);
            if (!cell.due()) return cell.base;
            if (cell.in_transport() && size >= 50) return refused(Error::noise_decrypt);
            return refused(wrong_size(cell.type));
          }};
}

Mutation extension(std::size_t by) {
  return {"longer by " + std::to_string(by),
          [by](Bytes& packet) { packet.resize(packet.size() + by); },
          [](const Cell& cell) {
            if (!cell.due()) return cell.base;
            return refused(cell.in_transport() ? Error::noise_decrypt : wrong_size(cell.type));
          }};
}

std::vector<Mutation> mutations() {
  const auto unchanged = [](const Cell& cell) { return cell.base; };
  std::vector<Mutation> all{
      {"none", [](Bytes&) {}, unchanged},
      {"trailer set", [](Bytes& packet) { std::fill(packet.end() - 16, packet.end(), 0xff); },
       unchanged},
      set_byte("first reserved byte", 1, 0xff, std::nullopt),
      set_byte("second reserved byte", 2, 0x01, std::nullopt),
      set_byte("third reserved byte", 3, 0x80, std::nullopt),
      set_byte("version 0", 0, 0, Error::version_unsupported),
      set_byte("version 2", 0, 2, Error::version_unsupported),
      set_byte("version 255", 0, 255, Error::version_unsupported),
      set_byte("type 4", 16, 4, Error::message_type_unknown),
      set_byte("type with a high byte", 17, 1, Error::message_type_unknown),
      session_id("one more", [](std::uint32_t id) { return id + 1; }),
      session_id("highest bit", [](std::uint32_t id) { return id ^ 0x8000'0000U; }),
      // 2 … is the counter of the recorded packet with content: 3 from the client, 2 from the
      // gateway. What is fresh to the window fails at the nonce.
      counter(
          "one more", [](std::uint64_t at) { return at + 1; }, Error::noise_decrypt),
      counter(
          "2^32 more", [](std::uint64_t at) { return at + (1ULL << 32); }, Error::noise_decrypt),
      counter(
          "2^63 more", [](std::uint64_t at) { return at + (1ULL << 63); }, Error::noise_decrypt),
      counter(
          "the last", [](std::uint64_t) { return UINT64_MAX; }, Error::noise_decrypt),
      extension(1),
      extension(16),
      {"longer than a frame", [](Bytes& packet) { packet.resize(65'537); },
       [](const Cell&) { return refused(Error::frame_oversize); }},
  };
  return all;
}

/// After the packet: `failed` for good, or on the way to HandshakeComplete, with a session that
/// still works.
void expect_consequence(Pair& pair, const Cell& cell, const Outcome& outcome) {
  auto& machine = pair.machine(cell.place.role);
  if (outcome.kind == Outcome::Kind::refused) {
    EXPECT_EQ(machine.state(), State::failed);
    EXPECT_EQ(machine.max_packet_size(), 0U);
    EXPECT_EQ(test::error_of(machine.process(SendData{})), Error::machine_failed);
    return;
  }
  if (outcome.kind == Outcome::Kind::dropped) {
    EXPECT_EQ(machine.state(), State::handshake_complete);
    EXPECT_EQ(machine.dropped(), 1U);
    const Bytes original = packet_for(pair, cell.place, cell.type);
    EXPECT_TRUE(test::delivered(machine.process(ReceivePacket{original})))
        << "the dropped packet left a trace";
    return;
  }
  const bool first =
      cell.place.role == Role::responder && cell.place.state == State::waiting_for_handshake;
  EXPECT_EQ(machine.state(), first ? State::handshake_in_progress : State::handshake_complete);
}

void expect_outcome(const Cell& cell, const Mutation& mutation) {
  Pair pair;
  pair.run_to(cell.place.state);
  auto& machine = pair.machine(cell.place.role);
  ASSERT_EQ(machine.state(), cell.place.state);

  Bytes packet = packet_for(pair, cell.place, cell.type);
  mutation.apply(packet);
  const Outcome expected = cell.place.state == State::failed ? cell.base : mutation.expected(cell);
  const Outcome outcome = outcome_of(machine.process(ReceivePacket{packet}));
  EXPECT_EQ(outcome, expected) << name(cell.type) << ", " << mutation.what;
  expect_consequence(pair, cell, outcome);
}

class Table : public testing::TestWithParam<Place> {
 protected:
  template <typename Use>
  static void for_each_cell(Use use) {
    for (const MessageType type : types) {
      const Cell cell{GetParam(), type, base_outcome(GetParam(), type)};
      use(cell);
      if (HasFailure()) return;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Places, Table, testing::ValuesIn(places), [](const auto& place) {
  return std::string(place.param.role == Role::initiator ? "Initiator" : "Responder") +
         std::string(name(place.param.state));
});

TEST_P(Table, CellHasAnotherOutcome) {
  for_each_cell([](const Cell& cell) {
    for (const auto& mutation : mutations())
      expect_outcome(cell, mutation);
  });
}

TEST_P(Table, TruncationHasAnotherOutcome) {
  for_each_cell([](const Cell& cell) {
    const std::size_t whole = packet_for(Pair(), cell.place, cell.type).size();
    for (std::size_t size = 0; size < whole; ++size)
      expect_outcome(cell, truncation(size));
  });
}

// Every wrong counter of a handshake packet near the right one: there is one, and no window.
TEST_P(Table, HandshakeCounterLeavesAChoice) {
  for_each_cell([](const Cell& cell) {
    if (!cell.due() || cell.in_transport() || cell.place.state == State::failed) return;
    const Bytes original = packet_for(Pair(), cell.place, cell.type);
    const auto right = load_le<std::uint64_t>(original.data() + wire::counter_offset);
    for (std::uint64_t other = 0; other < 5; ++other) {
      if (other == right) continue;
      expect_outcome(cell, counter(
                               std::to_string(other), [other](std::uint64_t) { return other; },
                               Error::counter_unexpected));
    }
  });
}

TEST_P(Table, CounterOfTheHandshakeReachesTransport) {
  for_each_cell([](const Cell& cell) {
    if (!cell.due() || !cell.in_transport()) return;
    const std::uint64_t handshake_packets = cell.place.role == Role::initiator ? 1 : 2;
    for (std::uint64_t other = 0; other < handshake_packets; ++other) {
      expect_outcome(cell, counter(
                               std::to_string(other), [other](std::uint64_t) { return other; },
                               Error::counter_not_transport));
    }
  });
}

// Session id 0 is right for Busy and wrong for everything else; the lp_id is the reverse.
TEST_P(Table, SessionIdOfAnotherTypeIsTaken) {
  for_each_cell([](const Cell& cell) {
    if (!cell.due() || cell.place.state == State::failed) return;
    const std::uint32_t lp_id = Pair().client.lp_id();
    const std::uint32_t wrong = cell.type == MessageType::busy ? lp_id : 0;
    expect_outcome(cell, session_id("of another type", [wrong](std::uint32_t) { return wrong; }));
  });
}

// "Order of checks" (docs/gateway.md, "One connection"): with everything wrong at once, each error
// hides those behind it.
TEST_P(Table, ChecksComeInAnotherOrder) {
  for_each_cell([](const Cell& cell) {
    if (!cell.due() || cell.place.state == State::failed) return;
    const Bytes original = packet_for(Pair(), cell.place, cell.type);
    Bytes packet(40, 0xee);
    std::vector<std::pair<Error, std::function<void()>>> steps{
        {Error::packet_too_short, [&] { packet.resize(33); }},
        {Error::version_unsupported, [&] { packet.resize(40, 0xee); }},
        {Error::message_type_unknown, [&] { packet[0] = 1; }},
        {Error::message_type_unexpected,
         [&] { store_le(packet.data() + wire::type_offset, std::uint16_t{3}); }},
        {wrong_size(cell.type),
         [&] {
           store_le(packet.data() + wire::type_offset, static_cast<std::uint16_t>(cell.type));
         }},
        {Error::session_id_mismatch, [&] { packet.resize(original.size(), 0xee); }},
        {cell.in_transport() ? Error::counter_not_transport : Error::counter_unexpected,
         [&] {
           std::copy_n(original.begin() + 4, 4, packet.begin() + 4);
           store_le(packet.data() + wire::counter_offset,
                    cell.in_transport() ? 0 : ~std::uint64_t{0});
         }},
        {cell.type == MessageType::busy ? Error::busy : Error::noise_decrypt,
         [&] { std::copy_n(original.begin() + 8, 8, packet.begin() + 8); }},
    };
    for (const auto& [error, step] : steps) {
      step();
      Pair pair;
      pair.run_to(cell.place.state);
      const auto outcome = outcome_of(pair.machine(cell.place.role).process(ReceivePacket{packet}));
      EXPECT_EQ(outcome, cell.in_transport() && error == Error::session_id_mismatch
                             ? dropped(error)
                             : refused(error))
          << name(cell.type) << ", " << name(error);
    }
  });
}

}  // namespace
}  // namespace lp::session
