#include "probes/tunnel/udp_socket.h"

#include <poll.h>

#include <cerrno>
#include <utility>

namespace lp::probe::tunnel {
namespace {

using client::Wait;

constexpr std::size_t max_datagram = 65'535;

std::unexpected<UdpFailure> failed(int error, bool at_bind = false) {
  return std::unexpected(UdpFailure{Wait::failed, error, at_bind});
}

bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

}  // namespace

UdpSocket::UdpSocket(client::Descriptor fd, int cancel_fd)
    : fd_(std::move(fd)), cancel_fd_(cancel_fd), buffer_(max_datagram) {}

std::expected<UdpSocket, UdpFailure> UdpSocket::connect(
    const client::Endpoint& to, const std::optional<client::Endpoint>& source, int cancel_fd) {
  client::Descriptor fd(socket(to.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return failed(errno);
  if (source && source->family() == to.family() &&
      bind(fd.get(), source->address(), source->size()) != 0) {
    return failed(errno, true);
  }
  if (::connect(fd.get(), to.address(), to.size()) != 0) return failed(errno);
  return UdpSocket(std::move(fd), cancel_fd);
}

std::expected<void, UdpFailure> UdpSocket::send(ByteView datagram, MonotonicTime deadline) {
  while (true) {
    // One datagram is sent whole or not at all.
    if (::send(fd_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL) >= 0) return {};
    if (errno == EINTR) continue;
    if (!would_block(errno)) return failed(errno);
    const Wait wait = client::wait_for(fd_.get(), POLLOUT, deadline, cancel_fd_);
    if (wait != Wait::ready) return std::unexpected(UdpFailure{wait, errno});
  }
}

std::expected<ByteView, UdpFailure> UdpSocket::receive(MonotonicTime deadline) {
  while (true) {
    const Wait wait = client::wait_for(fd_.get(), POLLIN, deadline, cancel_fd_);
    if (wait != Wait::ready) return std::unexpected(UdpFailure{wait, errno});
    const auto size = recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (size >= 0) return ByteView(buffer_).first(static_cast<std::size_t>(size));
    if (!would_block(errno) && errno != EINTR) return failed(errno);
    if (std::chrono::steady_clock::now() >= deadline) {
      return std::unexpected(UdpFailure{Wait::timeout, 0});
    }
  }
}

client::Endpoint UdpSocket::local() const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  return {reinterpret_cast<const sockaddr*>(&address), size};
}

}  // namespace lp::probe::tunnel
