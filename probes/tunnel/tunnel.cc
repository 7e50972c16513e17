#include "probes/tunnel/tunnel.h"

#include <fmt/format.h>

#include <utility>

namespace lp::probe::tunnel {
namespace {

constexpr std::array<std::string_view, 2> family_names{"IPv4", "IPv6"};

/// One check over both versions of IP.
struct Verdicts {
  std::array<bool, 2> asked{};
  std::array<bool, 2> answered{};

  [[nodiscard]] bool any_asked() const { return asked[0] || asked[1]; }
  [[nodiscard]] bool any_answered() const { return answered[0] || answered[1]; }
  [[nodiscard]] bool failed() const { return any_asked() && !any_answered(); }
};

template <typename Asked, typename Answered>
Verdicts over_families(const CheckResults& checks, Asked asked, Answered answered) {
  Verdicts verdicts;
  for (std::size_t i = 0; i < checks.size(); ++i) {
    verdicts.asked[i] = asked(checks[i]);
    verdicts.answered[i] = answered(checks[i]);
  }
  return verdicts;
}

Verdicts pings(const CheckResults& checks, PingCount FamilyResult::* kind) {
  return over_families(
      checks, [&](const FamilyResult& family) { return (family.*kind).asked(); },
      [&](const FamilyResult& family) { return (family.*kind).received > 0; });
}

Verdicts names(const CheckResults& checks) {
  return over_families(
      checks, [](const FamilyResult& family) { return family.names_asked > 0; },
      [](const FamilyResult& family) { return family.names_resolved > 0; });
}

/// "no address beyond the gateway answers; 1.1.1.1: prohibited by a firewall, says 10.1.0.1"
std::string with_remarks(std::string_view what, const CheckResults& checks) {
  std::string text(what);
  for (const auto& family : checks) {
    if (!family.remark.empty()) text += "; " + family.remark;
  }
  return text;
}

void remark_unanswered(const CheckResults& checks, const Verdicts& verdicts, std::string_view what,
                       std::vector<std::string>& remarks) {
  for (std::size_t i = 0; i < checks.size(); ++i) {
    if (!verdicts.asked[i] || verdicts.answered[i]) continue;
    auto text = fmt::format("over {} {}", family_names[i], what);
    if (!checks[i].remark.empty()) text += fmt::format(" ({})", checks[i].remark);
    remarks.push_back(std::move(text));
  }
}

}  // namespace

Outcome<void> judge_checks(const CheckResults& checks, std::vector<std::string>& remarks) {
  const auto gateway = pings(checks, &FamilyResult::gateway);
  const auto ips = pings(checks, &FamilyResult::ips);
  const auto hosts = pings(checks, &FamilyResult::hosts);
  const auto dns = names(checks);
  const auto failure = [&](ProbeCode code, std::string_view what) {
    return fail(Stage::tunnel, code, with_remarks(what, checks));
  };
  const bool asked = gateway.any_asked() || ips.any_asked() || dns.any_asked();
  if (asked && !gateway.any_answered() && !ips.any_answered() && !dns.any_answered()) {
    return failure(ProbeCode::tunnel_silent, "nothing comes back through the tunnel");
  }
  if (ips.failed()) {
    return failure(ProbeCode::tunnel_no_forwarding, "no address beyond the gateway answers");
  }
  if (dns.failed()) return failure(ProbeCode::tunnel_dns_failed, "no name is resolved");
  remark_unanswered(checks, gateway, "the gateway answers no ping", remarks);
  remark_unanswered(checks, ips, "no address beyond the gateway answers", remarks);
  remark_unanswered(checks, dns, "no name is resolved", remarks);
  remark_unanswered(checks, hosts, "no host answers a ping", remarks);
  return {};
}

Outcome<void> run_tunnel(const TunnelPlan& plan, Peers peers, TunnelResult& result) {
  result.endpoint = plan.endpoint;
  if (!wireguard::blake2s_works()) {
    return fail(Stage::tunnel, ProbeCode::internal,
                "this OpenSSL has no BLAKE2s; its configuration may allow FIPS algorithms only");
  }
  auto link = Link::open(plan.endpoint, plan.source, std::move(peers), plan.cancel_fd);
  if (!link) return std::unexpected(std::move(link.error()));
  const auto deadline = std::chrono::steady_clock::now() + plan.handshake_timeout;
  if (auto done = link->perform_handshake(deadline, plan.initiation_interval, result.handshake);
      !done)
    return done;
  result.handshake_done = true;
  if (!run_checks(*link, plan.checks, result.checks)) {
    return fail(Stage::tunnel, ProbeCode::interrupted, "interrupted by a signal");
  }
  return judge_checks(result.checks, result.remarks);
}

messages::IpV4 gateway_of(const messages::IpV4& own) noexcept {
  return {{own.octets[0], own.octets[1], 0, 1}};
}

messages::IpV6 gateway_of(const messages::IpV6& own) noexcept {
  auto gateway = own;
  gateway.octets[14] = 0;
  gateway.octets[15] = 1;
  return gateway;
}

}  // namespace lp::probe::tunnel
