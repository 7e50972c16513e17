// `lp-gateway run`.
#pragma once

#include "gateway/app/commands.h"
#include "gateway/app/configuration.h"
#include "gateway/app/gateway.h"

namespace lp::gateway::app {

/// Serves until SIGTERM or SIGINT. Blocks the signals it waits for, in this thread and all that it
/// starts.
[[nodiscard]] Outcome run(SettingsSource source, bool ephemeral, const Overrides& overrides);

}  // namespace lp::gateway::app
