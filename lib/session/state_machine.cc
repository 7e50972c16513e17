#include "lib/session/state_machine.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "lib/psk/psk.h"

namespace lp::session {
namespace {

using wire::MessageType;

constexpr std::size_t max_plaintext_size = wire::max_content_size - Transport::tag_size;
constexpr std::size_t min_encrypted_packet_size = wire::min_packet_size + Transport::tag_size;

// The counters that handshake packets have: nothing authenticates a header during the handshake, so
// it must leave no choice.
constexpr std::uint64_t message_1_counter = 0;
constexpr std::uint64_t message_2_counter = 0;
constexpr std::uint64_t message_3_counter = 1;

constexpr Transport::HandshakePackets handshake_packets(Role role) noexcept {
  return role == Role::initiator
             ? Transport::HandshakePackets{.sent = wire::client_handshake_packets,
                                           .received = wire::gateway_handshake_packets}
             : Transport::HandshakePackets{.sent = wire::gateway_handshake_packets,
                                           .received = wire::client_handshake_packets};
}

struct PacketSizes {
  std::size_t min = 0;
  std::size_t max = 0;
};

constexpr PacketSizes exactly(std::size_t size) noexcept {
  return {size, size};
}
constexpr PacketSizes no_packet{};

}  // namespace

std::string_view name(State state) noexcept {
  switch (state) {
    case State::waiting_for_handshake:
      return "WaitingForHandshake";
    case State::handshake_in_progress:
      return "HandshakeInProgress";
    case State::handshake_complete:
      return "HandshakeComplete";
    case State::failed:
      return "Failed";
  }
  return "unknown";
}

/// What can happen to a machine: the caller's two inputs, and a packet of each type.
enum class StateMachine::Event : std::uint8_t {
  start_handshake,
  send_data,
  busy,
  handshake,
  encrypted_data,
  client_hello,
};

struct StateMachine::Transition {
  Role role;
  State from;
  Event event;
  State to;
  PacketSizes packet;                    ///< of the whole packet
  std::optional<std::uint64_t> counter;  ///< the one the packet must have; transport has a window
  Result<Actions> (StateMachine::*step)(std::uint64_t counter, ByteView content);
};

/// Every legal transition. An input that is not here is input_not_allowed, a packet that is not
/// here message_type_unexpected.
constexpr StateMachine::Transition StateMachine::legal[] = {
    {Role::initiator, State::waiting_for_handshake, Event::start_handshake,
     State::handshake_in_progress, no_packet, std::nullopt, &StateMachine::send_message_1},
    {Role::initiator, State::waiting_for_handshake, Event::busy, State::failed,
     exactly(wire::min_packet_size), 0, &StateMachine::take_busy},

    {Role::initiator, State::handshake_in_progress, Event::handshake, State::handshake_complete,
     exactly(wire::message_2_packet_size), message_2_counter, &StateMachine::answer_message_2},
    {Role::initiator, State::handshake_in_progress, Event::busy, State::failed,
     exactly(wire::min_packet_size), 0, &StateMachine::take_busy},

    {Role::responder, State::waiting_for_handshake, Event::handshake, State::handshake_in_progress,
     exactly(wire::message_1_packet_size), message_1_counter, &StateMachine::answer_message_1},

    {Role::responder, State::handshake_in_progress, Event::handshake, State::handshake_complete,
     exactly(wire::message_3_packet_size), message_3_counter, &StateMachine::take_message_3},

    {Role::initiator, State::handshake_complete, Event::send_data, State::handshake_complete,
     no_packet, std::nullopt, &StateMachine::seal},
    {Role::initiator,
     State::handshake_complete,
     Event::encrypted_data,
     State::handshake_complete,
     {min_encrypted_packet_size, wire::max_packet_size},
     std::nullopt,
     &StateMachine::open},
    {Role::responder, State::handshake_complete, Event::send_data, State::handshake_complete,
     no_packet, std::nullopt, &StateMachine::seal},
    {Role::responder,
     State::handshake_complete,
     Event::encrypted_data,
     State::handshake_complete,
     {min_encrypted_packet_size, wire::max_packet_size},
     std::nullopt,
     &StateMachine::open},
};

struct StateMachine::Handshake {
  std::optional<crypto::X25519KeyPair> own;        ///< the initiator's static pair
  const crypto::X25519KeyPair* gateway = nullptr;  ///< the responder's, which outlives the machine
  crypto::X25519Public peer;
  wire::Salt salt{};
  std::optional<crypto::X25519KeyPair> ephemeral;  ///< a fixed one, from a test
  std::optional<noise::Initiator> initiator;
  std::optional<noise::Responder> responder;

