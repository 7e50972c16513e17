// LpRegistrationRequest and LpRegistrationResponse (lp-protocol(7), "Messages inside the
// transport").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/crypto/keys.h"

namespace lp::messages {

/// A request is at most this long as plaintext: 8 KiB of packet less header, trailer and tag.
inline constexpr std::size_t max_request_packet_size = 8 * 1024;

using Nullifier = ByteArray<32>;
using ClientId = ByteArray<32>;

/// Index on the wire = order here.
enum class TicketType : std::uint8_t {
  v1_mixnet_entry,
  v1_mixnet_exit,
  v1_wireguard_entry,
  v1_wireguard_exit
};
inline constexpr std::uint32_t ticket_type_count = 4;

/// "V1MixnetEntry", …
[[nodiscard]] std::string_view name(TicketType type) noexcept;
[[nodiscard]] std::optional<TicketType> ticket_type_from_name(std::string_view name) noexcept;
[[nodiscard]] bool is_wireguard(TicketType type) noexcept;

/// An e-cash ticket as it is spent. The signature's form is the scheme's business.
struct Credential {
  Nullifier nullifier{};
  Bytes signature;
  std::uint64_t bandwidth_amount = 0;  ///< bytes
  UnixSeconds expiry = 0;
  friend bool operator==(const Credential&, const Credential&) = default;
};

struct Dvpn {
  friend bool operator==(const Dvpn&, const Dvpn&) = default;
};
struct Mixnet {
  ClientId client_id{};
  friend bool operator==(const Mixnet&, const Mixnet&) = default;
};
using Mode = std::variant<Dvpn, Mixnet>;
/// "dvpn" or "mixnet".
[[nodiscard]] std::string_view name(const Mode& mode) noexcept;

struct IpV4 {
  ByteArray<4> octets{};
  friend bool operator==(const IpV4&, const IpV4&) = default;
};
struct IpV6 {
  ByteArray<16> octets{};
  friend bool operator==(const IpV6&, const IpV6&) = default;
};
using IpAddress = std::variant<IpV4, IpV6>;

/// "192.0.2.1", "2001:db8::1".
[[nodiscard]] std::string to_string(const IpAddress& address);
[[nodiscard]] std::optional<IpAddress> ip_address_from_string(std::string_view text);

struct SocketAddress {
  IpAddress ip;
  std::uint16_t port = 0;
  friend bool operator==(const SocketAddress&, const SocketAddress&) = default;
};
/// "192.0.2.1:51822", "[2001:db8::1]:51822".
[[nodiscard]] std::string to_string(const SocketAddress& address);

struct RegistrationRequest {
  std::string wg_public_key;  ///< base64 as sent; `parse_wg_public_key` gives the key
  Credential credential;
  TicketType ticket_type = TicketType::v1_wireguard_entry;
  Mode mode;
  IpAddress client_ip;  ///< what the client believes; never compared, never trusted
  UnixSeconds timestamp = 0;
  friend bool operator==(const RegistrationRequest&, const RegistrationRequest&) = default;
};

struct GatewayData {
  crypto::X25519Public public_key;  ///< the gateway's WireGuard key
  SocketAddress endpoint;           ///< where its WireGuard listens
  IpV4 private_ipv4;
  IpV6 private_ipv6;
  friend bool operator==(const GatewayData&, const GatewayData&) = default;
};

struct RegistrationResponse {
  bool success = false;
  std::optional<std::string> error;
  std::optional<GatewayData> gateway_data;
  std::int64_t allocated_bandwidth = 0;  ///< bytes
  std::uint32_t session_id = 0;          ///< random for each response
  friend bool operator==(const RegistrationResponse&, const RegistrationResponse&) = default;
};

[[nodiscard]] Bytes encode(const RegistrationRequest& request);
[[nodiscard]] Bytes encode(const RegistrationResponse& response);

/// Consume the input exactly; every other input is an error (bincode_*). Nothing is allocated on
/// the word of a length.
[[nodiscard]] Result<RegistrationRequest> decode_request(ByteView input);
[[nodiscard]] Result<RegistrationResponse> decode_response(ByteView input);

/// The 32 bytes of a WireGuard key: canonical base64 of exactly 44 characters. Fails with
/// base64_invalid, key_size.
[[nodiscard]] Result<crypto::X25519Public> parse_wg_public_key(std::string_view text);

}  // namespace lp::messages
