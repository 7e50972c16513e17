// The kernel's netlink as the netlink backend needs it: datagrams and the index of an interface.
// An interface, so that a test can be the kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>

#include "gateway/wireguard/io_deadline.h"
#include "lib/base/bytes.h"

namespace lp::gateway::wireguard {

/// A socket of NETLINK_GENERIC. Errors are errno.
class NetlinkSocket {
 public:
  virtual ~NetlinkSocket() = default;
  [[nodiscard]] virtual std::expected<void, int> send(ByteView datagram) = 0;
  /// Waits for one datagram from the kernel and returns its size. ETIMEDOUT at the deadline,
  /// EMSGSIZE where it does not fit into `into`.
  [[nodiscard]] virtual std::expected<std::size_t, int> receive(MutableByteView into,
                                                                IoDeadline deadline) = 0;
};

class Netlink {
 public:
  virtual ~Netlink() = default;
  [[nodiscard]] virtual std::expected<std::unique_ptr<NetlinkSocket>, int> open() = 0;
  /// 0 where there is no such interface.
  [[nodiscard]] virtual std::uint32_t interface_index(const std::string& name) = 0;
};

/// The kernel that runs, in the network namespace of this process.
[[nodiscard]] std::unique_ptr<Netlink> make_kernel_netlink();

}  // namespace lp::gateway::wireguard
