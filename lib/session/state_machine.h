// The LP state machine, for both roles (docs/gateway.md, "One connection"). No I/O: packets go in,
// actions come out. It starts after ClientHello, which the connection handler owns.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/base/secret.h"
#include "lib/crypto/keys.h"
#include "lib/session/transport.h"
#include "lib/wire/packet.h"

namespace lp::session {

enum class Role : std::uint8_t { initiator, responder };
enum class State : std::uint8_t {
  waiting_for_handshake,
  handshake_in_progress,
  handshake_complete,
  failed
};

/// The documents' name of a state: WaitingForHandshake, …
[[nodiscard]] std::string_view name(State state) noexcept;

/// Inputs.
struct StartHandshake {};  ///< initiator only
struct ReceivePacket {
  ByteView packet;  ///< a whole packet, without its frame length
};
struct SendData {
  ByteView plaintext;
};
using Input = std::variant<StartHandshake, ReceivePacket, SendData>;

/// Actions. Views are good until the machine's next input or its end.
struct SendPacket {
  ByteView frame;  ///< to be sent as it is, frame length included
};
struct DeliverData {
  ByteView plaintext;
};
struct HandshakeComplete {};
/// The packet was refused and left no trace; the connection goes on (transport only, at most 16).
struct DropPacket {
  Error reason;  ///< session_id_mismatch, replay_duplicate, replay_too_old
};
using Action = std::variant<SendPacket, DeliverData, HandshakeComplete, DropPacket>;

/// One or two actions, in the order in which they are to be carried out.
class Actions {
 public:
  void add(Action action) noexcept { items_[size_++] = action; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] const Action* begin() const noexcept { return items_.data(); }
  [[nodiscard]] const Action* end() const noexcept { return items_.data() + size_; }
  [[nodiscard]] const Action& operator[](std::size_t i) const noexcept { return items_[i]; }
  /// The action of type T, or nullptr.
  template <typename T>
  [[nodiscard]] const T* find() const noexcept {
    for (const auto& action : *this) {
      if (const auto* found = std::get_if<T>(&action)) return found;
    }
    return nullptr;
  }

 private:
  std::array<Action, 2> items_{};
  std::size_t size_ = 0;
};

/// Packets that transport may drop; one more fails with too_many_dropped.
inline constexpr unsigned max_dropped_packets = 16;

/// One connection's protocol, from message 1 to its end. Move-only; a machine that was moved from
/// is in `failed`. Not thread-safe. In `failed` it holds no keys any more.
class StateMachine {
 public:
  /// The initiator takes over its key pair. `ephemeral` is for tests with fixed keys.
  [[nodiscard]] static StateMachine initiator(
      crypto::X25519KeyPair local, const crypto::X25519Public& gateway, const wire::Salt& salt,
      std::optional<crypto::X25519KeyPair> ephemeral = std::nullopt) noexcept;
  /// `local` is the gateway's static pair and must outlive the machine. `client` and `salt` are
  /// ClientHello's. Computes nothing yet: the ephemeral key is made for message 1, and the PSK is
  /// derived when message 3 needs it.
  [[nodiscard]] static StateMachine responder(
      const crypto::X25519KeyPair& local, const crypto::X25519Public& client,
      const wire::Salt& salt,
      std::optional<crypto::X25519KeyPair> ephemeral = std::nullopt) noexcept;

  StateMachine(StateMachine&&) noexcept;
  StateMachine& operator=(StateMachine&&) noexcept;
  ~StateMachine();

  /// Takes one input. An error leaves the machine in `failed`, except input_not_allowed
  /// (StartHandshake or SendData where the state has no use for them: the caller's mistake) and
  /// plaintext_too_long, which leave it as it was. Any input in `failed` gives machine_failed.
  [[nodiscard]] Result<Actions> process(const Input& input);

  [[nodiscard]] Role role() const noexcept { return role_; }
  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] std::uint32_t lp_id() const noexcept { return lp_id_; }
  /// The largest packet that the present state takes, for FrameReader::next: exact in a handshake,
  /// wire::max_packet_size in transport, 0 in `failed`.
  [[nodiscard]] std::size_t max_packet_size() const noexcept;
  /// Packets dropped so far.
  [[nodiscard]] unsigned dropped() const noexcept { return dropped_; }
  /// The handshake hash, once HandshakeComplete.
  [[nodiscard]] std::optional<crypto::Sha256Digest> handshake_hash() const noexcept;

 private:
  struct Handshake;   // what is needed until HandshakeComplete, freed then
  struct Transition;  // one row of the table of what is legal
  static const Transition legal[];
  enum class Event : std::uint8_t;

  StateMachine(Role role, std::uint32_t lp_id, std::unique_ptr<Handshake> handshake) noexcept;

  [[nodiscard]] const Transition* find(Event event) const noexcept;
  [[nodiscard]] Result<Actions> use(Event event, ByteView plaintext);
  [[nodiscard]] Result<Actions> receive(ByteView packet);
  [[nodiscard]] Result<Actions> drop(Error reason) noexcept;
  [[nodiscard]] Result<Actions> take(const Transition& transition, std::uint64_t counter,
                                     ByteView content);
  void fail_for_good() noexcept;

  // The steps that transitions name.
  [[nodiscard]] Result<Actions> take_busy(std::uint64_t counter, ByteView content);
  [[nodiscard]] Result<Actions> send_message_1(std::uint64_t counter, ByteView content);
  [[nodiscard]] Result<Actions> answer_message_1(std::uint64_t counter, ByteView content);
  [[nodiscard]] Result<Actions> answer_message_2(std::uint64_t counter, ByteView content);
  [[nodiscard]] Result<Actions> take_message_3(std::uint64_t counter, ByteView content);
  [[nodiscard]] Result<Actions> seal(std::uint64_t counter, ByteView plaintext);
  [[nodiscard]] Result<Actions> open(std::uint64_t counter, ByteView content);

  [[nodiscard]] SendPacket handshake_packet(std::uint64_t counter, ByteView message);
  template <typename Noise>
  void complete(Noise& noise) noexcept;

  Role role_;
  State state_ = State::waiting_for_handshake;
  std::uint8_t dropped_ = 0;
  std::uint32_t lp_id_;
  std::unique_ptr<Handshake> handshake_;
  std::optional<Transport> transport_;
  std::optional<crypto::Sha256Digest> handshake_hash_;
  Bytes frame_;             // what SendPacket shows
  SecretBuffer plaintext_;  // what DeliverData shows
};

// A gateway holds one for each of its connections, 10,000 by default.
static_assert(sizeof(StateMachine) <= 512);

}  // namespace lp::session
