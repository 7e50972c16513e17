// The little of sockets that the client needs: addresses, non-blocking TCP, waiting with a
// deadline.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/messages/registration.h"

namespace lp::probe::client {

/// An IPv4 or IPv6 address with its port; IPv6 keeps its zone.
class Endpoint {
 public:
  Endpoint() noexcept = default;
  /// Copies a sockaddr_in or sockaddr_in6; anything else gives an endpoint that is not valid.
  Endpoint(const sockaddr* address, socklen_t size) noexcept;
  explicit Endpoint(const messages::SocketAddress& address) noexcept;
  /// A literal address, IPv6 with or without brackets and with an optional zone.
  [[nodiscard]] static std::optional<Endpoint> from_literal(std::string_view host,
                                                            std::uint16_t port);

  [[nodiscard]] bool valid() const noexcept { return size_ != 0; }
  [[nodiscard]] int family() const noexcept { return storage_.ss_family; }
  [[nodiscard]] std::uint16_t port() const noexcept;
  void set_port(std::uint16_t port) noexcept;
  [[nodiscard]] const sockaddr* address() const noexcept;
  [[nodiscard]] socklen_t size() const noexcept { return size_; }
  /// Without the zone; an IPv4-mapped IPv6 address is its IPv4 address.
  [[nodiscard]] messages::IpAddress ip() const noexcept;
  /// "192.0.2.1:41264", "[2001:db8::1]:41264".
  [[nodiscard]] std::string to_string() const;
  /// The same without port and brackets.
  [[nodiscard]] std::string host() const;

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

/// What a wait ended with.
enum class Wait : std::uint8_t { ready, timeout, cancelled, failed };

/// Waits until `fd` has one of `events` (poll(2)), `cancel_fd` is readable (-1: none), or the
/// deadline has come. Cancellation wins.
[[nodiscard]] Wait wait_for(int fd, short events, MonotonicTime deadline, int cancel_fd) noexcept;

/// A file descriptor that closes itself. Move-only.
class Descriptor {
 public:
  Descriptor() noexcept = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }
  int release() noexcept;
  void reset() noexcept;

 private:
  int fd_ = -1;
};

/// Why there is no connection: a timeout, a cancellation, or errno of the step that failed.
struct ConnectFailure {
  Wait wait = Wait::failed;
  int error = 0;
  bool at_bind = false;  ///< the source address was refused
};

/// A non-blocking TCP socket with TCP_NODELAY whose connection is under way: it is writable once
/// that has succeeded or failed. `source` of another family than `to` is not used.
[[nodiscard]] std::expected<Descriptor, ConnectFailure> start_tcp(
    const Endpoint& to, const std::optional<Endpoint>& source) noexcept;
/// What became of it, once it is writable.
[[nodiscard]] std::expected<void, ConnectFailure> finish_tcp(const Descriptor& socket) noexcept;

/// A connected, non-blocking TCP socket with TCP_NODELAY. `source` of another family than `to` is
/// not used.
[[nodiscard]] std::expected<Descriptor, ConnectFailure> connect_tcp(
    const Endpoint& to, const std::optional<Endpoint>& source, MonotonicTime deadline,
    int cancel_fd) noexcept;

/// The text of an errno.
[[nodiscard]] std::string errno_text(int error);

}  // namespace lp::probe::client
