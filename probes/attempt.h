// One probe of one gateway: the stages from resolve to tunnel, each timed.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "probes/client/lp_registration_client.h"
#include "probes/errors.h"
#include "probes/registration.h"
#include "probes/resolve.h"
#include "probes/tunnel/tunnel.h"
#include "probes/wallet/bandwidth_controller.h"
#include "probes/wg_config.h"

namespace lp::probe {

/// What the tunnel stage is to do.
struct TunnelWanted {
  std::chrono::nanoseconds handshake_timeout{};
  /// Own addresses come from the registration.
  tunnel::ChecksPlan checks;
  /// By version of IP: the gateway's address inside the tunnel follows from this side's.
  std::array<bool, 2> derive_gateway{true, true};
};

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
  std::optional<TunnelWanted> tunnel;  ///< nothing: stop after the response
  bool preshared_is_identity = false;  ///< WireGuard's preshared key is the gateway's identity
  std::shared_ptr<const Secret<32>> preshared;  ///< else this one, or none
};

/// Times of the stages that were reached, the failed one included.
using StageTimes = std::array<std::optional<std::chrono::nanoseconds>, stage_count>;

struct Attempt {
  UnixSeconds started = 0;
  StageTimes times;
  std::chrono::nanoseconds total{};  ///< sum of the stages
  std::optional<ProbeError> error;   ///< nothing: all went well, up to the last stage wanted
  /// The gateway answered and the wallet could not note it: the ticket will be sent once more, with
  /// the same key, and the gateway will give the same answer.
  std::optional<ProbeError> wallet_error;
  std::vector<client::Endpoint> addresses;
  client::Endpoint remote;  ///< the address connected to, or last tried
  client::Endpoint local;
  std::optional<std::uint32_t> lp_id;
  std::optional<messages::RegistrationResponse> response;  ///< also of a refusal
  std::optional<tunnel::TunnelResult> tunnel;              ///< once the stage has begun
  bool tunnel_only = false;                                ///< there was no registration

  [[nodiscard]] std::optional<std::chrono::nanoseconds> time(Stage stage) const noexcept {
    return times[static_cast<std::size_t>(stage)];
  }
  /// True where the gateway registered, whatever became of the tunnel.
  [[nodiscard]] bool registered() const noexcept {
    return !tunnel_only && (!error || error->stage == Stage::tunnel);
  }
};

/// Runs one attempt over a connection of its own. The ticket is told what became of it, and is left
/// alone by whatever fails before the request.
[[nodiscard]] Attempt run_attempt(const Plan& plan, const Registrant& registrant,
                                  wallet::SpendableTicket& ticket);

/// The stages resolve and tunnel alone, for a tunnel that was registered before. Of the plan it
/// uses family, source, resolve_timeout, tunnel and cancel_fd.
[[nodiscard]] Attempt run_tunnel_attempt(const Plan& plan, const WgConfig& config);

/// The preshared key that a wg-quick file for this registration needs; nothing where there is none.
[[nodiscard]] std::optional<Secret<32>> preshared_key(const Plan& plan);

}  // namespace lp::probe
