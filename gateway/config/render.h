// Settings written out.
#pragma once

#include <string>

#include "gateway/config/layers.h"

namespace lp::gateway::config {

/// The file `init` writes: every setting with its explanation, commented out at its default, except
/// for those in `chosen`, which are set.
[[nodiscard]] std::string commented_file(const Layer& chosen, const Settings& settings);

/// What `check-config` prints: the file that would give these settings, each with its origin.
/// Secrets are redacted.
[[nodiscard]] std::string effective_file(const Resolved& resolved);

}  // namespace lp::gateway::config
