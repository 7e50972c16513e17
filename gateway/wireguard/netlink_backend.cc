#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "gateway/wireguard/device.h"
#include "gateway/wireguard/device_backend.h"
#include "gateway/wireguard/netlink.h"
#include "gateway/wireguard/netlink_messages.h"

namespace lp::gateway::wireguard {
namespace {

using Kind = WireguardError::Kind;

/// The kernel's dumps come in datagrams of at most 32 KiB.
constexpr std::size_t datagram_room = 64 * 1024;
constexpr int retry_pause_ms = 10;
/// In place of the ENOENT that a family that is not there gives.
constexpr int no_wireguard = EPROTONOSUPPORT;

/// errno, and no more: what it means depends on the request.
template <typename T>
using KernelResult = std::expected<T, int>;

/// Another dump in progress, a device that changed under the dump, a receive buffer that
/// overflowed: the next attempt may fare better.
bool is_passing(int error) {
  return error == EBUSY || error == EINTR || error == ENOBUFS || error == EAGAIN;
}

/// Requests and their answers on one socket. After any failure it is done with: the rest of an
/// answer may be on its way.
class Conversation {
 public:
  Conversation(std::unique_ptr<NetlinkSocket> socket, MutableByteView room)
      : socket_(std::move(socket)), room_(room) {}

  struct Expected {
    std::uint32_t sequence = 0;
    std::uint16_t type = 0;  ///< of the messages that are not control messages
    bool dump = false;
  };
  using OnMessage = std::function<bool(const ::nlmsghdr&)>;

  /// Sends `request` and reads the answer up to its end: the acknowledgement, or the end of a dump.
  /// EPROTO for an answer that makes no sense, also where `on_message` says so; EINTR for a dump
  /// that is inconsistent.
  KernelResult<void> exchange(const NetlinkRequest& request, const Expected& expected,
                              const OnMessage& on_message, IoDeadline deadline) {
    if (auto sent = socket_->send(request.bytes()); !sent) return sent;
    bool interrupted = false;
    while (true) {
      const auto size = socket_->receive(room_, deadline);
      if (!size) return std::unexpected(size.error());
      const auto* message = reinterpret_cast<const ::nlmsghdr*>(room_.data());
      int left = static_cast<int>(*size);
      for (; ::mnl_nlmsg_ok(message, left); message = ::mnl_nlmsg_next(message, &left)) {
        if (message->nlmsg_seq != expected.sequence) continue;  // of a request before this one
        if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
        if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
          const int error = error_of(*message);
          if (error != 0) return std::unexpected(error);
          if (expected.dump != (message->nlmsg_type == NLMSG_DONE)) return std::unexpected(EPROTO);
          if (interrupted) return std::unexpected(EINTR);
          return {};
        }
        if (message->nlmsg_type == NLMSG_OVERRUN) return std::unexpected(ENOBUFS);
        if (message->nlmsg_type == expected.type && !on_message(*message))
          return std::unexpected(EPROTO);
      }
      if (left > 0) return std::unexpected(EPROTO);  // a message is cut off
    }
  }

 private:
  /// NLMSG_ERROR and NLMSG_DONE begin with a negative errno, or 0.
  static int error_of(const ::nlmsghdr& message) {
    int error = 0;
    if (::mnl_nlmsg_get_payload_len(&message) < sizeof(error)) return EPROTO;
    std::memcpy(&error, ::mnl_nlmsg_get_payload(&message), sizeof(error));
    return error > 0 ? EPROTO : -error;
  }

  const std::unique_ptr<NetlinkSocket> socket_;
  const MutableByteView room_;
};

class NetlinkDevice final : public Device {
 public:
  NetlinkDevice(SharedConfig config, std::unique_ptr<Netlink> netlink)
      : config_(std::move(config)),
        netlink_(std::move(netlink)),
        room_(received_.reset(datagram_room)) {}

  WireguardResult<DeviceListing> read(IoDeadline deadline) override {
    DeviceListing listing;
    const auto done = retry(deadline, [&]() -> KernelResult<void> {
      ListingBuilder builder(config_->preshared_key);
      const auto sequence = ++sequence_;
      auto dumped = conversation_->exchange(
          NetlinkRequest::dump(family_, sequence, config_->interface),
          {.sequence = sequence, .type = family_, .dump = true},
          [&](const ::nlmsghdr& message) { return parse_device(message, builder); }, deadline);
      if (dumped) listing = builder.take();
      return dumped;
    });
    if (!done) return std::unexpected(explain(done.error(), "read"));
    return listing;
  }

  WireguardResult<std::monostate> configure(IoDeadline deadline) override {
    const auto done = retry(deadline, [&] {
      return set(NetlinkRequest::configure(family_, ++sequence_, *config_), deadline);
    });
    if (done) return std::monostate{};
    return std::unexpected(explain(
        done.error(), fmt::format("given its key and listen port {}", config_->listen_port)));
  }

