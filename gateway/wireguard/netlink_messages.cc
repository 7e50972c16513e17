#include "gateway/wireguard/netlink_messages.h"

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace lp::gateway::wireguard {
namespace {

constexpr std::size_t request_room = 1024;  // the longest has about 250 bytes
constexpr ByteArray<32> no_key{};

void put(::nlmsghdr* message, std::uint16_t type, ByteView bytes) {
  ::mnl_attr_put(message, type, bytes.size(), bytes.data());
}

void put_allowed_ip(::nlmsghdr* message, std::uint16_t family, ByteView address) {
  auto* const nest = ::mnl_attr_nest_start(message, 0);
  ::mnl_attr_put_u16(message, WGALLOWEDIP_A_FAMILY, family);
  put(message, WGALLOWEDIP_A_IPADDR, address);
  ::mnl_attr_put_u8(message, WGALLOWEDIP_A_CIDR_MASK,
                    static_cast<std::uint8_t>(address.size() * 8));
  ::mnl_attr_nest_end(message, nest);
}

/// A run of attributes. Calls `take` for each until it returns false; false then, and where the
/// lengths do not add up.
template <typename Take>
bool for_each_attribute(const void* begin, std::size_t size, Take take) {
  const auto* at = static_cast<const std::uint8_t*>(begin);
  while (size > 0) {
    const auto* attribute = reinterpret_cast<const ::nlattr*>(at);
    if (::mnl_attr_ok(attribute, static_cast<int>(size)) == 0) return false;
    if (!take(*attribute)) return false;
    const std::size_t used = std::min<std::size_t>(size, MNL_ALIGN(attribute->nla_len));
    at += used;
    size -= used;
  }
  return true;
}

template <typename Take>
bool for_each_in(const ::nlattr& nest, Take take) {
  return for_each_attribute(::mnl_attr_get_payload(&nest), ::mnl_attr_get_payload_len(&nest), take);
}

template <typename Take>
bool for_each_in(const ::nlmsghdr& message, Take take) {
  const std::size_t size = ::mnl_nlmsg_get_payload_len(&message);
  constexpr std::size_t header = MNL_ALIGN(sizeof(::genlmsghdr));
  return size >= header &&
         for_each_attribute(::mnl_nlmsg_get_payload_offset(&message, header), size - header, take);
}

/// The value of an attribute that has exactly the size of T.
template <typename T>
bool get(const ::nlattr& attribute, T& value) {
  if (::mnl_attr_get_payload_len(&attribute) != sizeof(T)) return false;
  std::memcpy(&value, ::mnl_attr_get_payload(&attribute), sizeof(T));
  return true;
}

template <typename Use>
bool use_key(const ::nlattr& attribute, Use use) {
  if (::mnl_attr_get_payload_len(&attribute) != WG_KEY_LEN) return false;
  use(std::span<const std::uint8_t, 32>(
      static_cast<const std::uint8_t*>(::mnl_attr_get_payload(&attribute)), 32));
  return true;
}

/// struct __kernel_timespec.
struct Timespec {
  std::int64_t seconds;
  std::int64_t nanoseconds;
};

bool parse_allowed_ip(const ::nlattr& nest, ListingBuilder& listing) {
  std::uint16_t family = AF_UNSPEC;
  std::uint8_t prefix = 0;
  const ::nlattr* address = nullptr;
  const bool good = for_each_in(nest, [&](const ::nlattr& attribute) {
    switch (::mnl_attr_get_type(&attribute)) {
      case WGALLOWEDIP_A_FAMILY:
        return get(attribute, family);
      case WGALLOWEDIP_A_IPADDR:
        address = &attribute;
        return true;
      case WGALLOWEDIP_A_CIDR_MASK:
        return get(attribute, prefix);
      default:
        return true;
    }
  });
  if (!good || address == nullptr) return false;
  messages::IpV4 ipv4;
  if (family == AF_INET && prefix <= 32 && get(*address, ipv4.octets)) {
    listing.add_allowed_ip(ipv4, prefix);
    return true;
  }
  messages::IpV6 ipv6;
  if (family == AF_INET6 && prefix <= 128 && get(*address, ipv6.octets)) {
    listing.add_allowed_ip(ipv6, prefix);
    return true;
  }
  return false;
}

bool parse_peer_attribute(const ::nlattr& attribute, ListingBuilder& listing) {
  std::uint16_t keepalive = 0;
  std::uint64_t bytes = 0;
  Timespec time{};
  switch (::mnl_attr_get_type(&attribute)) {
    case WGPEER_A_PRESHARED_KEY:
      return use_key(attribute, [&](auto key) { listing.set_preshared_key(key); });
    case WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL:
      if (!get(attribute, keepalive)) return false;
      listing.set_keepalive(keepalive);
      return true;
    case WGPEER_A_LAST_HANDSHAKE_TIME:
      if (!get(attribute, time)) return false;
      listing.set_last_handshake(time.seconds < 0 ? 0 : static_cast<UnixSeconds>(time.seconds));
      return true;
    case WGPEER_A_RX_BYTES:
      if (!get(attribute, bytes)) return false;
      listing.set_rx_bytes(bytes);
      return true;
    case WGPEER_A_TX_BYTES:
      if (!get(attribute, bytes)) return false;
      listing.set_tx_bytes(bytes);
      return true;
    case WGPEER_A_ALLOWEDIPS:
      return for_each_in(attribute,
                         [&](const ::nlattr& nest) { return parse_allowed_ip(nest, listing); });
    default:
      return true;
  }
}

bool parse_peer(const ::nlattr& nest, ListingBuilder& listing) {
  // The key may stand anywhere in the nest; what is told of the peer needs it first.
  crypto::X25519Public key;
  bool has_key = false;
  const bool good = for_each_in(nest, [&](const ::nlattr& attribute) {
    if (::mnl_attr_get_type(&attribute) != WGPEER_A_PUBLIC_KEY) return true;
    has_key = true;
    return get(attribute, key.bytes);
  });
  return good && has_key && listing.begin_peer(key) &&
         for_each_in(nest, [&](const ::nlattr& attribute) {
           return parse_peer_attribute(attribute, listing);
         });
}

}  // namespace

NetlinkRequest::NetlinkRequest(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence,
                               std::uint8_t command, std::uint8_t version)
    : room_(buffer_.reset(request_room)) {
  auto* const message = ::mnl_nlmsg_put_header(room_.data());
  message->nlmsg_type = type;
  message->nlmsg_flags = flags;
  message->nlmsg_seq = sequence;
  auto* const generic =
      static_cast<::genlmsghdr*>(::mnl_nlmsg_put_extra_header(message, sizeof(::genlmsghdr)));
  generic->cmd = command;
  generic->version = version;
}

::nlmsghdr* NetlinkRequest::header() {
  return reinterpret_cast<::nlmsghdr*>(room_.data());
}

ByteView NetlinkRequest::bytes() const {
  std::uint32_t size = 0;
  std::memcpy(&size, room_.data() + offsetof(::nlmsghdr, nlmsg_len), sizeof(size));
  return room_.first(size);
}

NetlinkRequest NetlinkRequest::resolve_family(std::uint32_t sequence) {
  NetlinkRequest request(GENL_ID_CTRL, NLM_F_REQUEST | NLM_F_ACK, sequence, CTRL_CMD_GETFAMILY, 1);
  ::mnl_attr_put_strz(request.header(), CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
  return request;
}

NetlinkRequest NetlinkRequest::dump(std::uint16_t family, std::uint32_t sequence,
                                    const std::string& interface) {
  NetlinkRequest request(family, NLM_F_REQUEST | NLM_F_DUMP, sequence, WG_CMD_GET_DEVICE,
                         WG_GENL_VERSION);
  ::mnl_attr_put_strz(request.header(), WGDEVICE_A_IFNAME, interface.c_str());
  return request;
}

// WGDEVICE_A_FLAGS stays away from both: with WGDEVICE_F_REPLACE_PEERS other peers would go.

NetlinkRequest NetlinkRequest::configure(std::uint16_t family, std::uint32_t sequence,
                                         const DeviceConfig& config) {
  NetlinkRequest request(family, NLM_F_REQUEST | NLM_F_ACK, sequence, WG_CMD_SET_DEVICE,
                         WG_GENL_VERSION);
  auto* const message = request.header();
  ::mnl_attr_put_strz(message, WGDEVICE_A_IFNAME, config.interface.c_str());
  put(message, WGDEVICE_A_PRIVATE_KEY, config.private_key.bytes());
  ::mnl_attr_put_u16(message, WGDEVICE_A_LISTEN_PORT, config.listen_port);
  return request;
}

NetlinkRequest NetlinkRequest::set_peer(std::uint16_t family, std::uint32_t sequence,
                                        const DeviceConfig& config, const PeerConfig& peer) {
  NetlinkRequest request(family, NLM_F_REQUEST | NLM_F_ACK, sequence, WG_CMD_SET_DEVICE,
                         WG_GENL_VERSION);
  auto* const message = request.header();
  ::mnl_attr_put_strz(message, WGDEVICE_A_IFNAME, config.interface.c_str());
  auto* const peers = ::mnl_attr_nest_start(message, WGDEVICE_A_PEERS);
  auto* const nest = ::mnl_attr_nest_start(message, 0);
  put(message, WGPEER_A_PUBLIC_KEY, peer.public_key.bytes);
  ::mnl_attr_put_u32(message, WGPEER_A_FLAGS, WGPEER_F_REPLACE_ALLOWEDIPS);
  put(message, WGPEER_A_PRESHARED_KEY,
      config.preshared_key ? ByteView(config.preshared_key->bytes()) : ByteView(no_key));
  ::mnl_attr_put_u16(message, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL,
                     static_cast<std::uint16_t>(persistent_keepalive.count()));
  auto* const allowed_ips = ::mnl_attr_nest_start(message, WGPEER_A_ALLOWEDIPS);
  put_allowed_ip(message, AF_INET, peer.addresses.ipv4.octets);
  put_allowed_ip(message, AF_INET6, peer.addresses.ipv6.octets);
  ::mnl_attr_nest_end(message, allowed_ips);
  ::mnl_attr_nest_end(message, nest);
  ::mnl_attr_nest_end(message, peers);
  return request;
}

NetlinkRequest NetlinkRequest::remove_peer(std::uint16_t family, std::uint32_t sequence,
                                           const std::string& interface,
                                           const crypto::X25519Public& key) {
  NetlinkRequest request(family, NLM_F_REQUEST | NLM_F_ACK, sequence, WG_CMD_SET_DEVICE,
                         WG_GENL_VERSION);
  auto* const message = request.header();
  ::mnl_attr_put_strz(message, WGDEVICE_A_IFNAME, interface.c_str());
  auto* const peers = ::mnl_attr_nest_start(message, WGDEVICE_A_PEERS);
  auto* const nest = ::mnl_attr_nest_start(message, 0);
  put(message, WGPEER_A_PUBLIC_KEY, key.bytes);
  ::mnl_attr_put_u32(message, WGPEER_A_FLAGS, WGPEER_F_REMOVE_ME);
  ::mnl_attr_nest_end(message, nest);
  ::mnl_attr_nest_end(message, peers);
  return request;
}

std::optional<std::uint16_t> parse_family(const ::nlmsghdr& message) {
  std::uint16_t family = 0;
  const bool good = for_each_in(message, [&](const ::nlattr& attribute) {
    return ::mnl_attr_get_type(&attribute) != CTRL_ATTR_FAMILY_ID || get(attribute, family);
  });
  if (!good || family < NLMSG_MIN_TYPE) return std::nullopt;
  return family;
}

bool parse_device(const ::nlmsghdr& message, ListingBuilder& listing) {
  return for_each_in(message, [&](const ::nlattr& attribute) {
    std::uint16_t port = 0;
    switch (::mnl_attr_get_type(&attribute)) {
      case WGDEVICE_A_PRIVATE_KEY:
        return use_key(attribute, [&](auto key) { listing.set_private_key(key); });
      case WGDEVICE_A_LISTEN_PORT:
        if (!get(attribute, port)) return false;
        listing.set_listen_port(port);
        return true;
      case WGDEVICE_A_PEERS:
        return for_each_in(attribute,
                           [&](const ::nlattr& nest) { return parse_peer(nest, listing); });
      default:
        return true;
    }
  });
}

}  // namespace lp::gateway::wireguard
