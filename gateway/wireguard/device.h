// One real WireGuard device: what the gateway gives it, and the backends that do (docs/gateway.md,
// "WireGuard").
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "gateway/wireguard/controller.h"
#include "lib/base/secret.h"
#include "lib/crypto/keys.h"

namespace lp::gateway::wireguard {

using PresharedKey = Secret<32>;

struct DeviceConfig {
  std::string interface;  ///< 1 to 15 characters, no slash
  crypto::X25519Secret private_key;
  std::uint16_t listen_port = 0;                ///< UDP, not 0
  std::optional<PresharedKey> preshared_key{};  ///< of every peer; not all zero
};

/// Of one operation with the device: below the controller's, so that an operation ends by itself.
inline constexpr std::chrono::milliseconds device_deadline{1'800};

struct UapiOptions {
  std::filesystem::path directory{"/var/run/wireguard"};  ///< of the socket <interface>.sock
  std::chrono::milliseconds deadline = device_deadline;
};
/// The cross-platform socket protocol of wireguard-go and others
/// (https://www.wireguard.com/xplatform/).
[[nodiscard]] std::unique_ptr<Backend> make_uapi_backend(DeviceConfig config,
                                                         UapiOptions options = {});

class Netlink;

struct NetlinkOptions {
  std::chrono::milliseconds deadline = device_deadline;
};
/// The kernel's WireGuard, over generic netlink (linux/wireguard.h).
[[nodiscard]] std::unique_ptr<Backend> make_netlink_backend(DeviceConfig config,
                                                            NetlinkOptions options = {});
/// With `netlink` in the kernel's place.
[[nodiscard]] std::unique_ptr<Backend> make_netlink_backend(DeviceConfig config,
                                                            std::unique_ptr<Netlink> netlink,
                                                            NetlinkOptions options = {});

}  // namespace lp::gateway::wireguard
