#include "probes/attempt.h"

#include <type_traits>

namespace lp::probe {
namespace {

using Clock = std::chrono::steady_clock;

/// Both versions of IP with their addresses in place.
tunnel::ChecksPlan checks_for(const TunnelWanted& wanted, const messages::IpV4& own_v4,
                              const messages::IpV6& own_v6) {
  tunnel::ChecksPlan checks = wanted.checks;
  checks.families[0].own = own_v4;
  checks.families[1].own = own_v6;
  if (wanted.derive_gateway[0]) checks.families[0].gateway = tunnel::gateway_of(own_v4);
  if (wanted.derive_gateway[1]) checks.families[1].gateway = tunnel::gateway_of(own_v6);
  return checks;
}

tunnel::TunnelPlan tunnel_plan(const Plan& plan, const client::Endpoint& endpoint,
                               tunnel::ChecksPlan checks) {
  return {.endpoint = endpoint,
          .source = plan.source,
          .handshake_timeout = plan.tunnel->handshake_timeout,
          .checks = std::move(checks),
          .cancel_fd = plan.cancel_fd};
}

/// Carries an attempt through its stages and keeps the time of each.
class Run {
 public:
  Run(const Plan& plan, const Registrant& registrant, wallet::SpendableTicket& ticket)
      : plan_(plan), registrant_(registrant), ticket_(ticket) {}

  Attempt go() {
    attempt_.started = SystemWallClock().now();
    if (auto done = stages(); !done) {
      attempt_.error = std::move(done.error());
    }
    for (const auto& time : attempt_.times) {
      if (time) attempt_.total += *time;
    }
    return std::move(attempt_);
  }

 private:
  Outcome<void> stages() {
    auto addresses = timed(Stage::resolve, [&] {
      return resolve(plan_.host, plan_.port, plan_.family, in(plan_.resolve_timeout),
                     plan_.cancel_fd);
    });
    if (!addresses) return std::unexpected(std::move(addresses.error()));
    attempt_.addresses = std::move(*addresses);
    const auto key = plan_.identity.to_x25519();
    if (!key) {
      return fail(Stage::client_hello, ProbeCode::gateway_key_invalid,
                  std::string(gloss(key.error())));
    }
    auto connected = timed(Stage::connect, [&] { return connect(*key); });
    if (!connected) return connected;
    attempt_.local = client_->local();
    if (auto done = handshake(); !done) return done;
    if (auto done = registration(); !done) return done;
    const bool dvpn = std::holds_alternative<messages::Dvpn>(registrant_.mode);
    return plan_.tunnel && dvpn ? tunnel() : Outcome<void>{};
  }

  /// Tries the addresses in order. Each gets its share of the time that is left, so that a first
  /// address that swallows packets leaves some to the second.
  Outcome<void> connect(const crypto::X25519Public& key) {
    const MonotonicTime deadline = in(plan_.connect_timeout);
    std::optional<ProbeError> first_error;
    for (std::size_t i = 0; i < attempt_.addresses.size(); ++i) {
      attempt_.remote = attempt_.addresses[i];
      const auto now = Clock::now();
      const auto left = static_cast<Clock::rep>(attempt_.addresses.size() - i);
      client_.emplace(key, client::ClientOptions{.source = plan_.source,
                                                 .observer = plan_.observer,
                                                 .cancel_fd = plan_.cancel_fd});
      auto connected = client_->connect(attempt_.remote, now + (deadline - now) / left);
      if (connected) return connected;
      const bool interrupted = connected.error().code == ProbeCode::interrupted;
      if (!first_error || interrupted) first_error = std::move(connected.error());
      if (interrupted || Clock::now() >= deadline) break;
    }
    attempt_.remote = attempt_.addresses.front();
    return std::unexpected(std::move(*first_error));
  }

  Outcome<void> handshake() {
    const auto begin = Clock::now();
    auto done = client_->perform_handshake(in(plan_.handshake_timeout));
    const auto end = Clock::now();
    attempt_.lp_id = client_->lp_id();
    const auto& times = client_->times();
    // What was not sent, or was sent and refused, counts as ClientHello's time.
    const bool at_hello = !times.hello_sent || (!done && done.error().stage == Stage::client_hello);
    const auto hello_end = at_hello ? end : *times.hello_sent;
    set(Stage::client_hello, hello_end - begin);
    if (!at_hello) set(Stage::handshake, end - hello_end);
    return done;
  }

