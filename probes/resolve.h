// Stage resolve: a host name becomes addresses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "probes/client/socket.h"
#include "probes/errors.h"

namespace lp::probe {

enum class Family : std::uint8_t { any, ipv4, ipv6 };

/// The host's addresses of that family with this port, in the system's order of preference
/// (getaddrinfo(3)), at least one. A literal address is not looked up. A name is looked up by a
/// thread of its own; past the deadline that thread is left to its end, which the resolver's own
/// limits bring. Errors: dns_not_found, dns_failed, dns_timeout, no_address_of_family, interrupted.
[[nodiscard]] Outcome<std::vector<client::Endpoint>> resolve(const std::string& host,
                                                             std::uint16_t port, Family family,
                                                             MonotonicTime deadline, int cancel_fd);

}  // namespace lp::probe
