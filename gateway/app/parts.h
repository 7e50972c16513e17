// The parts that settings choose among.
#pragma once

#include <expected>
#include <memory>

#include "gateway/config/exit_code.h"
#include "gateway/config/settings.h"
#include "gateway/ecash/ecash_manager.h"
#include "gateway/metrics/metrics.h"
#include "gateway/storage/storage.h"
#include "gateway/wireguard/controller.h"
#include "lib/base/clock.h"
#include "lib/crypto/keys.h"

namespace lp::gateway::app {

/// Fails with configuration where a part cannot be made with these settings.
[[nodiscard]] std::expected<void, Refusal> check_parts(const Settings& settings);

/// Reads the keys that a real device is given. Whether there is a device does not matter here: the
/// controller waits for it.
[[nodiscard]] std::expected<std::unique_ptr<wireguard::Backend>, Refusal> make_backend(
    const Settings& settings);
/// The EcashManager, which fetches keys from the chain; not for mock e-cash. Fails with
/// configuration where the cached keys cannot be trusted.
[[nodiscard]] std::expected<std::unique_ptr<ecash::EcashManager>, Refusal> start_ecash(
    const Settings& settings, const crypto::Identity& gateway, const WallClock& clock,
    metrics::Metrics& metrics);
/// SQLite or PostgreSQL; on the latter other instances tell clients of this one's WireGuard key.
[[nodiscard]] std::expected<std::unique_ptr<storage::Storage>, Refusal> open_storage(
    const Settings& settings, const crypto::X25519Public& wireguard_public_key,
    bool commit_each_registration = false);

}  // namespace lp::gateway::app
