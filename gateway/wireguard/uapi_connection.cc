#include "gateway/wireguard/uapi_connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

namespace lp::gateway::wireguard {
namespace {

constexpr std::size_t room_for_answer = 64 * 1024;

std::unexpected<WireguardError> failed(std::string detail) {
  return std::unexpected(
      WireguardError{.kind = WireguardError::Kind::unavailable, .detail = std::move(detail)});
}
std::unexpected<WireguardError> timed_out(std::string_view what) {
  return std::unexpected(
      WireguardError{.kind = WireguardError::Kind::timeout,
                     .detail = fmt::format("the device's socket hangs while {}", what)});
}

std::string cannot_connect(const std::filesystem::path& socket, int error) {
  std::string sentence =
      fmt::format("{} cannot be connected to: {}", socket.string(), std::strerror(error));
  if (error == ENOENT || error == ECONNREFUSED) {
    sentence += "; is the user-space WireGuard of this interface running?";
  } else if (error == EACCES) {
    sentence +=
        "; this user needs write permission on the socket and the right to pass its directory";
  }
  return sentence;
}

}  // namespace

UapiRequest::UapiRequest(std::string_view operation) : room_(text_.reset(capacity)) {
  append(operation);
  append("\n");
}

void UapiRequest::add(std::string_view key, std::string_view value) {
  append(key);
  append("=");
  append(value);
  append("\n");
}

void UapiRequest::add_hex(std::string_view key, std::span<const std::uint8_t, 32> value) {
  std::array<char, 65> hex{};
  ::sodium_bin2hex(hex.data(), hex.size(), value.data(), value.size());
  add(key, std::string_view(hex.data(), 64));
  ::sodium_memzero(hex.data(), hex.size());
}

ByteView UapiRequest::finish() {
  append("\n");
  return room_.first(size_);
}

void UapiRequest::append(std::string_view text) {
  if (text.size() > room_.size() - size_) return;
  std::memcpy(room_.data() + size_, text.data(), text.size());
  size_ += text.size();
}

UapiConnection::UapiConnection(IoDeadline deadline)
    : deadline_(deadline), room_(received_.reset(room_for_answer)) {}

UapiConnection::~UapiConnection() {
  if (fd_ >= 0) ::close(fd_);
}

WireguardResult<std::monostate> UapiConnection::open(const std::filesystem::path& socket) {
  ::sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = socket.string();
  if (path.size() >= sizeof(address.sun_path)) {
    return failed(fmt::format("{}: the path is too long for a socket", path));
  }
  std::memcpy(address.sun_path, path.data(), path.size());

  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return failed(fmt::format("no socket: {}", std::strerror(errno)));
  // Where nobody accepts and the queue is full, connect(2) waits as sending does; poll(2) tells
  // nothing about that queue.
  const auto left = deadline_.left();
  if (left.count() == 0) return timed_out("connecting");
  const ::timeval limit{.tv_sec = left.count() / 1'000'000, .tv_usec = left.count() % 1'000'000};
  (void)::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  int connected = 0;
  do {
    connected = ::connect(fd_, reinterpret_cast<const ::sockaddr*>(&address), sizeof(address));
  } while (connected != 0 && errno == EINTR && !deadline_.passed());
  if (connected == 0) return std::monostate{};
  if (errno == EAGAIN || errno == EINTR) return timed_out("connecting");
  return failed(cannot_connect(socket, errno));
}

WireguardResult<std::monostate> UapiConnection::send(ByteView request) {
  while (!request.empty()) {
    const auto sent = ::send(fd_, request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      request = request.subspan(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (auto ready = wait(POLLOUT); !ready) return ready;
    } else if (errno != EINTR) {
      return failed(fmt::format("the device's socket takes no request: {}", std::strerror(errno)));
    }
  }
  return std::monostate{};
}

WireguardResult<std::string_view> UapiConnection::read_line() {
  std::size_t searched = begin_;
  while (true) {
    const auto unsearched = room_.subspan(searched, end_ - searched);
    const void* newline =
        unsearched.empty() ? nullptr : std::memchr(unsearched.data(), '\n', unsearched.size());
    if (newline != nullptr) {
      const auto* text = room_.data() + begin_;
      const auto length =
          static_cast<std::size_t>(static_cast<const std::uint8_t*>(newline) - text);
      begin_ += length + 1;
      if (length > max_line) break;
      return std::string_view(reinterpret_cast<const char*>(text), length);
    }
    if (end_ - begin_ > max_line) break;
    // The line goes on: to the front with it, so that there is always room for the rest.
    std::memmove(room_.data(), room_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    searched = end_;
    if (auto received = receive(); !received) return std::unexpected(received.error());
  }
  return failed(fmt::format("the device's answer has a line of over {} bytes", max_line));
}

WireguardResult<std::monostate> UapiConnection::receive() {
  while (true) {
    // Also where data is there all the time: a stream without an end is no answer.
    if (deadline_.passed()) return timed_out("answering");
    const auto got = ::recv(fd_, room_.data() + end_, room_.size() - end_, MSG_DONTWAIT);
    if (got > 0) {
      end_ += static_cast<std::size_t>(got);
      return std::monostate{};
    }
    if (got == 0) return failed("the device's socket was closed in the middle of an answer");
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (auto ready = wait(POLLIN); !ready) return ready;
    } else if (errno != EINTR) {
      return failed(fmt::format("the device's answer cannot be read: {}", std::strerror(errno)));
    }
  }
}

WireguardResult<std::monostate> UapiConnection::wait(short events) {
  while (true) {
    ::pollfd waiting{.fd = fd_, .events = events, .revents = 0};
    const int ready = ::poll(&waiting, 1, deadline_.poll_timeout());
    if (ready > 0) return std::monostate{};
    if (ready == 0) return timed_out(events == POLLIN ? "answering" : "taking a request");
    if (errno != EINTR) return failed(fmt::format("poll: {}", std::strerror(errno)));
  }
}

}  // namespace lp::gateway::wireguard
