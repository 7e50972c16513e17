#include "probes/options/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "lib/ecash/contract_address.h"
#include "probes/options/values.h"
#include "probes/tunnel/dns.h"

namespace lp::probe::options {
namespace {

using Status = std::expected<void, std::string>;
using Values = std::vector<std::string>;

template <typename T, typename U>
Status store(T& to, std::expected<U, std::string> parsed) {
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  to = static_cast<T>(std::move(*parsed));
  return {};
}

// Setters made from members. A captureless lambda in the table names its member.
template <auto Member>
Status set_flag(Settings& settings, const Values& values) {
  return store(settings.*Member, parse_bool(values.back()));
}

template <auto Member>
Status set_duration(Settings& settings, const Values& values) {
  return store(settings.*Member, parse_duration(values.back()));
}

template <auto Member>
Status set_identity(Settings& settings, const Values& values) {
  return store(settings.*Member, parse_identity(values.back()));
}

template <auto Member>
Status set_host_port(Settings& settings, const Values& values) {
  return store(settings.*Member, parse_host_port(values.back()));
}

template <typename E, std::size_t N>
Status set_choice(E& to, std::string_view text,
                  const std::array<std::pair<std::string_view, E>, N>& choices) {
  std::string known;
  for (const auto& [name, value] : choices) {
    if (name == text) {
      to = value;
      return {};
    }
    known += known.empty() ? "" : ", ";
    known += name;
  }
  return std::unexpected(fmt::format("'{}' is none of {}", printable(text, 40), known));
}

Status set_thresholds(Thresholds& thresholds, const Values& values) {
  for (const auto& value : values) {
    const auto equals = value.find('=');
    if (equals == std::string::npos) {
      return std::unexpected(
          fmt::format("'{}' is not STAGE=TIME, as in handshake=100ms", printable(value, 60)));
    }
    const std::string_view name = std::string_view(value).substr(0, equals);
    const auto stage = stage_from_name(name);
    if (!stage && name != "total") {
      return std::unexpected(fmt::format("'{}' is no stage and not 'total'", printable(name, 40)));
    }
    const auto time = parse_duration(std::string_view(value).substr(equals + 1));
    if (!time) return std::unexpected(time.error());
    thresholds[stage ? static_cast<std::size_t>(*stage) : total_threshold] = *time;
  }
  return {};
}

Status set_mode(Settings& settings, const Values& values) {
  static constexpr std::array choices{std::pair{std::string_view("dvpn"), ModeName::dvpn},
                                      std::pair{std::string_view("mixnet"), ModeName::mixnet}};
  return set_choice(settings.mode, values.back(), choices);
}

Status set_ticket_type(Settings& settings, const Values& values) {
  const auto type = messages::ticket_type_from_name(values.back());
  if (!type) {
    return std::unexpected(fmt::format(
        "'{}' is none of V1MixnetEntry, V1MixnetExit, V1WireguardEntry, V1WireguardExit",
        printable(values.back(), 40)));
  }
  settings.ticket_type = type;
  return {};
}

template <auto Member>
Status set_path(Settings& settings, const Values& values) {
  if (values.back().empty()) return std::unexpected("the path is empty");
  settings.*Member = values.back();
  return {};
}

template <auto Member>
Status set_url(Settings& settings, const Values& values) {
  auto url = net::Url::parse(values.back());
  if (url && url->path.find('?') != std::string::npos) {
    return std::unexpected("must have no query: paths are added to it");
  }
  return store(settings.*Member, std::move(url));
}

Status set_contract(Settings& settings, const Values& values) {
  if (!ecash::is_contract_address(values.back())) {
    return std::unexpected(fmt::format("'{}' is no contract address: {}",
                                       printable(values.back(), 60), ecash::contract_address_rule));
  }
  settings.ecash_contract = values.back();
  return {};
}

Status set_count(Settings& settings, const Values& values) {
  settings.count_given = true;
  return store(settings.count, parse_number(values.back(), 1, 1'000'000));
}

template <auto Member, std::uint64_t Most>
Status set_number(Settings& settings, const Values& values) {
  return store(settings.*Member, parse_number(values.back(), 1, Most));
}

Status set_warmup(Settings& settings, const Values& values) {
  return store(settings.warmup, parse_interval(values.back()));
}

Status set_rate(Settings& settings, const Values& values) {
  return store(settings.rate, parse_rate(values.back()));
}

Status set_expect(Settings& settings, const Values& values) {
  settings.expect.clear();
  for (const auto& value : values) {
    auto expectation = load::parse_expectation(value);
    if (!expectation) return std::unexpected(std::move(expectation.error()));
    settings.expect.push_back(std::move(*expectation));
  }
  return {};
}

Status set_interval(Settings& settings, const Values& values) {
  return store(settings.interval, parse_interval(values.back()));
}

Status set_source_address(Settings& settings, const Values& values) {
  settings.source_address = client::Endpoint::from_literal(values.back(), 0);
  if (settings.source_address) return {};
  return std::unexpected(
      fmt::format("'{}' is no IPv4 or IPv6 address", printable(values.back(), 60)));
}

Status set_preshared_key(Settings& settings, const Values& values) {
  using enum PresharedKeySource;
  const auto& value = values.back();
  if (value.empty()) return std::unexpected("is empty: give none, identity or a file");
  settings.wg_preshared_key = value == "none" ? none : value == "identity" ? identity : file;
  settings.wg_preshared_key_file = settings.wg_preshared_key == file ? value : "";
  return {};
}

/// An address of the version with that index in Settings::netstack.
std::expected<messages::IpAddress, std::string> parse_inner_address(std::string_view text,
                                                                    std::size_t version) {
  const auto address = messages::ip_address_from_string(text);
  if (address && address->index() == version) return *address;
  return std::unexpected(
      fmt::format("'{}' is no {} address", printable(text, 60), version == 0 ? "IPv4" : "IPv6"));
}

template <std::size_t Version>
Status set_inner_gateway(Settings& settings, const Values& values) {
  auto& gateway = settings.netstack[Version].gateway;
  gateway = {.derived = false};
  if (values.back() == "none") return {};
  return store(gateway.address, parse_inner_address(values.back(), Version));
}

template <std::size_t Version>
Status set_dns(Settings& settings, const Values& values) {
  return store(settings.netstack[Version].dns, parse_inner_address(values.back(), Version));
}

/// Each is a stream of packets to strangers.
constexpr std::size_t max_pinged = 16;

/// A list in which "none" stands for no element.
template <typename T, typename Parse>
Status set_list(std::vector<T>& to, const Values& values, Parse parse) {
  std::vector<T> list;
  for (const auto& value : values) {
    if (value == "none") {
      if (values.size() > 1) return std::unexpected("'none' stands alone");
      break;
    }
    auto parsed = parse(value);
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    list.push_back(std::move(*parsed));
  }
  if (list.size() > max_pinged) return std::unexpected(fmt::format("at most {}", max_pinged));
  to = std::move(list);
  return {};
}

template <std::size_t Version>
Status set_ping_ips(Settings& settings, const Values& values) {
  return set_list(settings.netstack[Version].ping_ips, values,
                  [](const std::string& value) { return parse_inner_address(value, Version); });
}

template <std::size_t Version>
Status set_ping_hosts(Settings& settings, const Values& values) {
  return set_list(
      settings.netstack[Version].ping_hosts, values,
      [](const std::string& value) -> std::expected<std::string, std::string> {
        if (tunnel::is_host_name(value)) return value;
        return std::unexpected(fmt::format("'{}' is no host name", printable(value, 60)));
      });
}

Status set_num_ping(Settings& settings, const Values& values) {
  return store(settings.netstack_num_ping, parse_number(values.back(), 1, 100));
}

/// Whole seconds, as the options of that name take elsewhere. At most ten: WireGuard's keys live
/// for three minutes, and a stage must end before they do.
template <auto Member>
Status set_seconds(Settings& settings, const Values& values) {
  const auto seconds = parse_number(values.back(), 1, 10);
  if (!seconds) return std::unexpected(seconds.error());
  settings.*Member = std::chrono::seconds(*seconds);
  return {};
}

Status set_format(Settings& settings, const Values& values) {
  static constexpr std::array choices{std::pair{std::string_view("text"), Format::text},
                                      std::pair{std::string_view("json"), Format::json},
                                      std::pair{std::string_view("ndjson"), Format::ndjson},
                                      std::pair{std::string_view("nagios"), Format::nagios},
                                      std::pair{std::string_view("prometheus"), Format::prometheus},
                                      std::pair{std::string_view("junit"), Format::junit}};
  return set_choice(settings.format, values.back(), choices);
}

Status set_color(Settings& settings, const Values& values) {
  static constexpr std::array choices{std::pair{std::string_view("auto"), Color::automatic},
                                      std::pair{std::string_view("always"), Color::always},
                                      std::pair{std::string_view("never"), Color::never}};
  return set_choice(settings.color, values.back(), choices);
}

Status set_fail_on(Settings& settings, const Values& values) {
  static constexpr std::array choices{std::pair{std::string_view("none"), FailOn::none},
                                      std::pair{std::string_view("warn"), FailOn::warn},
                                      std::pair{std::string_view("crit"), FailOn::crit}};
  return set_choice(settings.fail_on, values.back(), choices);
}

Status set_log_level(Settings& settings, const Values& values) {
  static constexpr std::array choices{std::pair{std::string_view("trace"), LogLevel::trace},
                                      std::pair{std::string_view("debug"), LogLevel::debug},
                                      std::pair{std::string_view("info"), LogLevel::info},
                                      std::pair{std::string_view("warning"), LogLevel::warning},
                                      std::pair{std::string_view("error"), LogLevel::error},
                                      std::pair{std::string_view("off"), LogLevel::off}};
  return set_choice(settings.log_level, values.back(), choices);
}

// -v counts; in the environment and the file it is true or false.
Status set_verbose(Settings& settings, const Values& values) {
  settings.verbose = 0;
  for (const auto& value : values) {
    const auto on = parse_bool(value);
    if (!on) return std::unexpected(on.error());
    settings.verbose += *on ? 1 : 0;
  }
  return {};
}

constexpr std::string_view g_target = "Target";
constexpr std::string_view g_registration = "Registration";
constexpr std::string_view g_tunnel = "Tunnel";
constexpr std::string_view g_tickets = "Tickets";
constexpr std::string_view g_time = "Repetition and time limits";
constexpr std::string_view g_network = "Network";
constexpr std::string_view g_load = load_group;
constexpr std::string_view g_judgement = "Judgement";
constexpr std::string_view g_output = "Output";
constexpr std::string_view g_other = "Other";

using S = Settings;

constexpr std::array all{
    Option{"identity", 0, g_target, Type::value, "BASE58", "",
           "The gateway's identity, for a TARGET or --lp-address without one", false,
           set_identity<&S::identity>},
    Option{"lp-address", 0, g_target, Type::value, "HOST[:PORT]", "",
           "Where the gateway listens for LP; the same as a TARGET (port 41264)", false,
           set_host_port<&S::lp_address>},
    Option{"targets", 'T', g_target, Type::value, "FILE", "",
           "Probe the targets of this file as well, one a line; - is standard input", false,
           set_path<&S::targets_file>},
    Option{"gateway-ip", 0, g_target, Type::value, "HOST[:HTTP_PORT]", "",
           "Ask the gateway over HTTP for its identity and LP port (port 8080)", false,
           set_host_port<&S::gateway_ip>},
    Option{"entry-gateway", 'g', g_target, Type::value, "IDENTITY", "",
           "The identity expected of --gateway-ip; else the same as --identity", false,
           set_identity<&S::entry_gateway>},
    Option{"trust-http-identity", 0, g_target, Type::flag, "", "",
           "Send real tickets to an identity that was learned over HTTP", false,
           set_flag<&S::trust_http_identity>},

    Option{"only-lp-registration", 0, g_registration, Type::flag, "", "",
           "Stop after the response; do not go on to the WireGuard tunnel", false,
           set_flag<&S::only_lp_registration>},
    Option{"mode", 0, g_registration, Type::value, "MODE", "dvpn mixnet",
           "What to register for: dvpn or mixnet (dvpn)", false, set_mode},
    Option{"ticket-type", 0, g_registration, Type::value, "TYPE",
           "V1MixnetEntry V1MixnetExit V1WireguardEntry V1WireguardExit",
           "Kind of ticket (V1WireguardEntry for dvpn, V1MixnetEntry for mixnet)", false,
           set_ticket_type},
    Option{"use-mock-ecash", 0, g_registration, Type::flag, "", "",
           "Send a dummy ticket, for gateways that run with mock e-cash", false,
           set_flag<&S::use_mock_ecash>},
    Option{"wg-config", 0, g_registration, Type::value, "FILE", "",
           "Write a wg-quick file (mode 0600) for the tunnel that was registered", false,
           set_path<&S::wg_config>},

    Option{"only-wireguard", 0, g_tunnel, Type::flag, "", "",
           "Check the tunnel of the file of --wg-config, and register nothing", false,
           set_flag<&S::only_wireguard>},
    Option{"wg-preshared-key", 0, g_tunnel, Type::value, "KEY", "",
           "WireGuard's preshared key: none, identity (the gateway's) or a file (none)", false,
           set_preshared_key},
    Option{"tunnel-handshake-timeout", 0, g_tunnel, Type::value, "TIME", "",
           "Limit of WireGuard's handshake, which is tried every 5 s (15s)", false,
           set_duration<&S::tunnel_handshake_timeout>},
    Option{"tunnel-gateway-v4", 0, g_tunnel, Type::value, "ADDRESS", "",
           "The gateway in the tunnel, or none (the first address of the peer's /16)", false,
           set_inner_gateway<0>},
    Option{"tunnel-gateway-v6", 0, g_tunnel, Type::value, "ADDRESS", "",
           "The gateway in the tunnel, or none (the first address of the peer's /112)", false,
           set_inner_gateway<1>},
    Option{"netstack-num-ping", 0, g_tunnel, Type::value, "N", "",
           "Echo requests to each address (5)", false, set_num_ping},
    Option{"netstack-ping-ips-v4", 0, g_tunnel, Type::list, "ADDRESS", "",
           "Addresses to ping through the tunnel, or none (1.1.1.1); may be repeated", false,
           set_ping_ips<0>},
    Option{"netstack-ping-ips-v6", 0, g_tunnel, Type::list, "ADDRESS", "",
           "Likewise (2001:4860:4860::8888, 2606:4700:4700::1111, 2620:fe::fe)", false,
           set_ping_ips<1>},
    Option{"netstack-ping-hosts-v4", 0, g_tunnel, Type::list, "NAME", "",
           "Names to resolve and ping through the tunnel, or none (nym.com); may be repeated",
           false, set_ping_hosts<0>},
    Option{"netstack-ping-hosts-v6", 0, g_tunnel, Type::list, "NAME", "",
           "Likewise (cloudflare.com)", false, set_ping_hosts<1>},
    Option{"netstack-v4-dns", 0, g_tunnel, Type::value, "ADDRESS", "",
           "Resolver asked through the tunnel for A records (1.1.1.1)", false, set_dns<0>},
    Option{"netstack-v6-dns", 0, g_tunnel, Type::value, "ADDRESS", "",
           "Resolver asked through the tunnel for AAAA records (2606:4700:4700::1111)", false,
           set_dns<1>},
    Option{"netstack-send-timeout-sec", 0, g_tunnel, Type::value, "SECONDS", "",
           "Limit for handing one packet to this machine's network (3)", false,
           set_seconds<&S::netstack_send_timeout>},
    Option{"netstack-recv-timeout-sec", 0, g_tunnel, Type::value, "SECONDS", "",
           "How long to wait for each answer through the tunnel (3)", false,
           set_seconds<&S::netstack_recv_timeout>},

    Option{"wallet", 0, g_tickets, Type::value, "FILE", "",
           "Where tickets are kept (~/.local/share/lp-probe/wallet.sqlite)", false,
           set_path<&S::wallet>},
    Option{"chain-url", 0, g_tickets, Type::value, "URL", "",
           "REST endpoint of the chain that has the verification keys", false,
           set_url<&S::chain_url>},
    Option{"ecash-contract", 0, g_tickets, Type::value, "ADDRESS", "",
           "Address of the e-cash contract on the chain", false, set_contract},
    Option{"issuer", 0, g_tickets, Type::value, "URL", "",
           "Withdraw tickets from this issuer where the wallet has too few", false,
           set_url<&S::issuer>},
    Option{"issuer-token-file", 0, g_tickets, Type::value, "FILE", "",
           "File with the bearer token for the issuer, readable by its owner alone", false,
           set_path<&S::issuer_token_file>},
    Option{"allow-insecure-chain", 0, g_tickets, Type::flag, "", "",
           "Allow http to a chain or issuer on another machine", false,
           set_flag<&S::allow_insecure_chain>},
    Option{"ecash-timeout", 0, g_tickets, Type::value, "TIME", "",
           "Limit of one question to the chain or the issuer (10s)", false,
           set_duration<&S::ecash_timeout>},

    Option{"count", 'c', g_time, Type::value, "N", "", "Probe each target N times (1)", false,
           set_count},
    Option{"parallel", 0, g_time, Type::value, "N", "",
           "Targets that are probed at one time; one with --trace (32)", false,
           set_number<&S::parallel, 1'000>},
    Option{"interval", 'i', g_time, Type::value, "TIME", "",
           "From the start of one probe to the start of the next (1s)", false, set_interval},
    Option{"resolve-timeout", 0, g_time, Type::value, "TIME", "", "Limit of name resolution (5s)",
           false, set_duration<&S::resolve_timeout>},
    Option{"http-timeout", 0, g_time, Type::value, "TIME", "",
           "Limit of all HTTP questions to one gateway together (5s)", false,
           set_duration<&S::http_timeout>},
    Option{"connect-timeout", 0, g_time, Type::value, "TIME", "",
           "Limit of the TCP connection, over all addresses (10s)", false,
           set_duration<&S::connect_timeout>},
    Option{"handshake-timeout", 0, g_time, Type::value, "TIME", "",
           "Limit of ClientHello and handshake together (15s)", false,
           set_duration<&S::handshake_timeout>},
    Option{"registration-timeout", 0, g_time, Type::value, "TIME", "",
           "Limit of request and response together (30s)", false,
           set_duration<&S::registration_timeout>},

    Option{"concurrency", 0, g_load, Type::value, "N", "", "Registrations at one time (50)", false,
           set_number<&S::concurrency, 65'536>},
    Option{"duration", 0, g_load, Type::value, "TIME", "",
           "Measure for so long (60s; with --count until that is reached)", false,
           set_duration<&S::duration>},
    Option{"rate", 0, g_load, Type::value, "N", "",
           "Open loop: N registrations a second are due, whatever the gateway does", false,
           set_rate},
    Option{"warmup", 0, g_load, Type::value, "TIME", "",
           "Register for so long before the measurement begins (0)", false, set_warmup},
    Option{"threads", 0, g_load, Type::value, "N", "",
           "Threads that share the connections (one a processor, at most 4)", false,
           set_number<&S::threads, 64>},
    Option{"expect", 0, g_load, Type::list, "METRIC<VALUE", "",
           "Exit 2 unless this holds: 'p99<50ms', 'rate>1000', 'errors<1'; may be repeated", false,
           set_expect},
    Option{"svg", 0, g_load, Type::value, "FILE", "", "Plot the histogram of latency", false,
           set_path<&S::svg>},
    Option{"allow-public-target", 0, g_load, Type::flag, "", "",
           "The gateway is your own although its address is a public one", false,
           set_flag<&S::allow_public_target>},

    Option{"ipv4", '4', g_network, Type::flag, "", "", "Use IPv4 only", false, set_flag<&S::ipv4>},
    Option{"ipv6", '6', g_network, Type::flag, "", "", "Use IPv6 only", false, set_flag<&S::ipv6>},
    Option{"source-address", 0, g_network, Type::value, "ADDRESS", "",
           "Connect from this address of this machine", false, set_source_address},

    Option{"warn", 'w', g_judgement, Type::list, "STAGE=TIME", "",
           "Warning (exit 1) where a stage, or total, takes longer; may be repeated", false,
           [](Settings& settings, const Values& values) {
             return set_thresholds(settings.warn, values);
           }},
    Option{"crit", 0, g_judgement, Type::list, "STAGE=TIME", "",
           "Critical (exit 2) where a stage, or total, takes longer; may be repeated", false,
           [](Settings& settings, const Values& values) {
             return set_thresholds(settings.crit, values);
           }},
    Option{"fail-on", 0, g_judgement, Type::value, "LEVEL", "none warn crit",
           "Least level that makes the exit status other than 0: none, warn or crit (warn)", false,
           set_fail_on},

    Option{"format", 'f', g_output, Type::value, "FORMAT",
           "text json ndjson nagios prometheus junit",
           "Form of the result: text, json, ndjson, nagios, prometheus or junit (text)", false,
           set_format},
    Option{"textfile", 0, g_output, Type::value, "FILE", "",
           "Write the metrics of --format prometheus to this file, too, whatever came of the probe",
           false, set_path<&S::textfile>},
    Option{"color", 0, g_output, Type::value, "WHEN", "auto always never",
           "Colour in text: auto, always or never (auto)", false, set_color},
    Option{"trace", 0, g_output, Type::flag, "", "", "Show every packet on standard error", false,
           set_flag<&S::trace>},
    Option{"trace-secrets", 0, g_output, Type::flag, "", "",
           "Show keys and tickets in --trace and decode, too", false, set_flag<&S::trace_secrets>},
    Option{"quiet", 'q', g_output, Type::flag, "", "", "Only errors on standard error", false,
           set_flag<&S::quiet>},
    Option{"verbose", 'v', g_output, Type::flag, "", "",
           "More on standard error; twice for still more", false, set_verbose},
    Option{"log-level", 0, g_output, Type::value, "LEVEL", "trace debug info warning error off",
           "What goes to standard error (warning)", false, set_log_level},
    Option{"no-log", 0, g_output, Type::flag, "", "", "Log nothing", false, set_flag<&S::no_log>},

    Option{"config", 0, g_other, Type::value, "FILE", "",
           "Read options from this file (~/.config/lp-probe.toml where it exists)", true,
           [](Settings&, const Values&) { return Status{}; }},
    Option{"list-error-codes", 0, g_other, Type::flag, "", "",
           "Print every error code with stage, exit status, meaning and hint, and exit", true,
           set_flag<&S::list_error_codes>},
    Option{"version", 0, g_other, Type::flag, "", "",
           "Print version, build and libraries, and exit", true, set_flag<&S::version>},
};

std::string spelled(std::string_view name, bool upper) {
  std::string text;
  for (const char c : name) {
    const bool lower_case = c >= 'a' && c <= 'z';
    text += c == '-' ? '_' : upper && lower_case ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return text;
}

}  // namespace

NetstackSettings default_netstack_v4() {
  return {.gateway = {},
          .dns = messages::IpV4{{1, 1, 1, 1}},
          .ping_ips = {messages::IpV4{{1, 1, 1, 1}}},
          .ping_hosts = {"nym.com"}};
}

NetstackSettings default_netstack_v6() {
  const auto v6 = [](const char* text) { return *messages::ip_address_from_string(text); };
  return {.gateway = {},
          .dns = v6("2606:4700:4700::1111"),
          .ping_ips = {v6("2001:4860:4860::8888"), v6("2606:4700:4700::1111"), v6("2620:fe::fe")},
          .ping_hosts = {"cloudflare.com"}};
}

std::span<const Option> table() noexcept {
  return all;
}

const Option* find(std::string_view name) noexcept {
  const auto at = std::ranges::find(all, name, &Option::name);
  return at == all.end() ? nullptr : &*at;
}

std::string environment_name(const Option& option) {
  return "LP_PROBE_" + spelled(option.name, true);
}

std::string file_key(const Option& option) {
  return spelled(option.name, false);
}

}  // namespace lp::probe::options
