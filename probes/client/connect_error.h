// How a failed connect is reported.
#pragma once

#include "probes/client/socket.h"
#include "probes/errors.h"

namespace lp::probe::client {

/// Stage connect; the detail names the address.
[[nodiscard]] ProbeError connect_error(const Endpoint& to, const ConnectFailure& failure);

}  // namespace lp::probe::client
