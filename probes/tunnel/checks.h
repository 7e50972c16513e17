// What is asked through a tunnel that stands: ICMP echo and DNS, all at once.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "probes/tunnel/dns.h"
#include "probes/tunnel/ip_packet.h"
#include "probes/tunnel/link.h"

namespace lp::probe::tunnel {

/// Questions over one version of IP, inside the tunnel.
struct FamilyPlan {
  IpAddress own;                     ///< this side's address
  std::optional<IpAddress> gateway;  ///< the gateway's address inside the tunnel
  std::vector<IpAddress> ips;        ///< addresses beyond the gateway to ping
  std::vector<std::string> hosts;    ///< names to resolve, and to ping
  std::optional<IpAddress> dns;      ///< who resolves them
};

struct ChecksPlan {
  std::array<FamilyPlan, 2> families;  ///< IPv4, IPv6
  unsigned num_ping = 5;               ///< echo requests to each address
  std::chrono::nanoseconds send_timeout = std::chrono::seconds(3);
  std::chrono::nanoseconds recv_timeout = std::chrono::seconds(3);  ///< for each answer
};

/// Echo requests to one kind of address.
struct PingCount {
  unsigned sent = 0;
  unsigned received = 0;
  std::chrono::nanoseconds min{}, mean{}, max{};  ///< of those received

  [[nodiscard]] bool asked() const noexcept { return sent > 0; }
  /// Share of the requests that was answered, 0 to 1; 0 where none was sent.
  [[nodiscard]] double performance() const noexcept {
    return sent == 0 ? 0 : static_cast<double>(received) / sent;
  }
};

struct FamilyResult {
  PingCount gateway;
  PingCount ips;
  PingCount hosts;
  unsigned names_asked = 0;
  unsigned names_resolved = 0;
  std::optional<std::chrono::nanoseconds> dns_time;  ///< of the first name resolved
  /// The last thing that was said about a packet that did not arrive, or a name that did not
  /// resolve: "prohibited by a firewall (from 10.1.0.1)".
  std::string remark;
};

using CheckResults = std::array<FamilyResult, 2>;

/// Two rounds: gateway, addresses and names, then the hosts that the names stand for. Pings to one
/// address are 200 ms apart, a DNS question is asked up to three times. Never takes longer than two
/// times the longer of (num_ping × 200 ms + recv_timeout) and 3 × recv_timeout. False where it was
/// interrupted.
[[nodiscard]] bool run_checks(Link& link, const ChecksPlan& plan, CheckResults& results);

}  // namespace lp::probe::tunnel
