// What both backends of real devices do alike: key and port before anything else, and again for a
// device that was restarted; what an operator must know goes to the log.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "gateway/wireguard/controller.h"
#include "gateway/wireguard/device.h"
#include "gateway/wireguard/device_listing.h"
#include "gateway/wireguard/io_deadline.h"

namespace lp::gateway::wireguard {

/// Tells one life of a device from the next: a device made anew has another.
using DeviceLife = std::array<std::uint64_t, 3>;

/// Whether a device that answers a peer with this errno has something against the peer alone.
[[nodiscard]] bool is_about_peer(int error);

/// How to talk to a device. Errors of kind `refused` are the device's answer to one peer; nobody
/// can be served where it is another.
class Device {
 public:
  virtual ~Device() = default;
  [[nodiscard]] virtual WireguardResult<DeviceListing> read(IoDeadline deadline) = 0;
  /// Gives it private key and listen port.
  [[nodiscard]] virtual WireguardResult<std::monostate> configure(IoDeadline deadline) = 0;
  [[nodiscard]] virtual WireguardResult<std::monostate> set_peer(const PeerConfig& peer,
                                                                 IoDeadline deadline) = 0;
  [[nodiscard]] virtual WireguardResult<std::monostate> remove_peer(const crypto::X25519Public& key,
                                                                    IoDeadline deadline) = 0;
  /// Nothing where there is no device. Does not wait.
  [[nodiscard]] virtual std::optional<DeviceLife> life() = 0;
};

/// One configuration for a backend and its device. Its private key is clamped, as every
/// implementation stores and tells it.
using SharedConfig = std::shared_ptr<const DeviceConfig>;
[[nodiscard]] SharedConfig share(DeviceConfig config);

[[nodiscard]] std::unique_ptr<Backend> make_device_backend(std::unique_ptr<Device> device,
                                                           SharedConfig config,
                                                           std::chrono::milliseconds deadline);

}  // namespace lp::gateway::wireguard
