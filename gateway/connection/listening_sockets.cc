#include "gateway/connection/listening_sockets.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "gateway/connection/address.h"

namespace lp::gateway::connection {
namespace {

constexpr int backlog = 4096;
/// With port 0 and several addresses, the port that is free on the first may be taken on another.
constexpr int free_port_attempts = 16;

struct RawAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

RawAddress raw_address(const messages::SocketAddress& address) {
  RawAddress raw;
  if (const auto* ipv4 = std::get_if<messages::IpV4>(&address.ip)) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(address.port);
    std::memcpy(&in.sin_addr, ipv4->octets.data(), ipv4->octets.size());
    std::memcpy(&raw.storage, &in, sizeof in);
    raw.size = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(address.port);
    const auto& octets = std::get<messages::IpV6>(address.ip).octets;
    std::memcpy(&in.sin6_addr, octets.data(), octets.size());
    std::memcpy(&raw.storage, &in, sizeof in);
    raw.size = sizeof in;
  }
  return raw;
}

std::unexpected<ServerError> failure(const messages::SocketAddress& address, const char* what) {
  const int error = errno;
  return std::unexpected(ServerError{"cannot " + std::string(what) + " " +
                                         messages::to_string(address) + ": " +
                                         std::generic_category().message(error),
                                     error});
}

std::expected<ListeningSocket, ServerError> listen_at(const messages::SocketAddress& address,
                                                      bool ipv6_only) {
  const RawAddress raw = raw_address(address);
  UniqueFd fd(::socket(raw.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return failure(address, "open a socket for");

  // A restart must not wait for the connections of its predecessor. Not SO_REUSEPORT: two gateways
  // would share a port without anybody noticing.
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
    return failure(address, "set SO_REUSEADDR for");
  }
  if (raw.storage.ss_family == AF_INET6) {
    const int only = ipv6_only ? 1 : 0;
    if (::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0) {
      return failure(address, "set IPV6_V6ONLY for");
    }
  }
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&raw.storage), raw.size) != 0) {
    return failure(address, "bind");
  }
  if (::listen(fd.get(), backlog) != 0) return failure(address, "listen on");

  RawAddress bound;
  bound.size = sizeof bound.storage;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.size) != 0) {
    return failure(address, "read the address of");
  }
  // Not socket_address: an IPv4-mapped address that was asked for is shown as it was asked for.
  in_port_t port = 0;
  if (bound.storage.ss_family == AF_INET) {
    std::memcpy(&port,
                reinterpret_cast<const char*>(&bound.storage) + offsetof(sockaddr_in, sin_port),
                sizeof port);
  } else {
    std::memcpy(&port,
                reinterpret_cast<const char*>(&bound.storage) + offsetof(sockaddr_in6, sin6_port),
                sizeof port);
  }
  return ListeningSocket{std::move(fd), {address.ip, ntohs(port)}};
}

std::expected<std::vector<ListeningSocket>, ServerError> listen_at_all(
    const std::vector<messages::IpAddress>& ips, std::uint16_t port) {
  const bool any_ipv4 = std::ranges::any_of(
      ips, [](const auto& ip) { return std::holds_alternative<messages::IpV4>(ip); });
  std::vector<ListeningSocket> sockets;
  for (const messages::IpAddress& ip : ips) {
    auto socket = listen_at({ip, port}, any_ipv4);
    if (!socket) return std::unexpected(std::move(socket.error()));
    port = socket->address.port;  // the first one's, where it was free to choose
    sockets.push_back(std::move(*socket));
  }
  return sockets;
}

}  // namespace

std::expected<std::vector<ListeningSocket>, ServerError> listen_on(
    const std::vector<std::string>& addresses, std::uint16_t port) {
  std::vector<messages::IpAddress> ips;
  for (const std::string& text : addresses) {
    const auto ip = messages::ip_address_from_string(text);
    if (!ip) {
      return std::unexpected(
          ServerError{"cannot bind \"" + text + "\": not an IP address", EINVAL});
    }
    ips.push_back(*ip);
  }
  if (ips.empty()) return std::unexpected(ServerError{"there is no address to bind", EINVAL});

  for (int attempt = 1;; ++attempt) {
    auto sockets = listen_at_all(ips, port);
    const bool again = !sockets && port == 0 && sockets.error().error_number == EADDRINUSE;
    if (!again || attempt == free_port_attempts) return sockets;
  }
}

}  // namespace lp::gateway::connection
