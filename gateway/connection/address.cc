#include "gateway/connection/address.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace lp::gateway::connection {
namespace {

constexpr std::array<std::uint8_t, 12> ipv4_mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

messages::SocketAddress socket_address(const sockaddr_storage& address) noexcept {
  if (address.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &address, sizeof in);
    messages::IpV4 ip;
    std::memcpy(ip.octets.data(), &in.sin_addr, ip.octets.size());
    return {ip, ntohs(in.sin_port)};
  }
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, &address, sizeof in);
    messages::IpV6 ip;
    std::memcpy(ip.octets.data(), &in.sin6_addr, ip.octets.size());
    if (std::equal(ipv4_mapped_prefix.begin(), ipv4_mapped_prefix.end(), ip.octets.begin())) {
      const ByteView mapped = ByteView(ip.octets).subspan(ipv4_mapped_prefix.size());
      return {messages::IpV4{to_array<4>(mapped)}, ntohs(in.sin6_port)};
    }
    return {ip, ntohs(in.sin6_port)};
  }
  return {};
}

AddressBlock block_of(const messages::IpAddress& address) noexcept {
  if (const auto* ipv4 = std::get_if<messages::IpV4>(&address)) {
    return {load_be<std::uint32_t>(ipv4->octets.data()), false};
  }
  return {load_be<std::uint64_t>(std::get<messages::IpV6>(address).octets.data()), true};
}

}  // namespace lp::gateway::connection
