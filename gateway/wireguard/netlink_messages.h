// The generic netlink messages of the kernel's WireGuard (linux/wireguard.h): the requests that are
// sent, and what their answers hold. No I/O.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <optional>
#include <string>

#include "gateway/wireguard/device.h"
#include "gateway/wireguard/device_listing.h"
#include "lib/base/secret.h"

namespace lp::gateway::wireguard {

/// A request as a datagram; it may hold keys and is wiped.
class NetlinkRequest {
 public:
  /// The number of the generic family called "wireguard".
  [[nodiscard]] static NetlinkRequest resolve_family(std::uint32_t sequence);
  /// Interface and all of its peers.
  [[nodiscard]] static NetlinkRequest dump(std::uint16_t family, std::uint32_t sequence,
                                           const std::string& interface);
  /// Key and listen port; the peers stay.
  [[nodiscard]] static NetlinkRequest configure(std::uint16_t family, std::uint32_t sequence,
                                                const DeviceConfig& config);
  [[nodiscard]] static NetlinkRequest set_peer(std::uint16_t family, std::uint32_t sequence,
                                               const DeviceConfig& config, const PeerConfig& peer);
  [[nodiscard]] static NetlinkRequest remove_peer(std::uint16_t family, std::uint32_t sequence,
                                                  const std::string& interface,
                                                  const crypto::X25519Public& key);

  [[nodiscard]] ByteView bytes() const;

 private:
  NetlinkRequest(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence,
                 std::uint8_t command, std::uint8_t version);
  [[nodiscard]] ::nlmsghdr* header();

  SecretBuffer buffer_;
  MutableByteView room_;
};

/// The family's number in an answer to `resolve_family`. Nothing where it makes no sense.
[[nodiscard]] std::optional<std::uint16_t> parse_family(const ::nlmsghdr& message);

/// Adds what one message of a dump tells. `message` is complete as its header has it. False where
/// it makes no sense; attributes that are not known are passed over.
[[nodiscard]] bool parse_device(const ::nlmsghdr& message, ListingBuilder& listing);

}  // namespace lp::gateway::wireguard
