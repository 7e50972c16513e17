// One probe of one gateway: the stages from resolve to response, each timed.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "probes/client/lp_registration_client.h"
#include "probes/errors.h"
#include "probes/registration.h"
#include "probes/resolve.h"
#include "probes/wallet/bandwidth_controller.h"

namespace lp::probe {

/// What an attempt needs; the same for all attempts at a target.
struct Plan {
  crypto::Identity identity;
  std::string host;
  std::uint16_t port = 0;
  Family family = Family::any;
  std::optional<client::Endpoint> source;
  std::chrono::nanoseconds resolve_timeout{};
  std::chrono::nanoseconds connect_timeout{};
  std::chrono::nanoseconds handshake_timeout{};
  std::chrono::nanoseconds registration_timeout{};
  client::PacketObserver* observer = nullptr;
  int cancel_fd = -1;
};

/// Times of the stages that were reached, the failed one included.
using StageTimes = std::array<std::optional<std::chrono::nanoseconds>, stage_count>;

struct Attempt {
  UnixSeconds started = 0;
  StageTimes times;
  std::chrono::nanoseconds total{};  ///< sum of the stages
  std::optional<ProbeError> error;   ///< nothing: the registration succeeded
  /// The gateway answered and the wallet could not note it: the ticket will be sent once more, with
  /// the same key, and the gateway will give the same answer.
  std::optional<ProbeError> wallet_error;
  std::vector<client::Endpoint> addresses;
  client::Endpoint remote;  ///< the address connected to, or last tried
  client::Endpoint local;
  std::optional<std::uint32_t> lp_id;
  std::optional<messages::RegistrationResponse> response;  ///< also of a refusal

  [[nodiscard]] std::optional<std::chrono::nanoseconds> time(Stage stage) const noexcept {
    return times[static_cast<std::size_t>(stage)];
  }
};

/// Runs one attempt over a connection of its own. The ticket is told what became of it, and is left
/// alone by whatever fails before the request.
[[nodiscard]] Attempt run_attempt(const Plan& plan, const Registrant& registrant,
                                  wallet::SpendableTicket& ticket);

}  // namespace lp::probe