  WireguardResult<std::monostate> set_peer(const PeerConfig& peer, IoDeadline deadline) override {
    const auto done = retry(deadline, [&] {
      return set(NetlinkRequest::set_peer(family_, ++sequence_, *config_, peer), deadline);
    });
    if (done) return std::monostate{};
    return std::unexpected(explain_peer(done.error(), "given a peer"));
  }

  WireguardResult<std::monostate> remove_peer(const crypto::X25519Public& key,
                                              IoDeadline deadline) override {
    const auto done = retry(deadline, [&] {
      return set(NetlinkRequest::remove_peer(family_, ++sequence_, config_->interface, key),
                 deadline);
    });
    if (done) return std::monostate{};
    return std::unexpected(explain_peer(done.error(), "freed of a peer"));
  }

  std::optional<DeviceLife> life() override {
    const auto index = netlink_->interface_index(config_->interface);
    if (index == 0) return std::nullopt;
    return DeviceLife{index, 0, 0};
  }

 private:
  /// Runs `attempt` on an open socket with the family's number known, and again while what stands
  /// in its way passes.
  template <typename Attempt>
  KernelResult<void> retry(IoDeadline deadline, Attempt attempt) {
    while (true) {
      auto done = open(deadline);
      if (done) done = attempt();
      if (done) return done;
      conversation_.reset();
      if (!is_passing(done.error()) || deadline.passed()) return done;
      (void)::poll(nullptr, 0, std::min(retry_pause_ms, deadline.poll_timeout()));
    }
  }

  /// The family's number is asked for with every new socket: a module loaded again has another.
  KernelResult<void> open(IoDeadline deadline) {
    if (conversation_) return {};
    auto socket = netlink_->open();
    if (!socket) return std::unexpected(socket.error());
    conversation_.emplace(std::move(*socket), room_);
    std::optional<std::uint16_t> family;
    const auto sequence = ++sequence_;
    auto asked = conversation_->exchange(
        NetlinkRequest::resolve_family(sequence), {.sequence = sequence, .type = GENL_ID_CTRL},
        [&family](const ::nlmsghdr& message) {
          family = parse_family(message);
          return family.has_value();
        },
        deadline);
    if (asked && family) {
      family_ = *family;
      return {};
    }
    const int error = asked ? EPROTO : asked.error();
    return std::unexpected(error == ENOENT ? no_wireguard : error);
  }

  KernelResult<void> set(const NetlinkRequest& request, IoDeadline deadline) {
    return conversation_->exchange(
        request, {.sequence = sequence_, .type = family_}, [](const ::nlmsghdr&) { return true; },
        deadline);
  }

  static WireguardError explain_peer(int error, std::string_view aim) {
    auto explained = explain(error, aim);
    if (is_about_peer(error)) explained.kind = Kind::refused;
    return explained;
  }

  static WireguardError explain(int error, std::string_view aim) {
    const auto unavailable = [](std::string detail) {
      return WireguardError{.kind = Kind::unavailable, .detail = std::move(detail)};
    };
    switch (error) {
      case no_wireguard:
        return unavailable("the kernel has no WireGuard: load its module with modprobe wireguard");
      case ENODEV:
        return unavailable("there is no such interface in this network namespace");
      case EOPNOTSUPP:
        return unavailable("it is no WireGuard interface of the kernel");
      case EPERM:
      case EACCES:
        return unavailable(
            fmt::format("it cannot be {}: lp-gateway needs the capability CAP_NET_ADMIN", aim));
      case ETIMEDOUT:
        return {.kind = Kind::timeout, .detail = "the kernel does not answer"};
      case EPROTO:
      case EMSGSIZE:
        return unavailable("the kernel's answer makes no sense");
      default:
        break;
    }
    return unavailable(fmt::format("it cannot be {}: {}", aim, std::strerror(error)));
  }

  const SharedConfig config_;
  const std::unique_ptr<Netlink> netlink_;
  SecretBuffer received_;
  const MutableByteView room_;
  std::optional<Conversation> conversation_;
  std::uint16_t family_ = 0;
  std::uint32_t sequence_ = 0;
};

}  // namespace

std::unique_ptr<Backend> make_netlink_backend(DeviceConfig config, NetlinkOptions options) {
  return make_netlink_backend(std::move(config), make_kernel_netlink(), options);
}

std::unique_ptr<Backend> make_netlink_backend(DeviceConfig config, std::unique_ptr<Netlink> netlink,
                                              NetlinkOptions options) {
  auto shared = share(std::move(config));
  return make_device_backend(std::make_unique<NetlinkDevice>(shared, std::move(netlink)), shared,
                             options.deadline);
}

}  // namespace lp::gateway::wireguard
