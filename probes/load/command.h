// lp-probe load (lp-probe(1), "LOAD").
#pragma once

#include <cstdio>

#include "lib/messages/registration.h"
#include "probes/options/settings.h"

namespace lp::probe::load {

/// True for loopback, private, shared, link-local and unique-local addresses: what load may be put
/// on without being asked twice.
[[nodiscard]] bool is_own_network(const messages::IpAddress& address) noexcept;

/// Carries out the run that `settings` describe, whose one target or --gateway-ip is there. The
/// result goes to `out`, trouble and, on a terminal, progress to standard error. Returns the exit
/// status.
[[nodiscard]] int run_command(const options::Settings& settings, std::FILE* out, int cancel_fd);

}  // namespace lp::probe::load
