#include "gateway/config/settings_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <type_traits>

#include "gateway/config/setting_checks.h"
#include "gateway/config/values.h"

namespace lp::gateway::config {
namespace {

using Texts = std::vector<std::string>;

template <auto Member>
Setting number(Setting row, std::uint64_t least, std::uint64_t most) {
  using T = std::remove_cvref_t<decltype(std::declval<Settings&>().*Member)>;
  row.shape = Shape::number;
  row.assign = [least, most](Settings& settings, const Texts& texts) -> Assigned {
    const auto value = parse_number(texts.front(), least, most);
    if (!value) return std::unexpected(value.error());
    settings.*Member = static_cast<T>(*value);
    return {};
  };
  row.print = [](const Settings& settings) { return Texts{fmt::format("{}", settings.*Member)}; };
  return row;
}

template <auto Member>
Setting boolean(Setting row) {
  row.shape = Shape::boolean;
  row.assign = [](Settings& settings, const Texts& texts) -> Assigned {
    const auto value = parse_boolean(texts.front());
    if (!value) return std::unexpected(value.error());
    settings.*Member = *value;
    return {};
  };
  row.print = [](const Settings& settings) { return Texts{settings.*Member ? "true" : "false"}; };
  return row;
}

template <auto Member>
Setting seconds(Setting row) {
  row.shape = Shape::seconds;
  row.assign = [](Settings& settings, const Texts& texts) -> Assigned {
    const auto value = parse_seconds(texts.front());
    if (!value) return std::unexpected(value.error());
    settings.deadlines.*Member = *value;
    return {};
  };
  row.print = [](const Settings& settings) {
    return Texts{print_seconds(settings.deadlines.*Member)};
  };
  return row;
}

using Check = Assigned (*)(const std::string&);

template <auto Member>
Setting text(Setting row, Check check) {
  row.shape = Shape::text;
  row.assign = [check](Settings& settings, const Texts& texts) -> Assigned {
    if (auto checked = check(texts.front()); !checked) return checked;
    settings.*Member = texts.front();
    return {};
  };
  row.print = [](const Settings& settings) { return Texts{std::string(settings.*Member)}; };
  return row;
}

template <auto Member>
Setting list(Setting row, bool may_be_empty, Check check) {
  row.shape = Shape::list;
  row.assign = [may_be_empty, check](Settings& settings, const Texts& texts) -> Assigned {
    if (texts.empty() && !may_be_empty) return must("at least one value");
    for (const auto& one : texts) {
      if (auto checked = check(one); !checked) return checked;
    }
    if (std::set<std::string>(texts.begin(), texts.end()).size() != texts.size()) {
      return std::unexpected("must not name the same value twice");
    }
    settings.*Member = texts;
    return {};
  };
  row.print = [](const Settings& settings) { return settings.*Member; };
  return row;
}

Setting wireguard_backend(Setting row) {
  static constexpr std::array<std::string_view, 3> names{"memory", "netlink", "uapi"};
  row.shape = Shape::text;
  row.assign = [](Settings& settings, const Texts& texts) -> Assigned {
    const auto found = std::find(names.begin(), names.end(), texts.front());
    if (found == names.end()) return must("memory, netlink or uapi");
    settings.wireguard_backend = static_cast<WireguardBackend>(found - names.begin());
    return {};
  };
  row.print = [](const Settings& settings) {
    return Texts{std::string(names[static_cast<std::size_t>(settings.wireguard_backend)])};
  };
  return row;
}

constexpr std::uint64_t any_port = std::numeric_limits<std::uint16_t>::max();
constexpr std::string_view listener = "LP listener";
constexpr std::string_view deadlines = "Deadlines";
constexpr std::string_view http = "HTTP";
constexpr std::string_view storage = "Storage";
constexpr std::string_view ecash = "E-cash";
constexpr std::string_view wireguard = "WireGuard";
constexpr std::string_view logging = "Logging";

std::vector<Setting> make_table() {
  using S = Settings;
  using D = StageDeadlines;
  std::vector<Setting> table;
  const auto add = [&table](Setting row) { table.push_back(std::move(row)); };

  add(text<&S::data_dir>(
      {"Files", "data_dir", "DIR",
       "Directory of the keys, the database, the control socket and, unless --config names "
       "another, lp-gateway.toml."},
      check_path));

  add(list<&S::bind_address>(
      {listener, "bind_address", "ADDRESS", "Addresses to accept LP connections on, IPv4 or IPv6."},
      false, check_address));
  add(number<&S::control_port>(
      {listener, "control_port", "PORT", "TCP port of the LP listener; 0 takes a free one."}, 0,
      any_port));
  add(number<&S::data_port>(
      {listener, "data_port", "PORT", "Reserved for LP's data plane; nothing listens there yet."},
      0, any_port));
  add(number<&S::max_connections>(
      {.section = listener,
       .key = "max_connections",
       .metavar = "NUMBER",
       .help = "Connections at one time; a further one is answered Busy. The limit of open files "
               "must allow them.",
       .reloadable = true},
      1, 1'000'000));
  add(number<&S::max_connections_per_address>(
      {.section = listener,
       .key = "max_connections_per_address",
       .metavar = "NUMBER",
       .help = "Connections at one time from one IPv4 address or one IPv6 /64; 0 sets no limit.",
       .reloadable = true},
      0, 1'000'000));
  add(number<&S::timestamp_tolerance_secs>(
      {.section = listener,
       .key = "timestamp_tolerance_secs",
       .metavar = "SECONDS",
       .help = "How far a client's clock may be from this one, either way.",
       .reloadable = true},
      1, 86'400));
  add(number<&S::client_hello_cache_entries>(
      {listener, "client_hello_cache_entries", "NUMBER",
       "ClientHellos remembered so that none is taken twice; when full the oldest goes."},
      1, 100'000'000));
  add(number<&S::threads>(
      {listener, "threads", "NUMBER",
       "Threads that serve LP connections; 0 takes as many as there are processors."},
      0, 1024));

  add(seconds<&D::hello>({.section = deadlines,
                          .key = "hello_deadline_secs",
                          .metavar = "SECONDS",
                          .help = "From accepting a connection to its complete ClientHello.",
                          .reloadable = true}));
  add(seconds<&D::handshake>({.section = deadlines,
                              .key = "handshake_deadline_secs",
                              .metavar = "SECONDS",
                              .help = "From the ClientHello to the end of the handshake.",
                              .reloadable = true}));
  add(seconds<&D::request>({.section = deadlines,
                            .key = "request_deadline_secs",
                            .metavar = "SECONDS",
                            .help = "From the handshake to the complete registration request.",
                            .reloadable = true}));
  add(seconds<&D::processing>({.section = deadlines,
                               .key = "processing_deadline_secs",
                               .metavar = "SECONDS",
                               .help = "From the request to its answer. A registration that has "
                                       "begun goes on to its end all the same.",
                               .reloadable = true}));
  add(seconds<&D::write>({.section = deadlines,
                          .key = "write_deadline_secs",
                          .metavar = "SECONDS",
                          .help = "For each flight of packets to a client that does not read.",
                          .reloadable = true}));

  add(text<&S::http_address>(
      {http, "http_address", "ADDRESS", "Address of /metrics, /healthz, /readyz and /api/v1/lp."},
      check_address));
  add(number<&S::http_port>({http, "http_port", "PORT", "Its TCP port; 0 takes a free one."}, 0,
                            any_port));
  add(list<&S::metrics_allow>({.section = http,
                               .key = "metrics_allow",
                               .metavar = "NETWORK",
                               .help = "Who may read /metrics and /readyz; others get 403.",
                               .reloadable = true},
                              true, check_network));

  add(text<&S::storage>(
      {.section = storage,
       .key = "storage",
       .metavar = "DATABASE",
       .help = "The database: sqlite:PATH, or postgresql://USER@HOST/NAME, which several instances "
               "may share. Empty: gateway.sqlite in the data directory, where a relative path "
               "starts.",
       .secret = true,
       .without_secret = redacted_url},
      check_storage));
  add(text<&S::instance>(
      {storage, "instance", "NAME",
       "The name of this instance among those that share a PostgreSQL database; there it must be "
       "set."},
      check_instance));
  add(boolean<&S::record_sessions>(
      {storage, "record_sessions", "", "Write a row for each connection into lp_sessions."}));

  add(boolean<&S::use_mock_ecash>(
      {ecash, "use_mock_ecash", "",
       "Take every well-formed credential unchecked and grant 1 GiB. For tests only."}));
  add(boolean<&S::allow_mock_on_public_address>(
      {ecash, "allow_mock_on_public_address", "",
       "Allow mock e-cash on a bind_address that is not loopback: whoever reaches it registers for "
       "nothing."}));
  add(text<&S::chain_url>(
      {ecash, "chain_url", "URL", "REST endpoint of the chain that has the verification keys."},
      check_chain_url));
  add(text<&S::ecash_contract>(
      {ecash, "ecash_contract", "ADDRESS", "Address of the e-cash contract on the chain."},
      check_contract));
  add(number<&S::ecash_refresh_secs>(
      {ecash, "ecash_refresh_secs", "SECONDS", "How often verification keys are fetched again."}, 1,
      86'400));
  add(boolean<&S::allow_insecure_chain>(
      {ecash, "allow_insecure_chain", "",
       "Allow http:// to a chain that is not on this machine: who sits between can forge keys."}));
  add(text<&S::chain_ca_file>(
      {ecash, "chain_ca_file", "FILE",
       "Certificates in PEM that an https:// chain is trusted by. Empty: the system's trust store. "
       "A relative path starts in the data directory."},
      check_optional_path));

  add(wireguard_backend(
      {wireguard, "wireguard_backend", "NAME",
       "memory (nothing real), netlink (the kernel module) or uapi (the socket of "
       "wireguard-go and others)."}));
  add(text<&S::wireguard_interface>(
      {wireguard, "wireguard_interface", "NAME", "The WireGuard interface to control."},
      check_interface));
  add(boolean<&S::wireguard_own_interface>(
      {wireguard, "wireguard_own_interface", "",
       "Remove peers from the interface that the database does not know."}));
  add(text<&S::wireguard_announced_address>(
      {wireguard, "wireguard_announced_address", "ADDRESS",
       "Endpoint address that clients are told. Empty: the one they connected to."},
      check_optional_address));
  add(number<&S::wireguard_announced_port>(
      {wireguard, "wireguard_announced_port", "PORT", "Endpoint port that clients are told."}, 1,
      any_port));
  add(text<&S::wireguard_private_key_file>(
      {wireguard, "wireguard_private_key_file", "FILE",
       "The gateway's WireGuard key in base64, as wg genkey prints it. Empty: wireguard.key in the "
       "data directory, where a relative path starts."},
      check_optional_path));
  add(text<&S::wireguard_preshared_key>(
      {.section = wireguard,
       .key = "wireguard_preshared_key",
       .metavar = "KEY",
       .help =
           "Preshared key of every peer: none, identity (the gateway's public identity key), or "
           "32 bytes in base64.",
       .secret = true},
      check_preshared_key));
  add(text<&S::ipv4_pool>({wireguard, "ipv4_pool", "NETWORK",
                           "Tunnel addresses for peers; the first is the gateway's."},
                          check_ipv4_pool));
  add(text<&S::ipv6_pool>({wireguard, "ipv6_pool", "NETWORK",
                           "Tunnel addresses for peers; the first is the gateway's."},
                          check_ipv6_pool));

  add(text<&S::log_level>({.section = logging,
                           .key = "log_level",
                           .metavar = "LEVEL",
                           .help = "trace, debug, info, warning, error or off; to standard error.",
                           .reloadable = true},
                          check_log_level));
  add(text<&S::log_format>(
      {logging, "log_format", "FORMAT",
       "text, json (an object a line), journal (with priorities for systemd's journal), or auto: "
       "journal where standard error goes there, else text."},
      check_log_format));
  return table;
}

}  // namespace

const std::vector<Setting>& settings_table() {
  static const std::vector<Setting> table = make_table();
  return table;
}

}  // namespace lp::gateway::config
