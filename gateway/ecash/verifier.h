// Verification of tickets behind one interface (docs/ecash.md): the mock, and the schemes to come.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/messages/registration.h"
#include "lib/messages/registration_errors.h"

namespace lp::gateway::ecash {

/// The mock grants this much for every well-formed credential: 1 GiB.
inline constexpr std::int64_t mock_bandwidth = 1'073'741'824;

struct Ticket {
  messages::Credential credential;
  messages::TicketType type = messages::TicketType::v1_wireguard_entry;
  messages::IpAddress peer;  ///< whose place in the queue it takes
};

struct Verified {
  std::int64_t amount = 0;  ///< bytes this ticket is worth
  /// The signature is good but now >= expiry: only an earlier acceptance can still be answered.
  bool expired = false;
};

using VerifyDone =
    std::move_only_function<void(std::expected<Verified, messages::RegistrationFailure>)>;

class Verifier {
 public:
  virtual ~Verifier() = default;
  /// Answers on any thread, or before returning; exactly once. Never blocks the caller.
  virtual void verify(Ticket ticket, UnixSeconds now, VerifyDone done) = 0;
  [[nodiscard]] virtual bool is_mock() const = 0;
  /// Empty where ready; else the reason for /readyz.
  [[nodiscard]] virtual std::string not_ready_reason() const = 0;
  /// What is wrong but stops nobody yet: lines for /readyz.
  [[nodiscard]] virtual std::vector<std::string> warnings() const { return {}; }
  /// Fetches anew, soon, what verification depends on.
  virtual void refresh() {}
  /// Brings the gauges up to date.
  virtual void update_metrics() const {}
  /// Answers all that waits with `shutting_down`, and what comes later too. To be called while
  /// those who wait are still there. More than once does nothing.
  virtual void shut_down() {}
};

/// Takes any well-formed credential; skips signature, key, amount and expiry, and nothing else.
[[nodiscard]] std::unique_ptr<Verifier> make_mock_verifier();

}  // namespace lp::gateway::ecash
