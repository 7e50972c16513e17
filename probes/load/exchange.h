// One registration that never waits: connect, handshake, request, response over one connection.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "probes/client/lp_registration_client.h"
#include "probes/errors.h"
#include "probes/registration.h"
#include "probes/wallet/bandwidth_controller.h"

namespace lp::probe::load {

/// The same for all registrations of a run.
struct ExchangePlan {
  crypto::X25519Public gateway_key;
  client::Endpoint gateway;
  std::optional<client::Endpoint> source;
  std::chrono::nanoseconds connect_timeout{};
  std::chrono::nanoseconds handshake_timeout{};
  std::chrono::nanoseconds registration_timeout{};
};

/// Used by one thread.
class Exchange {
 public:
  /// A ticket that was sent before goes out with what it was sent with; any other with a key, and
  /// in mixnet mode a client id, of its own.
  Exchange(const ExchangePlan& plan, bool dvpn, messages::TicketType type,
           std::unique_ptr<wallet::SpendableTicket> ticket);

  /// Opens the connection. True where it is over already, with error().
  [[nodiscard]] bool begin(MonotonicTime now);
  /// Goes on as far as it can. To be called whenever the socket becomes readable or, with
  /// `writable`, writable or broken. True when it is over, with or without error().
  [[nodiscard]] bool advance(bool writable);
  /// Its time is over: it ends with the step's timeout.
  void expire();

  [[nodiscard]] int native_handle() const noexcept { return client_.native_handle(); }
  /// When expire() is due.
  [[nodiscard]] MonotonicTime deadline() const noexcept { return deadline_; }
  [[nodiscard]] const std::optional<ProbeError>& error() const noexcept { return error_; }
  /// The gateway answered, and the wallet could not note it.
  [[nodiscard]] const std::optional<ProbeError>& wallet_error() const noexcept {
    return wallet_error_;
  }
  [[nodiscard]] const client::StepTimes& times() const noexcept { return client_.times(); }
  [[nodiscard]] std::optional<MonotonicTime> request_begun() const noexcept {
    return request_begun_;
  }

 private:
  enum class Step : std::uint8_t { connect, handshake, request, response };

  /// True: the step is done. False: it goes on when the socket is ready.
  [[nodiscard]] Outcome<bool> connect(bool writable);
  [[nodiscard]] Outcome<bool> handshake();
  [[nodiscard]] Outcome<bool> request();
  [[nodiscard]] Outcome<bool> response();
  /// The present step, and into the next when it is done.
  [[nodiscard]] Outcome<bool> step(bool writable);
  [[nodiscard]] Outcome<void> make_request();
  void end(ProbeError error);
  void note(Outcome<void> noted);

  const ExchangePlan* plan_;
  client::LpRegistrationClient client_;
  std::unique_ptr<wallet::SpendableTicket> ticket_;
  Registrant registrant_;
  std::optional<messages::RegistrationRequest> request_;
  Step step_ = Step::connect;
  MonotonicTime deadline_;
  std::optional<MonotonicTime> request_begun_;
  std::optional<ProbeError> error_;
  std::optional<ProbeError> wallet_error_;
};

}  // namespace lp::probe::load
