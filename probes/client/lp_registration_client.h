// A client of LP registration: one TCP connection, one handshake, one request, one response
// (lp-protocol(7)).
//
//   LpRegistrationClient client(gateway_key, options);
//   client.connect(endpoint, deadline)
//   client.perform_handshake(deadline)
//   client.send_registration_request(request, deadline)
//   client.receive_registration_response(deadline)
//
// Each step is called once, in this order, and says where and why it failed. Every connection makes
// a fresh LP key. A client is used by one thread at a time; any number of clients may run at once.
#pragma once

#include <optional>
#include <string>

#include "lib/base/clock.h"
#include "lib/crypto/keys.h"
#include "lib/messages/registration.h"
#include "lib/session/state_machine.h"
#include "lib/wire/frame_reader.h"
#include "probes/client/packet_observer.h"
#include "probes/client/socket.h"
#include "probes/errors.h"

namespace lp::probe::client {

struct ClientOptions {
  /// ClientHello and message 1 share one write, and so do message 3 and the request. Without it
  /// each packet is a write of its own.
  bool coalesce = true;
  std::optional<Endpoint> source = std::nullopt;  ///< local address to bind to
  PacketObserver* observer = nullptr;             ///< outlives the client
  int cancel_fd = -1;                             ///< readable: every wait ends with `interrupted`
  const WallClock* clock = nullptr;  ///< for ClientHello's timestamp; the system's by default
};

/// When each step ended. Nothing for a step that has not.
struct StepTimes {
  std::optional<MonotonicTime> connected;
  std::optional<MonotonicTime> hello_sent;
  std::optional<MonotonicTime> handshake_complete;
  std::optional<MonotonicTime> request_sent;
  std::optional<MonotonicTime> response_received;
};

class LpRegistrationClient {
 public:
  explicit LpRegistrationClient(const crypto::X25519Public& gateway_key,
                                const ClientOptions& options = {});

  /// Stage connect: tcp_refused, tcp_timeout, tcp_unreachable, tcp_failed, source_address_unusable,
  /// out_of_descriptors, interrupted.
  [[nodiscard]] Outcome<void> connect(const Endpoint& gateway, MonotonicTime deadline);

  /// Sends ClientHello and message 1, reads message 2 and makes message 3, which waits for the
  /// request where packets are coalesced: with that the handshake is complete for the client. A
  /// gateway that refuses message 3 therefore shows in receive_registration_response, as
  /// closed_after_handshake. Stages client_hello and handshake.
  [[nodiscard]] Outcome<void> perform_handshake(MonotonicTime deadline);

  /// Stage request: request_timeout, request_send_failed, internal (the request does not fit into a
  /// packet), or what the gateway said before it closed.
  [[nodiscard]] Outcome<void> send_registration_request(
      const messages::RegistrationRequest& request, MonotonicTime deadline);

  /// Stages handshake (closed_after_handshake) and response. The response is decoded, not judged:
  /// see judge().
  [[nodiscard]] Outcome<messages::RegistrationResponse> receive_registration_response(
      MonotonicTime deadline);

  void close() noexcept { socket_.reset(); }

  [[nodiscard]] const StepTimes& times() const noexcept { return times_; }
  /// The connection's own address, once connected.
  [[nodiscard]] const Endpoint& local() const noexcept { return local_; }
  /// Session id of the connection, once the handshake has begun.
  [[nodiscard]] std::optional<std::uint32_t> lp_id() const noexcept;
  /// The socket, for tests that write to it past the client. -1 where there is none.
  [[nodiscard]] int native_handle() const noexcept { return socket_.get(); }

 private:
  enum class Phase : std::uint8_t { client_hello, handshake, request, response };

  [[nodiscard]] Outcome<void> start_handshake();
  [[nodiscard]] Outcome<void> read_message_2(MonotonicTime deadline);
  /// Writes `pending_` and empties it.
  [[nodiscard]] Outcome<void> flush(Phase phase, MonotonicTime deadline);
  /// A write failed with `error`: reads what is queued, so that Busy is seen as Busy.
  [[nodiscard]] ProbeError explain_failed_send(Phase phase, int error);
  /// The next whole packet.
  [[nodiscard]] Outcome<ByteView> read_packet(Phase phase, MonotonicTime deadline);
  [[nodiscard]] ProbeError closed(Phase phase, int error) const;
  [[nodiscard]] ProbeError timed_out(Phase phase) const;
  [[nodiscard]] ProbeError refused(Phase phase, Error error, std::string detail = {}) const;
  /// What dropped packets say about a response that never came; nothing where none was dropped.
  [[nodiscard]] std::optional<ProbeError> dropped() const;
  void append(ByteView frame);
  void observe_pending();

  crypto::X25519Public gateway_key_;
  ClientOptions options_;
  Descriptor socket_;
  Endpoint local_;
  std::optional<session::StateMachine> machine_;
  wire::FrameReader reader_;
  Bytes pending_;  ///< frames made and not yet written
  std::size_t observed_ = 0;
  std::optional<Error> drop_reason_;
  StepTimes times_;
};

/// Whether a response is a registration: the gateway's refusal under its code, or
/// missing_gateway_data or gateway_data_invalid where dVPN data is not usable.
[[nodiscard]] Outcome<void> judge(const messages::RegistrationResponse& response,
                                  const messages::Mode& mode);

}  // namespace lp::probe::client
