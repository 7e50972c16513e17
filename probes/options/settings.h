// Everything a run of lp-probe can be told.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/crypto/keys.h"
#include "lib/messages/registration.h"
#include "lib/net/fetch.h"
#include "probes/client/socket.h"
#include "probes/errors.h"
#include "probes/load/expectation.h"
#include "probes/target.h"

namespace lp::probe::options {

enum class Format : std::uint8_t { text, json, ndjson, nagios, prometheus, junit };
enum class Color : std::uint8_t { automatic, always, never };
enum class LogLevel : std::uint8_t { trace, debug, info, warning, error, off };
enum class FailOn : std::uint8_t { none, warn, crit };
enum class ModeName : std::uint8_t { dvpn, mixnet };

/// STAGE=TIME limits; the last place is for "total".
using Thresholds = std::array<std::optional<std::chrono::nanoseconds>, stage_count + 1>;
inline constexpr std::size_t total_threshold = stage_count;

/// `lp-probe wallet …`.
struct WalletCommand {
  enum class Kind : std::uint8_t { list, withdraw, export_tickets };
  Kind kind = Kind::list;
  std::optional<crypto::Identity> gateway;  ///< there with `withdraw`
  std::optional<std::int64_t> ticket;       ///< `export` has this or the gateway
};

/// --wg-preshared-key.
enum class PresharedKeySource : std::uint8_t { none, identity, file };

/// --tunnel-gateway-v4 and -v6: where the gateway is inside the tunnel.
struct InnerAddress {
  bool derived = true;  ///< it follows from the address that was registered
  std::optional<messages::IpAddress> address = std::nullopt;  ///< else this, or not asked
};

/// What is asked over one version of IP inside the tunnel.
struct NetstackSettings {
  InnerAddress gateway;
  messages::IpAddress dns;
  std::vector<messages::IpAddress> ping_ips;
  std::vector<std::string> ping_hosts;
};
[[nodiscard]] NetstackSettings default_netstack_v4();
[[nodiscard]] NetstackSettings default_netstack_v6();

struct Settings {
  // targets
  std::vector<Target> targets;  ///< the command line's, or the one of --lp-address or --gateway-ip
  std::string targets_file;     ///< empty: none; "-": standard input
  std::vector<std::string> bad_targets;  ///< a sentence for each line of that file that is none
  std::optional<crypto::Identity> identity;
  std::optional<crypto::Identity> entry_gateway;
  std::optional<HostPort> lp_address;
  std::optional<HostPort> gateway_ip;
  bool trust_http_identity = false;

  // registration
  bool only_lp_registration = false;
  ModeName mode = ModeName::dvpn;
  std::optional<messages::TicketType> ticket_type;  ///< the mode's entry type where not given
  bool use_mock_ecash = false;
  std::string wg_config;

  // tunnel
  bool only_wireguard = false;
  PresharedKeySource wg_preshared_key = PresharedKeySource::none;
  std::string wg_preshared_key_file;
  std::shared_ptr<const Secret<32>> preshared;  ///< what that file holds
  std::chrono::nanoseconds tunnel_handshake_timeout = std::chrono::seconds(15);
  std::uint64_t netstack_num_ping = 5;
  std::chrono::nanoseconds netstack_send_timeout = std::chrono::seconds(3);
  std::chrono::nanoseconds netstack_recv_timeout = std::chrono::seconds(3);
  std::array<NetstackSettings, 2> netstack{default_netstack_v4(), default_netstack_v6()};

  // tickets
  std::string wallet;  ///< empty where there is neither the option nor a home directory
  std::optional<net::Url> chain_url;
  std::string ecash_contract;
  std::optional<net::Url> issuer;
  std::string issuer_token_file;
  bool allow_insecure_chain = false;
  std::chrono::nanoseconds ecash_timeout = std::chrono::seconds(10);

  // repetition and time
  std::uint64_t parallel = 32;  ///< targets at one time; 1 with --trace
  std::uint64_t count = 1;
  bool count_given = false;
  std::chrono::nanoseconds interval = std::chrono::seconds(1);
  std::chrono::nanoseconds resolve_timeout = std::chrono::seconds(5);
  std::chrono::nanoseconds http_timeout = std::chrono::seconds(5);
  std::chrono::nanoseconds connect_timeout = std::chrono::seconds(10);
  std::chrono::nanoseconds handshake_timeout = std::chrono::seconds(15);
  std::chrono::nanoseconds registration_timeout = std::chrono::seconds(30);

  // lp-probe load
  std::uint64_t concurrency = 50;
  std::optional<std::chrono::nanoseconds> duration;  ///< a minute, where there is no count either
  std::optional<double> rate;                        ///< a second; nothing: a closed loop
  std::chrono::nanoseconds warmup{};
  std::uint64_t threads = 0;  ///< 0: as many as there are processors, at most four
  std::vector<load::Expectation> expect;
  std::string svg;
  bool allow_public_target = false;

  // network
  bool ipv4 = false;
  bool ipv6 = false;
  std::optional<client::Endpoint> source_address;

  // judgement
  Thresholds warn;
  Thresholds crit;
  FailOn fail_on = FailOn::warn;

  // output
  Format format = Format::text;
  std::string textfile;  ///< empty: none
  Color color = Color::automatic;
  bool trace = false;
  bool trace_secrets = false;
  unsigned verbose = 0;
  bool quiet = false;
  LogLevel log_level = LogLevel::warning;
  bool no_log = false;

  // instead of a probe
  bool list_error_codes = false;
  bool version = false;

  /// What `lp-probe decode` is to decode: a file, "-" or hexadecimal.
  std::optional<std::string> decode;
  std::optional<WalletCommand> wallet_command;
  bool load = false;  ///< `lp-probe load`

  /// True where the tunnel of --wg-config is checked and nothing is registered.
  [[nodiscard]] bool tunnel_of_file() const noexcept {
    return only_wireguard && !wg_config.empty();
  }

  [[nodiscard]] messages::TicketType effective_ticket_type() const noexcept {
    if (ticket_type) return *ticket_type;
    return mode == ModeName::dvpn ? messages::TicketType::v1_wireguard_entry
                                  : messages::TicketType::v1_mixnet_entry;
  }
};

}  // namespace lp::probe::options
