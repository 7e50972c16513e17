// Whether an address is of this machine's own loopback.
#pragma once

#include "lib/messages/registration.h"

namespace lp::issuer {

/// 127.0.0.0/8, ::1, and 127.0.0.0/8 mapped into IPv6.
[[nodiscard]] bool is_loopback(const messages::IpAddress& address) noexcept;

}  // namespace lp::issuer
