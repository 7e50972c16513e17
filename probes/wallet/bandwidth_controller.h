// Where a probe's tickets come from, behind one interface: a mock, the wallet with its issuer, and
// any other e-cash scheme.
//
//   auto tickets = controller.get_ecash_ticket(type, gateway, 1);
//   ticket->sending(registrant)          // just before the request is written
//   … send, receive …
//   ticket->answered(response)           // or unsent(), or nothing: the answer is lost
#pragma once

#include <memory>
#include <vector>

#include "lib/messages/registration.h"
#include "probes/errors.h"
#include "probes/registration.h"

namespace lp::probe::wallet {

/// One ticket in the hands of one attempt, and nobody else's until it goes. What goes without
/// having been sent is there for the next one.
class SpendableTicket {
 public:
  virtual ~SpendableTicket() = default;

  [[nodiscard]] virtual messages::Credential credential() const = 0;
  /// What it has to be sent with, where it was sent before and the answer was lost; else null.
  [[nodiscard]] virtual const Registrant* sent_with() const noexcept = 0;

  /// Notes that it is about to be sent with `registrant`, for good: returns when that is on the
  /// disk. Without success it must not be sent. Fails as the wallet does.
  [[nodiscard]] virtual Outcome<void> sending(const Registrant& registrant) = 0;
  /// After `sending`: not all bytes of the request were written, so that nobody can have read it.
  [[nodiscard]] virtual Outcome<void> unsent() = 0;
  /// After `sending`: the gateway's answer, authenticated.
  [[nodiscard]] virtual Outcome<void> answered(const messages::RegistrationResponse& response) = 0;
};

using SpendableTickets = std::vector<std::unique_ptr<SpendableTicket>>;

/// Used by any number of threads.
class BandwidthController {
 public:
  virtual ~BandwidthController() = default;

  /// At least one ticket for this gateway and at most `count`, which is at least 1. Those whose
  /// answer was lost come first. May ask other machines; stage `resolve`, before any connection to
  /// the gateway.
  [[nodiscard]] virtual Outcome<SpendableTickets> get_ecash_ticket(messages::TicketType type,
                                                                   const crypto::Identity& gateway,
                                                                   std::size_t count) = 0;
};

/// Well-formed tickets that are worth nothing, as many as wanted.
[[nodiscard]] std::unique_ptr<BandwidthController> make_mock_controller();

}  // namespace lp::probe::wallet
