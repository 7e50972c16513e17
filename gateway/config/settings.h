// Every setting of lp-gateway, with its default. The table that parses, prints and documents them
// is config/settings_table.h; lp-gateway.toml(5) is the page that goes with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lp::gateway {

enum class WireguardBackend : std::uint8_t { memory, netlink, uapi };

/// Absolute time a stage of one connection may take; no trickle of bytes renews it.
struct StageDeadlines {
  std::chrono::milliseconds hello{5'000};
  std::chrono::milliseconds handshake{10'000};
  std::chrono::milliseconds request{10'000};
  std::chrono::milliseconds processing{15'000};
  std::chrono::milliseconds write{5'000};
};

struct Settings {
  std::filesystem::path data_dir{"/var/lib/lp-gateway"};

  // LP listener
  std::vector<std::string> bind_address{"0.0.0.0"};
  std::uint16_t control_port = 41264;
  std::uint16_t data_port = 51264;  // reserved
  std::uint32_t max_connections = 10'000;
  std::uint32_t max_connections_per_address = 256;  // IPv4 /32, IPv6 /64; 0 = none
  std::uint32_t timestamp_tolerance_secs = 30;
  std::uint32_t client_hello_cache_entries = 1'000'000;
  std::uint32_t threads = 0;  // I/O threads; 0 = as many as processors
  StageDeadlines deadlines;

  // HTTP
  std::string http_address = "0.0.0.0";
  std::uint16_t http_port = 8080;
  std::vector<std::string> metrics_allow{"127.0.0.0/8", "::1/128"};

  // storage
  // "sqlite:PATH" or "postgresql://…", which may hold a password; empty =
  // sqlite:<data_dir>/gateway.sqlite
  std::string storage;
  std::string instance;  // this one's name among those on a PostgreSQL database; empty on SQLite
  bool record_sessions = false;

  // e-cash
  bool use_mock_ecash = false;
  bool allow_mock_on_public_address = false;
  std::string chain_url;
  std::string ecash_contract;
  std::uint32_t ecash_refresh_secs = 300;
  bool allow_insecure_chain = false;
  std::filesystem::path chain_ca_file;  // empty = the system's trust store

  // WireGuard
  WireguardBackend wireguard_backend = WireguardBackend::memory;
  std::string wireguard_interface = "wg0";
  bool wireguard_own_interface = false;
  std::string wireguard_announced_address;  // empty = the address the client connected to
  std::uint16_t wireguard_announced_port = 51822;
  std::filesystem::path wireguard_private_key_file;  // empty = <data_dir>/wireguard.key
  std::string wireguard_preshared_key = "none";      // none | identity | base64
  std::string ipv4_pool = "10.1.0.0/16";
  std::string ipv6_pool = "fd00::/112";

  // logging
  std::string log_level = "info";
  std::string log_format = "auto";
};

/// The settings that SIGHUP reloads. The rest needs a restart.
struct ReloadableSettings {
  std::uint32_t max_connections;
  std::uint32_t max_connections_per_address;
  std::uint32_t timestamp_tolerance_secs;
  StageDeadlines deadlines;
  std::vector<std::string> metrics_allow;
  std::string log_level;
};
[[nodiscard]] ReloadableSettings reloadable(const Settings& settings);

/// Whether `storage` names a PostgreSQL database, which several instances may share.
[[nodiscard]] bool on_postgres(const Settings& settings);

}  // namespace lp::gateway
