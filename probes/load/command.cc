#include "probes/load/command.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "lib/wire/format.h"
#include "probes/http/gateway_info.h"
#include "probes/load/report.h"
#include "probes/options/values.h"
#include "probes/resolve.h"
#include "probes/verdict.h"
#include "probes/wallet/make_controller.h"

namespace lp::probe::load {
namespace {

using options::Settings;

constexpr std::size_t most_default_threads = 4;
/// Beside the connections: standard streams, epoll and timer of each thread, a wallet.
constexpr std::uint64_t other_descriptors = 64;

MonotonicTime in(std::chrono::nanoseconds time) {
  return std::chrono::steady_clock::now() + time;
}

int tell(const ProbeError& error) {
  const auto& row = entry(error.code);
  fmt::print(stderr, "lp-probe: {}: {}\n  {}\n  hint: {}\n", row.name, error.detail, row.meaning,
             row.hint);
  return row.exit_status;
}

/// Who the gateway is and where.
struct Located {
  crypto::Identity identity;
  client::Endpoint address;
  Description description;
};

Outcome<Located> locate(const Settings& settings, int cancel_fd) {
  const Target* target = settings.targets.empty() ? nullptr : &settings.targets.front();
  const auto family = settings.ipv4 ? Family::ipv4 : settings.ipv6 ? Family::ipv6 : Family::any;
  const std::string host = target != nullptr ? target->host : settings.gateway_ip->host;
  std::uint16_t port = target != nullptr ? target->port.value_or(0) : 0;  // 0: not given
  Located located;
  if (target != nullptr && target->identity) {
    located.identity = *target->identity;
  } else {
    const auto http_port = target != nullptr ? std::nullopt : settings.gateway_ip->port;
    const auto answer = http::ask_gateway({host, http_port, family}, in(settings.resolve_timeout),
                                          in(settings.http_timeout), cancel_fd);
    if (!answer) return std::unexpected(answer.error());
    const bool expected = settings.entry_gateway == answer->identity;
    if (settings.entry_gateway && !expected) {
      return fail(Stage::resolve, ProbeCode::identity_mismatch,
                  fmt::format("expected {}, the gateway says {}",
                              settings.entry_gateway->to_base58(), answer->identity.to_base58()));
    }
    if (!expected && !settings.trust_http_identity && !settings.use_mock_ecash) {
      return fail(Stage::resolve, ProbeCode::identity_unverified,
                  fmt::format("{} was learned over HTTP", answer->identity.to_base58()));
    }
    located.identity = answer->identity;
    if (port == 0) port = answer->lp_port;
  }
  const auto addresses = resolve(host, port != 0 ? port : wire::default_port, family,
                                 in(settings.resolve_timeout), cancel_fd);
  if (!addresses) return std::unexpected(addresses.error());
  located.address = addresses->front();
  located.description = {
      .target = target != nullptr ? target->text : host,
      .identity = located.identity.to_base58(),
      .address = located.address.to_string(),
      .mode = settings.mode == options::ModeName::dvpn ? "dvpn" : "mixnet",
      .ticket_type = std::string(messages::name(settings.effective_ticket_type())),
      .mock_ecash = settings.use_mock_ecash};
  return located;
}

Outcome<LoadPlan> make_plan(const Settings& settings, const Located& located) {
  const auto key = located.identity.to_x25519();
  if (!key) {
    return fail(Stage::client_hello, ProbeCode::gateway_key_invalid,
                std::string(gloss(key.error())));
  }
  LoadPlan plan;
  plan.exchange = {.gateway_key = *key,
                   .gateway = located.address,
                   .source = settings.source_address,
                   .connect_timeout = settings.connect_timeout,
                   .handshake_timeout = settings.handshake_timeout,
                   .registration_timeout = settings.registration_timeout};
  plan.dvpn = settings.mode == options::ModeName::dvpn;
  plan.ticket_type = settings.effective_ticket_type();
  plan.concurrency = settings.concurrency;
  const std::size_t processors = std::max(1U, std::thread::hardware_concurrency());
  plan.threads =
      settings.threads > 0 ? settings.threads : std::min(processors, most_default_threads);
  plan.threads = std::min(plan.threads, plan.concurrency);
  plan.warmup = settings.warmup;
  plan.duration = settings.duration;
  plan.rate = settings.rate;
  if (settings.count_given) plan.attempts = settings.count;
  if (!plan.duration && !plan.attempts) plan.duration = std::chrono::minutes(1);
  return plan;
}

/// A run that meets the limit half way would count this machine's trouble as the gateway's.
Outcome<void> raise_descriptor_limit(const LoadPlan& plan) {
  const rlim_t wanted = plan.concurrency + 3 * plan.threads + other_descriptors;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return {};
  const rlim_t allowed = limit.rlim_max;
  limit.rlim_cur = std::min(wanted, allowed);
  if (wanted <= allowed && setrlimit(RLIMIT_NOFILE, &limit) == 0) return {};
  return fail(Stage::connect, ProbeCode::out_of_descriptors,
              fmt::format("--concurrency {} needs {} descriptors, and the limit is {}",
                          plan.concurrency, wanted, allowed));
}

/// One line that is written over until the run ends.
class ProgressLine {
 public:
  ProgressLine(const Settings& settings, const LoadPlan& plan)
      : shown_(!settings.quiet && isatty(STDERR_FILENO) == 1), plan_(plan) {}
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { erase(); }

