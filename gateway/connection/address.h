// Socket addresses as limits, records and logs see them.
#pragma once

#include <sys/socket.h>

#include <cstdint>

#include "lib/messages/registration.h"

namespace lp::gateway::connection {

/// The IP address and port of an AF_INET or AF_INET6 address; of any other family 0.0.0.0:0. An
/// IPv4-mapped IPv6 address, which a dual-stack socket shows for IPv4 peers, is the IPv4 address.
[[nodiscard]] messages::SocketAddress socket_address(const sockaddr_storage& address) noexcept;

/// What the per-address limit counts by: an IPv4 address, or the /64 of an IPv6 address, which is
/// the least that one subscriber has.
struct AddressBlock {
  std::uint64_t prefix = 0;
  bool ipv6 = false;
  friend bool operator==(const AddressBlock&, const AddressBlock&) = default;
};
[[nodiscard]] AddressBlock block_of(const messages::IpAddress& address) noexcept;

}  // namespace lp::gateway::connection
