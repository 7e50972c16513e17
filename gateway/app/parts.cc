#include "gateway/app/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "gateway/app/data_dir.h"
#include "gateway/storage/sqlite_storage.h"
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
  if (settings.wireguard_backend != WireguardBackend::memory) {
    return refuse("wireguard_backend netlink and uapi are not in this version: set it to memory");
  }
  return {};
}

std::expected<std::unique_ptr<wireguard::Backend>, Refusal> make_backend(const Settings& settings) {
  if (auto checked = check_parts(settings); !checked) return std::unexpected(checked.error());
  return wireguard::make_memory_backend();
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
    const Settings& settings, bool commit_each_registration) {
  const auto path = database_file(settings);
  if (auto checked = check_database_file(path); !checked) return std::unexpected(checked.error());
  auto opened = storage::open_sqlite({.path = path,
                                      .ipv4_pool = settings.ipv4_pool,
                                      .ipv6_pool = settings.ipv6_pool,
                                      .commit_each = commit_each_registration});
  if (opened) return std::move(*opened);
  return std::unexpected(Refusal{exit_code(opened.error().kind), opened.error().detail});
}

}  // namespace lp::gateway::app