  void show(const Live& live, std::chrono::nanoseconds elapsed) {
    if (!shown_) return;
    const double seconds = options::to_seconds(elapsed);
    const auto ok = live.ok.load(std::memory_order_relaxed);
    const double rate = static_cast<double>(ok - ok_before_) / (seconds - seconds_before_);
    ok_before_ = ok;
    seconds_before_ = seconds;
    const auto whole = plan_.duration ? plan_.warmup + *plan_.duration : std::chrono::nanoseconds{};
    const std::string of =
        plan_.duration ? fmt::format(" of {:.0f}", options::to_seconds(whole)) : std::string();
    fmt::print(stderr, "\r\x1b[K{:.0f}{} s: {} ok, {} failed, {:.0f}/s, {} in flight", seconds, of,
               ok, live.failed.load(std::memory_order_relaxed), rate,
               live.in_flight.load(std::memory_order_relaxed));
    std::fflush(stderr);
    written_ = true;
  }

  void erase() {
    if (written_) fmt::print(stderr, "\r\x1b[K");
    written_ = false;
  }

 private:
  bool shown_;
  bool written_ = false;
  const LoadPlan& plan_;
  std::uint64_t ok_before_ = 0;
  double seconds_before_ = 0;
};

/// Failures make it critical, unless --expect says how many may be.
int judge(const Settings& settings, const Report& report) {
  const auto& result = report.result;
  if (result.broken) return entry(result.broken->code).exit_status;
  int status = report.unmet.empty() ? exit_status::ok : exit_status::failed;
  const bool errors_expected = std::ranges::any_of(
      settings.expect,
      [](const Expectation& expectation) { return expectation.metric == Metric::errors; });
  for (const auto& [code, error] : result.tally.errors) {
    if (!errors_expected) status = worse_exit_status(status, entry(code).exit_status);
  }
  if (result.tally.wallet_error) {
    status = worse_exit_status(status, entry(*result.tally.wallet_error).exit_status);
  }
  if (result.tally.attempts == 0) status = worse_exit_status(status, exit_status::unknown);
  return status;
}

/// The run itself, once all is there that it needs.
int measure(const Settings& settings, Report& report, Tickets& tickets, std::FILE* out,
            int cancel_fd) {
  ProgressLine progress(settings, report.plan);
  report.result = run(
      report.plan, tickets, cancel_fd,
      [&](const Live& live, std::chrono::nanoseconds elapsed) { progress.show(live, elapsed); });
  progress.erase();
  report.unmet = unmet(settings.expect, report.result);
  const auto text = settings.format == options::Format::json ? to_json(report) : to_text(report);
  std::fwrite(text.data(), 1, text.size(), out);
  const int status = final_exit_status(judge(settings, report), settings.fail_on);
  if (settings.svg.empty()) return status;
  const auto written = write_file(settings.svg, to_svg(report));
  if (written) return status;
  return tell({Stage::resolve, ProbeCode::output_unwritable, "--svg: " + written.error()});
}

}  // namespace

bool is_own_network(const messages::IpAddress& address) noexcept {
  if (const auto* v6 = std::get_if<messages::IpV6>(&address)) {
    messages::IpV6 loopback{};
    loopback.octets[15] = 1;
    const auto& octets = v6->octets;
    return *v6 == loopback || (octets[0] & 0xfe) == 0xfc ||
           (octets[0] == 0xfe && (octets[1] & 0xc0) == 0x80);
  }
  const auto& octets = std::get<messages::IpV4>(address).octets;
  return octets[0] == 127 || octets[0] == 10 || (octets[0] == 172 && (octets[1] & 0xf0) == 16) ||
         (octets[0] == 192 && octets[1] == 168) || (octets[0] == 169 && octets[1] == 254) ||
         (octets[0] == 100 && (octets[1] & 0xc0) == 64);
}

int run_command(const Settings& settings, std::FILE* out, int cancel_fd) {
  const auto located = locate(settings, cancel_fd);
  if (!located) return tell(located.error());
  if (!is_own_network(located->address.ip()) && !settings.allow_public_target) {
    fmt::print(stderr,
               "lp-probe: {} is a public address. Load is for gateways of your own: pass "
               "--allow-public-target if it is one\n",
               located->address.to_string());
    return exit_status::usage;
  }
  const auto plan = make_plan(settings, *located);
  if (!plan) return tell(plan.error());
  if (const auto raised = raise_descriptor_limit(*plan); !raised) return tell(raised.error());
  const auto controller = wallet::make_controller(settings, cancel_fd);
  Tickets tickets(*controller, plan->ticket_type, located->identity);
  if (!settings.use_mock_ecash) {
    if (const auto reserved = tickets.reserve(settings.count); !reserved) {
      return tell(reserved.error());
    }
  }
  Report report{.description = located->description, .plan = *plan, .result = {}, .unmet = {}};
  return measure(settings, report, tickets, out, cancel_fd);
}

}  // namespace lp::probe::load
