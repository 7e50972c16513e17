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
//
// For many connections in one thread there are the same steps without waiting: start_connect,
// advance_connect, advance_handshake, advance_request, advance_response. Each is called again until
// it is done, whenever the socket has become what its Progress names; readiness may be reported
// once only (EPOLLET). The caller keeps the deadlines, and timed_out() says what to report.
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

/// What a step that does not wait has come to.
enum class Progress : std::uint8_t {
  done,
  reading,  ///< goes on when the socket is readable
  writing,  ///< goes on when the socket is writable
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

  // Without waiting; the errors are those of the steps above, but for timeouts and interruption.

  /// Returns with the socket there and the connection under way.
  [[nodiscard]] Outcome<void> start_connect(const Endpoint& gateway);
  /// Only once the socket is writable or has an error: before that it cannot tell.
  [[nodiscard]] Outcome<void> advance_connect();
  [[nodiscard]] Outcome<Progress> advance_handshake();
  /// Looks at the request in its first call only.
  [[nodiscard]] Outcome<Progress> advance_request(const messages::RegistrationRequest& request);
  /// Nothing: goes on when the socket is readable.
  [[nodiscard]] Outcome<std::optional<messages::RegistrationResponse>> advance_response();
  /// How the step that has been begun and is not done is reported when its time is over.
  [[nodiscard]] ProbeError timed_out() const;

  void close() noexcept { socket_.reset(); }

  [[nodiscard]] const StepTimes& times() const noexcept { return times_; }
  /// The connection's own address, once connected.
  [[nodiscard]] const Endpoint& local() const noexcept { return local_; }
  /// Session id of the connection, once the handshake has begun.
  [[nodiscard]] std::optional<std::uint32_t> lp_id() const noexcept;
  /// The socket, to wait for, and for tests that write to it past the client. -1 where there is
  /// none.
  [[nodiscard]] int native_handle() const noexcept { return socket_.get(); }

 private:
  enum class Phase : std::uint8_t { connect, client_hello, handshake, request, response };

  /// Calls `step` until it is done, and waits in between.
  template <typename Step>
  [[nodiscard]] Outcome<void> complete(MonotonicTime deadline, Step step);
  void connected();
  [[nodiscard]] Outcome<void> start_handshake();
  [[nodiscard]] Outcome<void> take_message_2(ByteView packet);
  [[nodiscard]] Outcome<void> make_request(const messages::RegistrationRequest& request);
  /// Writes `pending_`, and empties it when all is written.
  [[nodiscard]] Outcome<Progress> flush();
  /// A write failed with `error`: reads what is queued, so that Busy is seen as Busy.
  [[nodiscard]] ProbeError explain_failed_send(int error);
  /// The next whole packet, or nothing where it is not there yet.
  [[nodiscard]] Outcome<std::optional<ByteView>> read_packet();
  [[nodiscard]] Stage stage() const noexcept;
  [[nodiscard]] ProbeError closed(int error) const;
  [[nodiscard]] ProbeError refused(Error error, std::string detail = {}) const;
  /// What dropped packets say about a response that never came; nothing where none was dropped.
  [[nodiscard]] std::optional<ProbeError> dropped() const;
  void append(ByteView frame);
  void observe_pending();

  crypto::X25519Public gateway_key_;
  ClientOptions options_;
  Descriptor socket_;
  Endpoint remote_;
  Endpoint local_;
  Phase phase_ = Phase::connect;
  std::optional<session::StateMachine> machine_;
  wire::FrameReader reader_;
  Bytes pending_;  ///< frames made and not yet written
  std::size_t observed_ = 0;
  std::size_t written_ = 0;
  bool request_made_ = false;
  std::optional<Error> drop_reason_;
  StepTimes times_;
};

/// Whether a response is a registration: the gateway's refusal under its code, or
/// missing_gateway_data or gateway_data_invalid where dVPN data is not usable.
[[nodiscard]] Outcome<void> judge(const messages::RegistrationResponse& response,
                                  const messages::Mode& mode);

}  // namespace lp::probe::client
