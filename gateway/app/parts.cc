#include "gateway/app/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "gateway/app/data_dir.h"
#include "gateway/app/key_file.h"
#include "gateway/storage/postgres_storage.h"
#include "gateway/storage/sqlite_storage.h"
#include "gateway/wireguard/device.h"
#include "lib/base/encoding.h"
#include "lib/net/fetch.h"

namespace lp::gateway::app {
namespace {

// docs/ecash.md, "Chain".
constexpr std::chrono::milliseconds chain_deadline{5'000};
constexpr std::size_t max_chain_answer = 1024 * 1024;

/// Half of the processors, at most two: the other half has handshakes to do.
unsigned verification_threads() {
  return std::clamp(std::thread::hardware_concurrency() / 2, 1U, 2U);
}

std::unexpected<Refusal> refuse(std::string sentence) {
  return std::unexpected(Refusal{ExitCode::configuration, std::move(sentence)});
}

bool is_zero(ByteView bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

std::expected<std::optional<wireguard::PresharedKey>, Refusal> read_preshared_key(
    const Settings& settings) {
  if (settings.wireguard_preshared_key == "none") return std::nullopt;
  if (settings.wireguard_preshared_key == "identity") {
    auto seed = read_key_file(identity_key_file(settings), "identity key");
    if (!seed) return std::unexpected(std::move(seed.error()));
    const auto pair = crypto::IdentityKeyPair::from_seed(std::move(*seed));
    return wireguard::PresharedKey(std::span(pair.identity.bytes));
  }
  auto key = from_base64(settings.wireguard_preshared_key);
  if (!key || key->size() != wireguard::PresharedKey::size)
    return refuse("wireguard_preshared_key is no key");
  wireguard::PresharedKey preshared_key(std::span<const std::uint8_t, 32>(key->data(), 32));
  wipe(*key);
  return preshared_key;
}

std::expected<wireguard::DeviceConfig, Refusal> read_device_config(const Settings& settings) {
  const auto key_file = wireguard_key_file(settings);
  auto private_key = read_key_file(key_file, "WireGuard key");
  if (!private_key) return std::unexpected(std::move(private_key.error()));
  if (is_zero(private_key->bytes())) {
    return refuse(fmt::format("{}: a key of all zeros is none for WireGuard", key_file.string()));
  }
  auto preshared_key = read_preshared_key(settings);
  if (!preshared_key) return std::unexpected(std::move(preshared_key.error()));
  return wireguard::DeviceConfig{.interface = settings.wireguard_interface,
                                 .private_key = std::move(*private_key),
                                 .listen_port = settings.wireguard_announced_port,
                                 .preshared_key = std::move(*preshared_key)};
}

ExitCode exit_code(storage::StorageError::Kind kind) {
  using Kind = storage::StorageError::Kind;
  switch (kind) {
    case Kind::invalid:
    case Kind::newer_schema:
      return ExitCode::configuration;
    case Kind::full:
      return ExitCode::cannot_create;
    case Kind::unavailable:
    case Kind::corrupt:
    case Kind::busy:
    case Kind::shutting_down:
      break;
  }
  return ExitCode::unavailable;
}

}  // namespace

std::expected<void, Refusal> check_parts(const Settings& settings) {
  if (const auto key = from_base64(settings.wireguard_preshared_key); key && is_zero(*key)) {
    return refuse(
        "wireguard_preshared_key of all zeros is none for WireGuard: write none, or a key");
  }
  return {};
}

std::expected<std::unique_ptr<wireguard::Backend>, Refusal> make_backend(const Settings& settings) {
  if (settings.wireguard_backend == WireguardBackend::memory)
    return wireguard::make_memory_backend();
  auto device = read_device_config(settings);
  if (!device) return std::unexpected(std::move(device.error()));
  if (settings.wireguard_backend == WireguardBackend::uapi)
    return wireguard::make_uapi_backend(std::move(*device));
  return wireguard::make_netlink_backend(std::move(*device));
}

std::expected<std::unique_ptr<ecash::EcashManager>, Refusal> start_ecash(
    const Settings& settings, const crypto::Identity& gateway, const WallClock& clock,
    metrics::Metrics& metrics) {
  const auto url = net::Url::parse(settings.chain_url);
  if (!url) return refuse(fmt::format("chain_url {}", url.error()));
  net::FetchOptions fetch_options{.deadline = chain_deadline,
                                  .max_body = max_chain_answer,
                                  .ca_file = chain_ca_file(settings).string(),
                                  .user_agent = "lp-gateway"};
  auto started = ecash::start_ecash_manager(
      {.gateway = gateway,
       .key_cache = key_cache_file(settings.data_dir),
       .contract = settings.ecash_contract,
       .refresh = {.interval = std::chrono::seconds(settings.ecash_refresh_secs)},
       .threads = verification_threads()},
      [url = *url, contract = settings.ecash_contract,
       options = std::move(fetch_options)](int cancel_fd) mutable {
        options.cancel_fd = cancel_fd;
        return net::fetch_verification_keys(url, contract, options);
      },
      clock, metrics);
  if (!started) return refuse(std::move(started.error()));
  return std::move(*started);
}

std::expected<std::unique_ptr<storage::Storage>, Refusal> open_storage(
    const Settings& settings, const crypto::X25519Public& wireguard_public_key,
    bool commit_each_registration) {
  if (!on_postgres(settings)) {
    const auto checked = check_database_file(database_file(settings));
    if (!checked) return std::unexpected(checked.error());
  }
  auto opened = on_postgres(settings)
                    ? storage::open_postgres(
                          {.url = settings.storage,
                           .instance = {.name = settings.instance,
                                        .wireguard_public_key = wireguard_public_key,
                                        .announced_host = settings.wireguard_announced_address,
                                        .announced_port = settings.wireguard_announced_port},
                           .ipv4_pool = settings.ipv4_pool,
                           .ipv6_pool = settings.ipv6_pool,
                           .commit_each = commit_each_registration})
                    : storage::open_sqlite({.path = database_file(settings),
                                            .ipv4_pool = settings.ipv4_pool,
                                            .ipv6_pool = settings.ipv6_pool,
                                            .commit_each = commit_each_registration});
  if (opened) return std::move(*opened);
  return std::unexpected(Refusal{exit_code(opened.error().kind), opened.error().detail});
}

}  // namespace lp::gateway::app
