#include "probes/client/socket.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>

namespace lp::probe::client {
namespace {

// The address types of sockets overlay each other; copying keeps the aliasing rules.
template <typename T>
T as(const sockaddr_storage& storage) noexcept {
  T address;
  std::memcpy(&address, &storage, sizeof address);
  return address;
}

std::optional<std::uint32_t> zone_index(const std::string& zone) {
  if (const unsigned index = if_nametoindex(zone.c_str()); index != 0) return index;
  std::uint32_t number = 0;
  const char* end = zone.data() + zone.size();
  const auto [stop, error] = std::from_chars(zone.data(), end, number);
  if (error != std::errc{} || stop != end || number == 0) return std::nullopt;
  return number;
}

}  // namespace

Endpoint::Endpoint(const sockaddr* address, socklen_t size) noexcept {
  const bool known = (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) ||
                     (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6));
  if (!known) return;
  size_ = address->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  std::memcpy(&storage_, address, size_);
}

Endpoint::Endpoint(const messages::SocketAddress& address) noexcept {
  if (const auto* v4 = std::get_if<messages::IpV4>(&address.ip)) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    std::memcpy(&in.sin_addr, v4->octets.data(), v4->octets.size());
    std::memcpy(&storage_, &in, sizeof in);
    size_ = sizeof in;
  } else {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    const auto& octets = std::get<messages::IpV6>(address.ip).octets;
    std::memcpy(&in6.sin6_addr, octets.data(), octets.size());
    std::memcpy(&storage_, &in6, sizeof in6);
    size_ = sizeof in6;
  }
  set_port(address.port);
}

std::optional<Endpoint> Endpoint::from_literal(std::string_view host, std::uint16_t port) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  std::string text(host);
  sockaddr_in in{};
  if (inet_pton(AF_INET, text.c_str(), &in.sin_addr) == 1) {
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    return Endpoint(reinterpret_cast<const sockaddr*>(&in), sizeof in);
  }
  sockaddr_in6 in6{};
  if (const auto percent = text.find('%'); percent != std::string::npos) {
    const auto index = zone_index(text.substr(percent + 1));
    if (!index) return std::nullopt;
    in6.sin6_scope_id = *index;
    text.resize(percent);
  }
  if (inet_pton(AF_INET6, text.c_str(), &in6.sin6_addr) != 1) return std::nullopt;
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(port);
  return Endpoint(reinterpret_cast<const sockaddr*>(&in6), sizeof in6);
}

std::uint16_t Endpoint::port() const noexcept {
  return ntohs(family() == AF_INET6 ? as<sockaddr_in6>(storage_).sin6_port
                                    : as<sockaddr_in>(storage_).sin_port);
}

void Endpoint::set_port(std::uint16_t port) noexcept {
  const in_port_t order = htons(port);
  const std::size_t offset =
      family() == AF_INET6 ? offsetof(sockaddr_in6, sin6_port) : offsetof(sockaddr_in, sin_port);
  std::memcpy(reinterpret_cast<char*>(&storage_) + offset, &order, sizeof order);
}

const sockaddr* Endpoint::address() const noexcept {
  return reinterpret_cast<const sockaddr*>(&storage_);
}

messages::IpAddress Endpoint::ip() const noexcept {
  if (family() == AF_INET6) {
    const auto in6 = as<sockaddr_in6>(storage_);
    messages::IpV6 v6;
    std::memcpy(v6.octets.data(), &in6.sin6_addr, v6.octets.size());
    if (!IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) return v6;
    messages::IpV4 mapped;
    std::memcpy(mapped.octets.data(), v6.octets.data() + 12, mapped.octets.size());
    return mapped;
  }
  const auto in = as<sockaddr_in>(storage_);
  messages::IpV4 v4;
  std::memcpy(v4.octets.data(), &in.sin_addr, v4.octets.size());
  return v4;
}

std::string Endpoint::host() const {
  if (!valid()) return "-";
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == AF_INET) {
    const auto in = as<sockaddr_in>(storage_);
    return inet_ntop(AF_INET, &in.sin_addr, text.data(), text.size());
  }
  const auto in6 = as<sockaddr_in6>(storage_);
  std::string host = inet_ntop(AF_INET6, &in6.sin6_addr, text.data(), text.size());
  if (in6.sin6_scope_id != 0) host += '%' + std::to_string(in6.sin6_scope_id);
  return host;
}

std::string Endpoint::to_string() const {
  if (!valid()) return "-";
  const std::string port_text = ":" + std::to_string(port());
  return family() == AF_INET ? host() + port_text : "[" + host() + "]" + port_text;
}

Wait wait_for(int fd, short events, MonotonicTime deadline, int cancel_fd) noexcept {
  std::array<pollfd, 2> fds{pollfd{fd, events, 0}, pollfd{cancel_fd, POLLIN, 0}};
  while (true) {
    const auto now = std::chrono::steady_clock::now();
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(
        deadline > now ? deadline - now : MonotonicTime::duration::zero());
    const timespec timeout{static_cast<time_t>(left.count() / 1'000'000'000),
                           static_cast<long>(left.count() % 1'000'000'000)};
    const int n = ppoll(fds.data(), cancel_fd >= 0 ? 2 : 1, &timeout, nullptr);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Wait::failed;
    if (n == 0) return Wait::timeout;
    if (fds[1].revents != 0) return Wait::cancelled;
    return Wait::ready;
  }
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

int Descriptor::release() noexcept {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

void Descriptor::reset() noexcept {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

std::expected<Descriptor, ConnectFailure> start_tcp(
    const Endpoint& to, const std::optional<Endpoint>& source) noexcept {
  const auto failure = [](bool at_bind = false) {
    return std::unexpected(ConnectFailure{Wait::failed, errno, at_bind});
  };
  Descriptor fd(socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return failure();
  // One write per flight: Nagle's algorithm could only delay it.
  const int on = 1;
  if (setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) return failure();
  if (source && source->family() == to.family()) {
    // The port is chosen at connect, where one that leads to another address may be used again.
    // Without the option (Linux before 4.2) there are fewer of them, and nothing else is different.
    (void)setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd.get(), source->address(), source->size()) != 0) return failure(true);
  }
  if (connect(fd.get(), to.address(), to.size()) != 0 && errno != EINPROGRESS) return failure();
  return fd;
}

std::expected<void, ConnectFailure> finish_tcp(const Descriptor& socket) noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return std::unexpected(ConnectFailure{Wait::failed, error});
  return {};
}

std::expected<Descriptor, ConnectFailure> connect_tcp(const Endpoint& to,
                                                      const std::optional<Endpoint>& source,
                                                      MonotonicTime deadline,
                                                      int cancel_fd) noexcept {
  auto fd = start_tcp(to, source);
  if (!fd) return fd;
  const Wait wait = wait_for(fd->get(), POLLOUT, deadline, cancel_fd);
  if (wait != Wait::ready) {
    return std::unexpected(ConnectFailure{wait, wait == Wait::failed ? errno : 0});
  }
  if (const auto connected = finish_tcp(*fd); !connected) {
    return std::unexpected(connected.error());
  }
  return fd;
}

std::string errno_text(int error) {
  return std::generic_category().message(error);
}

}  // namespace lp::probe::client
