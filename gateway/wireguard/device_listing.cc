#include "gateway/wireguard/device_listing.h"

#include <algorithm>
#include <utility>

namespace lp::gateway::wireguard {

bool ListingBuilder::begin_peer(const crypto::X25519Public& key) {
  if (in_peer_ && peer_.public_key == key) return true;
  end_peer();
  if (listing_.peers.size() == max_listed_peers) return false;
  in_peer_ = true;
  peer_ = {.public_key = key};
  preshared_key_matches_ = !preshared_key_;
  keepalive_ = 0;
  ipv4_.reset();
  ipv6_.reset();
  allowed_ips_ = 0;
  return true;
}

void ListingBuilder::set_preshared_key(std::span<const std::uint8_t, 32> key) {
  // Both protocols write "none" as zeros.
  static constexpr ByteArray<32> none{};
  preshared_key_matches_ =
      equal_constant_time(key, preshared_key_ ? preshared_key_->bytes() : std::span(none));
}

void ListingBuilder::add_allowed_ip(const messages::IpAddress& address, unsigned prefix) {
  ++allowed_ips_;
  if (const auto* v4 = std::get_if<messages::IpV4>(&address)) {
    if (prefix == 32) ipv4_ = *v4;
  } else if (prefix == 128) {
    ipv6_ = std::get<messages::IpV6>(address);
  }
}

void ListingBuilder::end_peer() {
  if (!std::exchange(in_peer_, false)) return;
  if (allowed_ips_ == 2 && ipv4_ && ipv6_) {
    peer_.addresses = storage::AddressPair{.ipv4 = *ipv4_, .ipv6 = *ipv6_};
  }
  peer_.settings_match =
      preshared_key_matches_ && std::chrono::seconds(keepalive_) == persistent_keepalive;
  listing_.peers.push_back(peer_);
}

DeviceListing ListingBuilder::take() {
  end_peer();
  return std::move(listing_);
}

}  // namespace lp::gateway::wireguard
