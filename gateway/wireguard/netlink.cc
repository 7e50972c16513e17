#include "gateway/wireguard/netlink.h"

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace lp::gateway::wireguard {
namespace {

class KernelSocket final : public NetlinkSocket {
 public:
  explicit KernelSocket(::mnl_socket* socket) : socket_(socket) {}
  ~KernelSocket() override { ::mnl_socket_close(socket_); }
  KernelSocket(const KernelSocket&) = delete;
  KernelSocket& operator=(const KernelSocket&) = delete;

  std::expected<void, int> send(ByteView datagram) override {
    if (::mnl_socket_sendto(socket_, datagram.data(), datagram.size()) >= 0) return {};
    return std::unexpected(errno);
  }

  std::expected<std::size_t, int> receive(MutableByteView into, IoDeadline deadline) override {
    while (true) {
      if (deadline.passed()) return std::unexpected(ETIMEDOUT);
      ::sockaddr_nl sender{};
      ::iovec part{.iov_base = into.data(), .iov_len = into.size()};
      ::msghdr message{};
      message.msg_name = &sender;
      message.msg_namelen = sizeof(sender);
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      const auto got = ::recvmsg(::mnl_socket_get_fd(socket_), &message, MSG_DONTWAIT);
      if (got >= 0) {
        if (message.msg_namelen != sizeof(sender) || sender.nl_pid != 0)
          continue;  // another process
        if ((message.msg_flags & MSG_TRUNC) != 0) return std::unexpected(EMSGSIZE);
        return static_cast<std::size_t>(got);
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        ::pollfd waiting{.fd = ::mnl_socket_get_fd(socket_), .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, deadline.poll_timeout()) < 0 && errno != EINTR) {
          return std::unexpected(errno);
        }
      } else if (errno != EINTR) {
        return std::unexpected(errno);
      }
    }
  }

 private:
  ::mnl_socket* const socket_;
};

class KernelNetlink final : public Netlink {
 public:
  std::expected<std::unique_ptr<NetlinkSocket>, int> open() override {
    ::mnl_socket* const opened = ::mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (opened == nullptr) return std::unexpected(errno);
    auto socket = std::make_unique<KernelSocket>(opened);
    if (::mnl_socket_bind(opened, 0, MNL_SOCKET_AUTOPID) != 0) return std::unexpected(errno);
    return socket;
  }

  std::uint32_t interface_index(const std::string& name) override {
    return ::if_nametoindex(name.c_str());
  }
};

}  // namespace

std::unique_ptr<Netlink> make_kernel_netlink() {
  return std::make_unique<KernelNetlink>();
}

}  // namespace lp::gateway::wireguard
