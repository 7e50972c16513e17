// A UDP socket that talks to one address.
#pragma once

#include <expected>
#include <optional>

#include "probes/client/socket.h"

namespace lp::probe::tunnel {

/// Why nothing was sent or received: a timeout, a cancellation, or errno.
struct UdpFailure {
  client::Wait wait = client::Wait::failed;
  int error = 0;
  bool at_bind = false;  ///< the source address was refused
};

class UdpSocket {
 public:
  /// Connected, so that the kernel drops what comes from elsewhere and reports a port where nobody
  /// listens as ECONNREFUSED. `source` of another family than `to` is not used.
  [[nodiscard]] static std::expected<UdpSocket, UdpFailure> connect(
      const client::Endpoint& to, const std::optional<client::Endpoint>& source, int cancel_fd);

  /// The whole datagram, waiting for room until the deadline.
  [[nodiscard]] std::expected<void, UdpFailure> send(ByteView datagram, MonotonicTime deadline);
  /// The next datagram, which is good until the next call. One that waits already is returned past
  /// the deadline, too: who loops looks at the clock, or a flood holds it up.
  [[nodiscard]] std::expected<ByteView, UdpFailure> receive(MonotonicTime deadline);

  [[nodiscard]] client::Endpoint local() const;

 private:
  UdpSocket(client::Descriptor fd, int cancel_fd);

  client::Descriptor fd_;
  int cancel_fd_;
  Bytes buffer_;
};

}  // namespace lp::probe::tunnel
