// lp-probe wallet list | withdraw | export (lp-probe(1), "WALLET").
#pragma once

#include <cstdio>

#include "probes/options/settings.h"

namespace lp::probe::wallet {

/// Carries out `settings.wallet_command`, which is there. The result goes to `out`, as text or,
/// with
/// --format json, as JSON; trouble to the log with its code and hint. Returns the exit status.
[[nodiscard]] int run_command(const options::Settings& settings, std::FILE* out, int cancel_fd);

}  // namespace lp::probe::wallet
