// `lp-gateway keys`: the verification keys that a gateway knows, and the operator's word on those
// it refuses (docs/ecash.md, "Chain").
#pragma once

#include <string>
#include <vector>

#include "gateway/app/commands.h"
#include "gateway/app/configuration.h"
#include "gateway/ecash/ecash_manager.h"

namespace lp::gateway::app {

/// The control socket's answer to "keys" and "keys accept PREFIX". `manager` is null where the
/// gateway verifies nothing.
[[nodiscard]] std::string answer_keys(const std::vector<std::string>& words,
                                      ecash::EcashManager* manager);

/// Asks the gateway that runs; without one reads its cache.
[[nodiscard]] Outcome list_keys(const SettingsSource& source, bool json);

/// Accepts offered keys, named by the beginning of their base64: at the gateway that runs, else in
/// its cache.
[[nodiscard]] Outcome accept_keys(const SettingsSource& source,
                                  const std::vector<std::string>& prefixes);

}  // namespace lp::gateway::app
