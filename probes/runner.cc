#include "probes/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <vector>

#include "lib/wire/format.h"
#include "probes/http/gateway_info.h"
#include "probes/log.h"
#include "probes/wg_config.h"

namespace lp::probe {
namespace {

using options::Settings;
using report::AttemptReport;
using report::IdentitySource;
using report::TargetInfo;
using report::TargetReport;

/// What a gateway allows between its clock and ClientHello's (timestamp_tolerance_secs).
constexpr std::int64_t clock_tolerance_seconds = 30;
/// A question that only serves a hint does not hold up the result for longer.
constexpr std::chrono::seconds hint_limit{2};

/// Tickets are withdrawn for so many probes at a time: the issuer sees one request for all of them.
constexpr std::uint64_t tickets_at_once = 16;

/// An attempt that got no further than to what it needs before it connects.
Attempt failed_before_connect(ProbeError error, std::chrono::nanoseconds took) {
  Attempt attempt;
  attempt.started = SystemWallClock().now();
  attempt.error = std::move(error);
  attempt.total = took;
  attempt.times[static_cast<std::size_t>(Stage::resolve)] = took;
  return attempt;
}

MonotonicTime in(std::chrono::nanoseconds time) {
  return std::chrono::steady_clock::now() + time;
}

Family family(const Settings& settings) {
  return settings.ipv4 ? Family::ipv4 : settings.ipv6 ? Family::ipv6 : Family::any;
}

/// What the tunnel stage does in this run; nothing where there is none.
std::optional<TunnelWanted> tunnel_wanted(const Settings& settings) {
  if (settings.only_lp_registration || settings.mode != options::ModeName::dvpn) return {};
  TunnelWanted wanted;
  wanted.handshake_timeout = settings.tunnel_handshake_timeout;
  wanted.checks.num_ping = static_cast<unsigned>(settings.netstack_num_ping);
  wanted.checks.send_timeout = settings.netstack_send_timeout;
  wanted.checks.recv_timeout = settings.netstack_recv_timeout;
  for (std::size_t i = 0; i < settings.netstack.size(); ++i) {
    const auto& from = settings.netstack[i];
    auto& to = wanted.checks.families[i];
    wanted.derive_gateway[i] = from.gateway.derived;
    to.gateway = from.gateway.address;
    to.dns = from.dns;
    to.ips = from.ping_ips;
    to.hosts = from.ping_hosts;
  }
  return wanted;
}

Registrant make_registrant(const Settings& settings) {
  const auto type = settings.effective_ticket_type();
  return settings.mode == options::ModeName::dvpn ? Registrant::make_dvpn(type)
                                                  : Registrant::make_mixnet(type);
}

std::string clock_hint(std::int64_t offset) {
  return fmt::format(
      "clock off by {} s: the gateway's clock is {} this machine's, and a gateway allows {} s",
      std::abs(offset), offset > 0 ? "ahead of" : "behind", clock_tolerance_seconds);
}

/// What the gateway's HTTP side tells about a refused ClientHello or timestamp.
std::string refusal_hint(const http::Observation& seen, const crypto::Identity& expected,
                         std::string_view otherwise) {
  if (seen.clock_offset_seconds && std::abs(*seen.clock_offset_seconds) > clock_tolerance_seconds) {
    return clock_hint(*seen.clock_offset_seconds);
  }
  if (seen.identity && *seen.identity != expected) {
    return fmt::format("wrong identity? Over HTTP the gateway says that it is {}",
                       seen.identity->to_base58());
  }
  if (seen.identity && seen.clock_offset_seconds) {
    return "identity and clock agree with what the gateway says over HTTP; see its "
           "lp_client_hello_failed and lp_handshakes_failed";
  }
  if (seen.clock_offset_seconds) {
    return fmt::format("wrong identity? The clocks agree within {} s",
                       std::abs(*seen.clock_offset_seconds));
  }
  return std::string(otherwise);
}

}  // namespace

/// Where a target's gateway is and who it is.
struct Runner::Located {
  Plan plan;
  TargetInfo info;
  std::uint16_t http_port = http::default_http_port;
};

Runner::Runner(const Settings& settings, wallet::BandwidthController& tickets,
               report::Writer& writer, client::PacketObserver* observer, int cancel_fd)
    : settings_(settings),
      tickets_(tickets),
      writer_(writer),
      observer_(observer),
      cancel_fd_(cancel_fd) {}

int Runner::run() {
  int status = exit_status::ok;
  if (settings_.tunnel_of_file()) {
    status = run_tunnel();
  } else if (settings_.gateway_ip) {
    status = run_target(std::nullopt);
  } else {
    status = run_targets();
  }
  writer_.finish();
  return status;
}

int Runner::run_targets() {
  const auto& targets = settings_.targets;
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  int status = exit_status::ok;
  const auto work = [&] {
    for (auto i = next++; i < targets.size() && !cancelled(); i = next++) {
      const int of_target = run_target(targets[i]);
      const std::lock_guard lock(mutex);
      status = worse_exit_status(status, of_target);
    }
  };
  const auto workers = std::min<std::uint64_t>(settings_.parallel, targets.size());
  std::vector<std::jthread> others;
  try {
    while (others.size() + 1 < workers)
      others.emplace_back(work);
  } catch (const std::system_error& error) {
    log::warning(fmt::format("{} targets at one time: {}", others.size() + 1, error.what()));
  }
  work();
  others.clear();
  return status;
}

int Runner::run_target(const std::optional<Target>& target) {
  TargetReport report;
  report.wanted = settings_.count;
  int status = exit_status::ok;
  const auto begin = std::chrono::steady_clock::now();
  const auto located = locate(target);
  if (located) {
    report.info = located->info;
    attempts(*located, report, status);
  } else {
    // The gateway could not be found out: one attempt that failed in its first stage.
    report.info.text = target ? target->text : settings_.gateway_ip->host;
    report.info.address =
        target ? format_host_port(target->host, target->port.value_or(wire::default_port))
               : settings_.gateway_ip->host;
    report.info.mode = settings_.mode == options::ModeName::dvpn ? "dvpn" : "mixnet";
    report.info.ticket_type = messages::name(settings_.effective_ticket_type());
    report.wanted = 1;
    auto& attempt = report.last.attempt;
    attempt = failed_before_connect(located.error(), std::chrono::steady_clock::now() - begin);
    report.last.verdict = judge(attempt, settings_.warn, settings_.crit);
    report.last.hint = entry(attempt.error->code).hint;
    report.statistics.add(attempt);
    report.level = report.last.verdict.level;
    status = report.last.verdict.exit_status;
    const std::lock_guard lock(writing_);
    writer_.attempt(report.info, report.wanted, report.last);
  }
  const std::lock_guard lock(writing_);
  writer_.target(report);
  return status;
}

Outcome<Runner::Located> Runner::locate(const std::optional<Target>& target) {
  Located located;
  auto& plan = located.plan;
  plan.host = target ? target->host : settings_.gateway_ip->host;
  plan.port = target ? target->port.value_or(wire::default_port) : wire::default_port;
  plan.family = family(settings_);
  plan.source = settings_.source_address;
  plan.resolve_timeout = settings_.resolve_timeout;
  plan.connect_timeout = settings_.connect_timeout;
  plan.handshake_timeout = settings_.handshake_timeout;
  plan.registration_timeout = settings_.registration_timeout;
  plan.observer = observer_;
  plan.cancel_fd = cancel_fd_;
  plan.tunnel = tunnel_wanted(settings_);
  plan.preshared_is_identity = settings_.wg_preshared_key == options::PresharedKeySource::identity;
  plan.preshared = settings_.preshared;
  auto& info = located.info;
  info.text = target ? target->text : plan.host;
  info.mode = settings_.mode == options::ModeName::dvpn ? "dvpn" : "mixnet";
  info.ticket_type = messages::name(settings_.effective_ticket_type());
  info.mock_ecash = settings_.use_mock_ecash;
  const auto http_port = target ? std::nullopt : settings_.gateway_ip->port;
  if (http_port) located.http_port = *http_port;
  if (target && target->identity) {
    plan.identity = *target->identity;
    info.identity_source = IdentitySource::given;
  } else {
    const auto answer =
        http::ask_gateway({plan.host, http_port, plan.family}, in(settings_.resolve_timeout),
                          in(settings_.http_timeout), cancel_fd_);
    if (!answer) return std::unexpected(answer.error());
    plan.identity = answer->identity;
    if (!target || !target->port) plan.port = answer->lp_port;
    info.gateway_version = answer->version;
    info.identity_source = settings_.entry_gateway         ? IdentitySource::http_expected
                           : settings_.trust_http_identity ? IdentitySource::http_trusted
                                                           : IdentitySource::http_unverified;
    if (settings_.entry_gateway && *settings_.entry_gateway != answer->identity) {
      return fail(Stage::resolve, ProbeCode::identity_mismatch,
                  fmt::format("expected {}, the gateway says {}",
                              settings_.entry_gateway->to_base58(), answer->identity.to_base58()));
    }
    if (settings_.use_mock_ecash && answer->mock_ecash == false) {
      log::warning("the gateway says that it takes no mock tickets");
    }
  }
  info.identity = plan.identity.to_base58();
  info.address = format_host_port(plan.host, plan.port);
  if (info.identity_source == IdentitySource::http_unverified) {
    log::info(fmt::format("identity {} learned over HTTP, not verified", info.identity));
  }
  if (!may_send_ticket(info.identity_source, settings_.use_mock_ecash)) {
    return fail(Stage::resolve, ProbeCode::identity_unverified,
                fmt::format("{} was learned over HTTP", info.identity));
  }
  return located;
}

/// One attempt with the next ticket. One that was sent before goes out with its own key, and the
/// run goes on with that: a key less at the gateway.
Attempt Runner::attempt(const Located& located, Registrant& registrant,
                        wallet::SpendableTickets& stock, std::uint64_t left) {
  if (stock.empty()) {
    const auto begin = std::chrono::steady_clock::now();
    auto tickets = tickets_.get_ecash_ticket(registrant.ticket_type, located.plan.identity,
                                             std::min(left, tickets_at_once));
    if (!tickets) {
      const auto took = std::chrono::steady_clock::now() - begin;
      return failed_before_connect(std::move(tickets.error()), took);
    }
    stock = std::move(*tickets);
    std::ranges::reverse(stock);  // taken from the back
  }
  const auto ticket = std::move(stock.back());
  stock.pop_back();
  if (const auto* before = ticket->sent_with()) registrant = before->clone();
  auto attempt = run_attempt(located.plan, registrant, *ticket);
  if (attempt.wallet_error) {
    log::error(fmt::format("{}: {}", lp::probe::name(attempt.wallet_error->code),
                           attempt.wallet_error->detail));
  }
  return attempt;
}

int Runner::run_tunnel() {
  TargetReport report;
  report.wanted = settings_.count;
  int status = exit_status::ok;
  Located located;
  auto& plan = located.plan;
  plan.family = family(settings_);
  plan.source = settings_.source_address;
  plan.resolve_timeout = settings_.resolve_timeout;
  plan.cancel_fd = cancel_fd_;
  plan.tunnel = tunnel_wanted(settings_);
  auto text = read_private_file(settings_.wg_config);
  if (!text) {
    log::error(fmt::format("input_unreadable: {}", text.error().text));
    return text.error().exposed ? exit_status::no_permission : exit_status::no_input;
  }
  const auto config = parse_wg_config(*text);
  wipe({reinterpret_cast<std::uint8_t*>(text->data()), text->size()});
  if (!config) {
    log::error(
        fmt::format("input_unreadable: {}: {}", printable(settings_.wg_config), config.error()));
    return exit_status::no_input;
  }
  auto& info = located.info;
  info.text = settings_.wg_config;
  info.address = format_host_port(config->host, config->port);
  info.mode = "dvpn";
  info.mock_ecash = false;
  repeat(located, [&](std::uint64_t) { return run_tunnel_attempt(plan, *config); }, report, status);
  report.info = std::move(info);
  writer_.target(report);
  return status;
}

void Runner::attempts(const Located& located, TargetReport& report, int& status) {
  Registrant registrant = make_registrant(settings_);
  std::optional<Registrant> registrant_of_good;
  wallet::SpendableTickets stock;
  std::optional<Attempt> last_good;
  const auto once = [&](std::uint64_t left) {
    auto attempt = this->attempt(located, registrant, stock, left);
    if (attempt.registered()) {
      last_good = attempt;
      registrant_of_good = registrant.clone();
    }
    return attempt;
  };
  repeat(located, once, report, status);
  if (last_good && !settings_.wg_config.empty()) {
    status =
        worse_exit_status(status, write_wg_config(located.plan, *registrant_of_good, *last_good));
  }
}

void Runner::repeat(const Located& located, const Once& once, TargetReport& report, int& status) {
  for (std::uint64_t sequence = 1; sequence <= settings_.count; ++sequence) {
    const auto begin = std::chrono::steady_clock::now();
    AttemptReport now;
    now.sequence = sequence;
    now.attempt = once(settings_.count - sequence + 1);
    const bool interrupted = now.attempt.error && now.attempt.error->code == ProbeCode::interrupted;
    // An attempt that was cut off says nothing about the gateway.
    if (interrupted && sequence > 1) break;
    now.verdict = judge(now.attempt, settings_.warn, settings_.crit);
    now.clock_offset_seconds = report.last.clock_offset_seconds;
    explain(located, now);
    report.statistics.add(now.attempt);
    report.level = worse(report.level, now.verdict.level);
    status = worse_exit_status(status, now.verdict.exit_status);
    if (now.attempt.wallet_error) {
      status = worse_exit_status(status, entry(now.attempt.wallet_error->code).exit_status);
    }
    {
      const std::lock_guard lock(writing_);
      writer_.attempt(located.info, settings_.count, now);
    }
    report.last = std::move(now);
    if (interrupted || sequence == settings_.count) break;
    if (client::wait_for(-1, 0, begin + settings_.interval, cancel_fd_) ==
        client::Wait::cancelled) {
      break;
    }
  }
}

void Runner::explain(const Located& located, AttemptReport& report) {
  if (!report.attempt.error) return;
  const auto code = report.attempt.error->code;
  report.hint = entry(code).hint;
  const bool about_clock =
      code == ProbeCode::closed_after_client_hello || code == ProbeCode::timestamp_rejected;
  // Once per target: what the gateway says does not change between two probes.
  if (!about_clock || report.sequence > 1) return;
  const auto limit = std::min<std::chrono::nanoseconds>(hint_limit, settings_.http_timeout);
  const auto seen = http::observe_gateway(report.attempt.remote, located.plan.host,
                                          located.http_port, in(limit), cancel_fd_);
  report.clock_offset_seconds = seen.clock_offset_seconds;
  report.hint = refusal_hint(seen, located.plan.identity, report.hint);
}

int Runner::write_wg_config(const Plan& plan, const Registrant& registrant,
                            const Attempt& attempt) const {
  if (!attempt.response || !attempt.response->gateway_data) return exit_status::ok;
  const auto text = format_wg_config(registrant.wireguard.secret, *attempt.response->gateway_data,
                                     preshared_key(plan));
  if (const auto written = write_private_file(settings_.wg_config, text); !written) {
    log::error(fmt::format("output_unwritable: {}", written.error()));
    return exit_status::cannot_create;
  }
  log::info(fmt::format("wrote {}", settings_.wg_config));
  return exit_status::ok;
}

bool Runner::cancelled() const {
  return client::wait_for(-1, 0, MonotonicTime::min(), cancel_fd_) == client::Wait::cancelled;
}

}  // namespace lp::probe
