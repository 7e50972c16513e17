// `lp-issuer run`.
#pragma once

#include "tools/issuer/commands.h"
#include "tools/issuer/options.h"

namespace lp::issuer {

/// Serves until SIGTERM or SIGINT. Blocks these signals, in this thread and all that it starts.
[[nodiscard]] Outcome run(const Options& options);

}  // namespace lp::issuer