  [[nodiscard]] crypto::X25519KeyPair take_ephemeral() noexcept {
    return ephemeral ? std::move(*ephemeral) : crypto::X25519KeyPair::generate();
  }
};

StateMachine StateMachine::initiator(crypto::X25519KeyPair local,
                                     const crypto::X25519Public& gateway, const wire::Salt& salt,
                                     std::optional<crypto::X25519KeyPair> ephemeral) noexcept {
  const std::uint32_t lp_id = psk::lp_id(local.public_key, gateway);
  auto handshake = std::make_unique<Handshake>();
  handshake->own = std::move(local);
  handshake->peer = gateway;
  handshake->salt = salt;
  handshake->ephemeral = std::move(ephemeral);
  return {Role::initiator, lp_id, std::move(handshake)};
}

StateMachine StateMachine::responder(const crypto::X25519KeyPair& local,
                                     const crypto::X25519Public& client, const wire::Salt& salt,
                                     std::optional<crypto::X25519KeyPair> ephemeral) noexcept {
  auto handshake = std::make_unique<Handshake>();
  handshake->gateway = &local;
  handshake->peer = client;
  handshake->salt = salt;
  handshake->ephemeral = std::move(ephemeral);
  return {Role::responder, psk::lp_id(local.public_key, client), std::move(handshake)};
}

StateMachine::StateMachine(Role role, std::uint32_t lp_id,
                           std::unique_ptr<Handshake> handshake) noexcept
    : role_(role), lp_id_(lp_id), handshake_(std::move(handshake)) {}

StateMachine::StateMachine(StateMachine&& other) noexcept
    : role_(other.role_),
      state_(other.state_),
      dropped_(other.dropped_),
      lp_id_(other.lp_id_),
      handshake_(std::move(other.handshake_)),
      transport_(std::move(other.transport_)),
      handshake_hash_(other.handshake_hash_),
      frame_(std::move(other.frame_)),
      plaintext_(std::move(other.plaintext_)) {
  other.fail_for_good();
}

StateMachine& StateMachine::operator=(StateMachine&& other) noexcept {
  if (this != &other) {
    std::destroy_at(this);
    std::construct_at(this, std::move(other));
  }
  return *this;
}

StateMachine::~StateMachine() = default;

Result<Actions> StateMachine::process(const Input& input) {
  if (state_ == State::failed) return fail(Error::machine_failed);

  auto actions = std::visit(
      [this](const auto& in) -> Result<Actions> {
        using In = std::remove_cvref_t<decltype(in)>;
        if constexpr (std::is_same_v<In, StartHandshake>) {
          return use(Event::start_handshake, {});
        } else if constexpr (std::is_same_v<In, SendData>) {
          return use(Event::send_data, in.plaintext);
        } else {
          return receive(in.packet);
        }
      },
      input);

  if (!actions && actions.error() != Error::input_not_allowed &&
      actions.error() != Error::plaintext_too_long) {
    fail_for_good();
  }
  return actions;
}

std::size_t StateMachine::max_packet_size() const noexcept {
  std::size_t largest = 0;
  for (const auto& transition : legal) {
    if (transition.role == role_ && transition.from == state_) {
      largest = std::max(largest, transition.packet.max);
    }
  }
  return largest;
}

std::optional<crypto::Sha256Digest> StateMachine::handshake_hash() const noexcept {
  return handshake_hash_;
}

const StateMachine::Transition* StateMachine::find(Event event) const noexcept {
  for (const auto& transition : legal) {
    if (transition.role == role_ && transition.from == state_ && transition.event == event) {
      return &transition;
    }
  }
  return nullptr;
}

/// An input of the caller's.
Result<Actions> StateMachine::use(Event event, ByteView plaintext) {
  const Transition* const transition = find(event);
  if (transition == nullptr) return fail(Error::input_not_allowed);
  return take(*transition, 0, plaintext);
}

/// "A packet is checked for its frame length, for 34 bytes, for its version, its type, its size in
/// this state, its session id and its counter, and only then with cryptography" (docs/gateway.md,
/// "One connection"). The first three are split_packet's, the last the step's, as is the counter in
/// transport.
Result<Actions> StateMachine::receive(ByteView packet) {
  const auto parsed = wire::split_packet(packet);
  if (!parsed) return fail(parsed.error());
  const auto& [header, content] = *parsed;
  const bool is_busy = header.type == MessageType::busy;

  const auto event_of = [](MessageType type) {
    switch (type) {
      case MessageType::busy:
        return Event::busy;
      case MessageType::handshake:
        return Event::handshake;
      case MessageType::encrypted_data:
        return Event::encrypted_data;
      case MessageType::client_hello:
        break;
    }
    return Event::client_hello;
  };
  const Transition* const transition = find(event_of(header.type));
  if (transition == nullptr) return fail(Error::message_type_unexpected);

  if (packet.size() < transition->packet.min || packet.size() > transition->packet.max) {
    return fail(is_busy ? Error::busy_with_content : Error::packet_size_unexpected);
  }
  // "Every packet except ClientHello and Busy bears the session id, and a packet with another is
  // refused" (lp-protocol(7), "PSK and session id").
  if (header.session_id != (is_busy ? 0 : lp_id_)) return drop(Error::session_id_mismatch);
  if (transition->counter && header.counter != *transition->counter) {
    return fail(Error::counter_unexpected);
  }
  return take(*transition, header.counter, content);
}

Result<Actions> StateMachine::take(const Transition& transition, std::uint64_t counter,
                                   ByteView content) {
  auto actions = (this->*transition.step)(counter, content);
  if (actions) state_ = transition.to;
  return actions;
}

/// Refuses a packet: for good during the handshake, without a trace in transport, where whoever can
/// inject a packet into the connection should not be able to end it with one.
Result<Actions> StateMachine::drop(Error reason) noexcept {
  if (state_ != State::handshake_complete) return fail(reason);
  if (dropped_ == max_dropped_packets) return fail(Error::too_many_dropped);
  ++dropped_;
  Actions actions;
  actions.add(DropPacket{reason});
  return actions;
}

void StateMachine::fail_for_good() noexcept {
  state_ = State::failed;
  handshake_.reset();
  transport_.reset();
  plaintext_ = SecretBuffer();
  frame_ = Bytes();
}

Result<Actions> StateMachine::take_busy(std::uint64_t, ByteView) {
  return fail(Error::busy);
}

Result<Actions> StateMachine::send_message_1(std::uint64_t, ByteView) {
  auto& noise = handshake_->initiator.emplace(handshake_->own->clone(), handshake_->peer,
                                              handshake_->take_ephemeral());
  const auto message_1 = noise.write_message_1();
  if (!message_1) return fail(message_1.error());

  Actions actions;
  actions.add(handshake_packet(message_1_counter, *message_1));
  return actions;
}

Result<Actions> StateMachine::answer_message_1(std::uint64_t, ByteView content) {
  auto& noise = handshake_->responder.emplace(*handshake_->gateway, handshake_->take_ephemeral());
  if (auto read = noise.read_message_1(to_array<wire::noise_message_1_size>(content)); !read) {
    return fail(read.error());
  }
  const auto message_2 = noise.write_message_2();
  if (!message_2) return fail(message_2.error());

  Actions actions;
  actions.add(handshake_packet(message_2_counter, *message_2));
  return actions;
}

Result<Actions> StateMachine::answer_message_2(std::uint64_t, ByteView content) {
  auto& noise = *handshake_->initiator;
  if (auto read = noise.read_message_2(to_array<wire::noise_message_2_size>(content)); !read) {
    return fail(read.error());
  }
  const auto psk = psk::derive_psk(handshake_->own->secret, handshake_->peer, handshake_->salt);
  if (!psk) return fail(psk.error());
  const auto message_3 = noise.write_message_3(*psk);
  if (!message_3) return fail(message_3.error());

  Actions actions;
  actions.add(handshake_packet(message_3_counter, *message_3));
  actions.add(HandshakeComplete{});
  complete(noise);
  return actions;
}

Result<Actions> StateMachine::take_message_3(std::uint64_t, ByteView content) {
  auto& noise = *handshake_->responder;
  const auto message_3 = to_array<wire::noise_message_3_size>(content);
  const auto client = noise.read_message_3_static(message_3);
  if (!client) return fail(client.error());
  // "The responder compares the two and refuses a difference" (lp-protocol(7), "Handshake"). Before
  // the PSK, which a stranger's key should not make us compute.
  if (*client != handshake_->peer) return fail(Error::static_key_mismatch);
  const auto psk = psk::derive_psk(handshake_->gateway->secret, handshake_->peer, handshake_->salt);
  if (!psk) return fail(psk.error());
  if (auto read = noise.read_message_3_psk(message_3, *psk); !read) return fail(read.error());

  Actions actions;
  actions.add(HandshakeComplete{});
  complete(noise);
  return actions;
}

Result<Actions> StateMachine::seal(std::uint64_t, ByteView plaintext) {
  if (plaintext.size() > max_plaintext_size) return fail(Error::plaintext_too_long);
  const auto counter = transport_->next_counter();
  if (!counter) return fail(counter.error());

  frame_.clear();
  const wire::Header header{
      .session_id = lp_id_, .counter = *counter, .type = MessageType::encrypted_data};
  const auto content = wire::append_frame(frame_, header, plaintext.size() + Transport::tag_size);
  if (auto sealed = transport_->seal(plaintext, content); !sealed) return fail(sealed.error());
  plaintext_.reset(0);  // after sealing, for the caller may send what was delivered

  Actions actions;
  actions.add(SendPacket{frame_});
  return actions;
}

Result<Actions> StateMachine::open(std::uint64_t counter, ByteView content) {
  const auto plaintext = plaintext_.reset(content.size() - Transport::tag_size);
  if (auto opened = transport_->open(counter, content, plaintext); !opened) {
    const Error error = opened.error();
    const bool replayed = error == Error::replay_duplicate || error == Error::replay_too_old;
    return replayed ? drop(error) : fail(error);
  }
  Actions actions;
  actions.add(DeliverData{plaintext});
  return actions;
}

SendPacket StateMachine::handshake_packet(std::uint64_t counter, ByteView message) {
  const wire::Header header{
      .session_id = lp_id_, .counter = counter, .type = MessageType::handshake};
  frame_ = wire::make_frame(header, message);
  return {frame_};
}

/// Takes the transport keys and frees everything that only the handshake needed.
template <typename Noise>
void StateMachine::complete(Noise& noise) noexcept {
  handshake_hash_ = noise.handshake_hash();
  transport_.emplace(noise.split(), handshake_packets(role_));
  handshake_.reset();
}

}  // namespace lp::session