  Outcome<void> registration() {
    // First on the disk, then on the wire. The disk's time is not the gateway's.
    if (auto noted = ticket_.sending(registrant_); !noted) {
      return at_stage(Stage::request, std::move(noted));
    }
    const MonotonicTime deadline = in(plan_.registration_timeout);
    auto sent = timed(Stage::request, [&] {
      const UnixSeconds now = SystemWallClock().now();
      return client_->send_registration_request(
          make_request(registrant_, ticket_.credential(), client_->local().ip(), now), deadline);
    });
    if (!sent) {
      note(ticket_.unsent());
      return sent;
    }
    auto judged = timed(Stage::response, [&]() -> Outcome<void> {
      auto response = client_->receive_registration_response(deadline);
      if (!response) return std::unexpected(std::move(response.error()));
      attempt_.response = std::move(*response);
      return client::judge(*attempt_.response, registrant_.mode);
    });
    if (attempt_.response) note(ticket_.answered(*attempt_.response));
    return judged;
  }

  Outcome<void> tunnel() {
    const auto& data = *attempt_.response->gateway_data;  // judge() has seen it
    tunnel::Peers peers{.own = registrant_.wireguard.clone(),
                        .gateway = data.public_key,
                        .preshared = preshared_key(plan_).value_or(Secret<32>()),
                        .others = {}};
    // The two that a gateway is likely to have, for the hint when it is neither ours.
    peers.others.emplace_back("none", Secret<32>());
    peers.others.emplace_back("identity", Secret<32>(plan_.identity.bytes));
    const auto plan = tunnel_plan(plan_, client::Endpoint(data.endpoint),
                                  checks_for(*plan_.tunnel, data.private_ipv4, data.private_ipv6));
    return timed(Stage::tunnel, [&] {
      return tunnel::run_tunnel(plan, std::move(peers), attempt_.tunnel.emplace());
    });
  }

  static Outcome<void> at_stage(Stage stage, Outcome<void> outcome) {
    if (!outcome) outcome.error().stage = stage;
    return outcome;
  }

  void note(Outcome<void> noted) {
    if (!noted) attempt_.wallet_error = std::move(noted.error());
  }

  template <typename Step>
  std::invoke_result_t<Step> timed(Stage stage, Step step) {
    const auto begin = Clock::now();
    auto result = step();
    set(stage, Clock::now() - begin);
    return result;
  }

  void set(Stage stage, Clock::duration time) {
    attempt_.times[static_cast<std::size_t>(stage)] = time;
  }

  [[nodiscard]] static MonotonicTime in(std::chrono::nanoseconds time) {
    return Clock::now() + time;
  }

  const Plan& plan_;
  const Registrant& registrant_;
  wallet::SpendableTicket& ticket_;
  Attempt attempt_;
  std::optional<client::LpRegistrationClient> client_;
};

}  // namespace

Attempt run_attempt(const Plan& plan, const Registrant& registrant,
                    wallet::SpendableTicket& ticket) {
  return Run(plan, registrant, ticket).go();
}

Attempt run_tunnel_attempt(const Plan& plan, const WgConfig& config) {
  Attempt attempt;
  attempt.tunnel_only = true;
  attempt.started = SystemWallClock().now();
  const auto note = [&](Stage stage, Clock::time_point begin) {
    const auto time = Clock::now() - begin;
    attempt.times[static_cast<std::size_t>(stage)] = time;
    attempt.total += time;
  };
  const auto begin = Clock::now();
  auto addresses =
      resolve(config.host, config.port, plan.family, begin + plan.resolve_timeout, plan.cancel_fd);
  note(Stage::resolve, begin);
  if (!addresses) {
    attempt.error = std::move(addresses.error());
    return attempt;
  }
  attempt.addresses = std::move(*addresses);
  attempt.remote = attempt.addresses.front();
  auto checks = checks_for(*plan.tunnel, config.address_v4.value_or(messages::IpV4{}),
                           config.address_v6.value_or(messages::IpV6{}));
  // Without an address of this side's there is nothing to ask over that version of IP.
  if (!config.address_v4) checks.families[0] = {};
  if (!config.address_v6) checks.families[1] = {};
  tunnel::Peers peers{.own = config.key.clone(),
                      .gateway = config.gateway_key,
                      .preshared = config.preshared ? config.preshared->clone() : Secret<32>(),
                      .others = {}};
  peers.others.emplace_back("none", Secret<32>());
  const auto tunnel_begin = Clock::now();
  auto done = tunnel::run_tunnel(tunnel_plan(plan, attempt.remote, std::move(checks)),
                                 std::move(peers), attempt.tunnel.emplace());
  note(Stage::tunnel, tunnel_begin);
  if (!done) attempt.error = std::move(done.error());
  return attempt;
}

std::optional<Secret<32>> preshared_key(const Plan& plan) {
  if (plan.preshared_is_identity) return Secret<32>(plan.identity.bytes);
  if (plan.preshared) return plan.preshared->clone();
  return std::nullopt;
}

}  // namespace lp::probe
