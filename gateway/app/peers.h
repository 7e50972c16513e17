// `lp-gateway peers`: the WireGuard clients of the gateway that runs.
#pragma once

#include <cstdint>
#include <string>

#include "gateway/app/commands.h"
#include "gateway/app/configuration.h"

namespace lp::gateway::app {

/// At most `limit` peers in the order of their registration; 0: all.
[[nodiscard]] Outcome list_peers(const SettingsSource& source, bool json, std::uint32_t limit);
/// One peer, with what its device says of it. `key` is base64.
[[nodiscard]] Outcome show_peer(const SettingsSource& source, bool json, const std::string& key);
/// Client, addresses and bandwidth go, and the peer leaves WireGuard; its tickets stay spent.
[[nodiscard]] Outcome remove_peer(const SettingsSource& source, bool json, const std::string& key);

}  // namespace lp::gateway::app
