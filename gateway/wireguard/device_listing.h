// What a device says of itself, put together as its answer is read. Both protocols give the same
// things in the same order: the device, then peer after peer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "gateway/wireguard/controller.h"
#include "gateway/wireguard/device.h"
#include "lib/messages/registration.h"

namespace lp::gateway::wireguard {

/// More than any address pool has that fits into memory; a device that lists more is broken.
inline constexpr std::size_t max_listed_peers = 4'000'000;

struct DeviceListing {
  crypto::X25519Secret private_key;  ///< all zero: none
  std::uint16_t listen_port = 0;
  std::vector<PeerState> peers;
};

class ListingBuilder {
 public:
  /// `preshared_key` is what peers ought to have, and must outlive this.
  explicit ListingBuilder(const std::optional<PresharedKey>& preshared_key)
      : preshared_key_(preshared_key) {}

  void set_private_key(std::span<const std::uint8_t, 32> key) {
    listing_.private_key = crypto::X25519Secret(key);
  }
  void set_listen_port(std::uint16_t port) { listing_.listen_port = port; }

  /// What follows is of this peer: a new one, or the one before, continued. False where there are
  /// too many.
  [[nodiscard]] bool begin_peer(const crypto::X25519Public& key);
  [[nodiscard]] bool in_peer() const { return in_peer_; }
  // Of the peer that was begun.
  void set_preshared_key(std::span<const std::uint8_t, 32> key);
  void set_keepalive(std::uint16_t seconds) { keepalive_ = seconds; }
  void set_rx_bytes(std::uint64_t bytes) { peer_.rx_bytes = bytes; }
  void set_tx_bytes(std::uint64_t bytes) { peer_.tx_bytes = bytes; }
  void set_last_handshake(UnixSeconds time) { peer_.last_handshake = time; }
  void add_allowed_ip(const messages::IpAddress& address, unsigned prefix);

  /// Ends it.
  [[nodiscard]] DeviceListing take();

 private:
  void end_peer();

  const std::optional<PresharedKey>& preshared_key_;
  DeviceListing listing_;
  bool in_peer_ = false;
  PeerState peer_;
  bool preshared_key_matches_ = false;
  std::uint16_t keepalive_ = 0;
  std::optional<messages::IpV4> ipv4_;
  std::optional<messages::IpV6> ipv6_;
  std::size_t allowed_ips_ = 0;
};

}  // namespace lp::gateway::wireguard
