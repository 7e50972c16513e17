// Stage tunnel: a WireGuard handshake from this process, and traffic through it. No TUN device, no
// root.
#pragma once

#include "probes/tunnel/checks.h"
#include "probes/tunnel/link.h"

namespace lp::probe::tunnel {

struct TunnelPlan {
  client::Endpoint endpoint;  ///< the gateway's WireGuard
  std::optional<client::Endpoint> source;
  std::chrono::nanoseconds handshake_timeout = std::chrono::seconds(15);
  /// Between two initiations; WireGuard's own, which only a test has a reason to change.
  std::chrono::nanoseconds initiation_interval = wireguard::rekey_timeout;
  ChecksPlan checks;
  int cancel_fd = -1;
};

struct TunnelResult {
  client::Endpoint endpoint;
  bool handshake_done = false;
  HandshakeReport handshake;
  CheckResults checks;
  /// What is not as it should be and does not fail the stage, one sentence each.
  std::vector<std::string> remarks;
};

/// Runs the stage; `result` is filled as far as it came. A check fails the stage where nothing
/// answers it over either version of IP, in this order:
///
/// - nothing at all comes back: tunnel_silent
/// - no address beyond the gateway answers: tunnel_no_forwarding
/// - no name is resolved: tunnel_dns_failed
///
/// What fails over one version alone is a remark, and so is a host or a gateway that answers no
/// ping. Other errors: those of Link, and internal where OpenSSL has no BLAKE2s.
[[nodiscard]] Outcome<void> run_tunnel(const TunnelPlan& plan, Peers peers, TunnelResult& result);

/// The same judgement, without the tunnel.
[[nodiscard]] Outcome<void> judge_checks(const CheckResults& checks,
                                         std::vector<std::string>& remarks);

/// Where a gateway is in its own tunnel: the first address of the pool that a peer's address is
/// from, whose sizes are the defaults of docs/gateway.md: a /16 and a /112.
[[nodiscard]] messages::IpV4 gateway_of(const messages::IpV4& own) noexcept;
[[nodiscard]] messages::IpV6 gateway_of(const messages::IpV6& own) noexcept;

}  // namespace lp::probe::tunnel
