// A client's and a gateway's state machine with the keys of a test vector, and views of what they
// answer.
#pragma once

#include <optional>
#include <ostream>

#include "lib/session/state_machine.h"
#include "tests/lib/outcome.h"
#include "tests/support/vectors.h"

namespace lp::session {

void PrintTo(State state, std::ostream* out);
void PrintTo(Role role, std::ostream* out);

}  // namespace lp::session

namespace lp::test {

/// The two machines of one connection. Ephemeral keys are fixed: every pair made from one vector
/// sends the same bytes. Neither is copied or moved: the gateway's machine points to `gateway_key`.
struct Pair {
  explicit Pair(const HandshakeVector& vector = lp_v1().handshakes[0]);
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  /// Puts both machines into the state, as far as the role can be in it.
  void run_to(session::State state);

  [[nodiscard]] session::StateMachine& machine(session::Role role) {
    return role == session::Role::initiator ? client : gateway;
  }

  const HandshakeVector& vector;
  crypto::X25519KeyPair gateway_key;
  session::StateMachine client;
  session::StateMachine gateway;
};

/// The frame of the one SendPacket, copied; nothing where there is none.
[[nodiscard]] std::optional<Bytes> sent(const Result<session::Actions>& actions);
/// The packet in it, without the frame length.
[[nodiscard]] Bytes sent_packet(const Result<session::Actions>& actions);
/// The plaintext of the one DeliverData, copied; nothing where there is none.
[[nodiscard]] std::optional<Bytes> delivered(const Result<session::Actions>& actions);
/// Why the packet was dropped; nothing where it was not.
[[nodiscard]] std::optional<Error> dropped(const Result<session::Actions>& actions);
/// Sends `plaintext` from one machine and gives the packet.
[[nodiscard]] Bytes seal(session::StateMachine& from, ByteView plaintext);

/// Whether the two machines, in transport, understand each other in both directions.
[[nodiscard]] bool converse(session::StateMachine& a, session::StateMachine& b);

}  // namespace lp::test
