// The EcashManager: tickets signed with BLS12-381, under keys from the chain (docs/ecash.md,
// "Spending" and "Chain").
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "gateway/ecash/key_refresher.h"
#include "gateway/ecash/key_store.h"
#include "gateway/ecash/verifier.h"
#include "gateway/metrics/metrics.h"
#include "lib/base/clock.h"
#include "lib/crypto/keys.h"

namespace lp::gateway::ecash {

struct EcashOptions {
  crypto::Identity gateway;  ///< tickets for any other fail as a bad signature
  std::filesystem::path key_cache;
  std::string contract;
  RefreshOptions refresh;
  unsigned threads = 1;
  /// Tickets that may wait at one time: in all, and from one IPv4 /32 or IPv6 /64 (0: no limit).
  std::uint32_t max_waiting = 1'024;
  std::uint32_t max_waiting_per_address = 128;
  /// Likewise, tickets that wait for a fetch that may bring their key. They have places of their
  /// own: a chain that hangs and clients with unknown keys must not keep out those with known ones.
  std::uint32_t max_waiting_for_key = 256;
  std::uint32_t max_waiting_for_key_per_address = 32;
  std::size_t max_batch = 128;
};

/// An expiry this far ahead may have a key that this gateway has not seen yet.
inline constexpr UnixSeconds unknown_expiry_horizon_secs = UnixSeconds{60} * 86'400;

class EcashManager : public Verifier {
 public:
  /// What is known of keys, and their state in the words of the person who looks.
  struct KeyStatus {
    std::shared_ptr<const KnownKeys> known;
    std::string problem;  ///< of the last fetch; empty where it went well
  };
  [[nodiscard]] virtual KeyStatus keys() const = 0;
  /// See `accept` of known_keys.h.
  [[nodiscard]] virtual std::expected<Key, std::string> accept_key(std::string_view prefix) = 0;
};

/// Reads the cached keys and starts fetching. Fails, with a sentence, where the cache is there and
/// cannot be trusted. `clock` and `metrics` must outlive it.
[[nodiscard]] std::expected<std::unique_ptr<EcashManager>, std::string> start_ecash_manager(
    EcashOptions options, FetchKeys fetch, const WallClock& clock, metrics::Metrics& metrics);

}  // namespace lp::gateway::ecash
