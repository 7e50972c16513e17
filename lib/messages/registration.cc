#include "lib/messages/registration.h"

#include <arpa/inet.h>

#include <array>
#include <type_traits>

#include "lib/base/encoding.h"
#include "lib/messages/bincode.h"
#include "lib/wire/format.h"

namespace lp::messages {
namespace {

// A field is never longer than what a packet can carry; a tighter limit is the registration's
// business, which can answer with a sentence of its own.
constexpr std::size_t max_field = wire::max_content_size;

constexpr std::size_t wg_key_size = 32;
constexpr std::size_t wg_key_characters = 44;

constexpr std::array<std::string_view, ticket_type_count> ticket_type_names{
    "V1MixnetEntry", "V1MixnetExit", "V1WireguardEntry", "V1WireguardExit"};

// The variants' indices on the wire are their alternatives' here.
static_assert(std::is_same_v<std::variant_alternative_t<0, Mode>, Dvpn>);
static_assert(std::is_same_v<std::variant_alternative_t<1, Mode>, Mixnet>);
static_assert(std::is_same_v<std::variant_alternative_t<0, IpAddress>, IpV4>);
static_assert(std::is_same_v<std::variant_alternative_t<1, IpAddress>, IpV6>);

template <typename Variant>
void write_index(BincodeWriter& out, const Variant& variant) {
  out.variant(static_cast<std::uint32_t>(variant.index()));
}

void write(BincodeWriter& out, const IpAddress& address) {
  write_index(out, address);
  std::visit([&out](const auto& ip) { out.raw(ip.octets); }, address);
}

IpAddress read_ip_address(BincodeReader& in) noexcept {
  if (in.variant(std::variant_size_v<IpAddress>) == 0) return IpV4{in.array<4>()};
  return IpV6{in.array<16>()};
}

void write(BincodeWriter& out, const Credential& credential) {
  out.raw(credential.nullifier);
  out.bytes(credential.signature);
  out.u64(credential.bandwidth_amount);
  out.u64(credential.expiry);
}

Credential read_credential(BincodeReader& in) {
  Credential credential;
  credential.nullifier = in.array<32>();
  const ByteView signature = in.bytes(max_field);
  credential.signature.assign(signature.begin(), signature.end());
  credential.bandwidth_amount = in.u64();
  credential.expiry = in.u64();
  return credential;
}

void write(BincodeWriter& out, const Mode& mode) {
  write_index(out, mode);
  if (const auto* mixnet = std::get_if<Mixnet>(&mode)) out.raw(mixnet->client_id);
}

Mode read_mode(BincodeReader& in) noexcept {
  if (in.variant(std::variant_size_v<Mode>) == 0) return Dvpn{};
  return Mixnet{in.array<32>()};
}

void write(BincodeWriter& out, const GatewayData& data) {
  out.raw(data.public_key.bytes);
  write(out, data.endpoint.ip);  // SocketAddr and IpAddr have the same variants
  out.u16(data.endpoint.port);
  out.raw(data.private_ipv4.octets);
  out.raw(data.private_ipv6.octets);
}

GatewayData read_gateway_data(BincodeReader& in) noexcept {
  GatewayData data;
  data.public_key.bytes = in.array<32>();
  data.endpoint.ip = read_ip_address(in);
  data.endpoint.port = in.u16();
  data.private_ipv4.octets = in.array<4>();
  data.private_ipv6.octets = in.array<16>();
  return data;
}

}  // namespace

std::string_view name(TicketType type) noexcept {
  return ticket_type_names[static_cast<std::size_t>(type)];
}

std::optional<TicketType> ticket_type_from_name(std::string_view name) noexcept {
  for (std::size_t i = 0; i < ticket_type_names.size(); ++i) {
    if (ticket_type_names[i] == name) return static_cast<TicketType>(i);
  }
  return std::nullopt;
}

bool is_wireguard(TicketType type) noexcept {
  return type == TicketType::v1_wireguard_entry || type == TicketType::v1_wireguard_exit;
}

std::string_view name(const Mode& mode) noexcept {
  return std::holds_alternative<Dvpn>(mode) ? "dvpn" : "mixnet";
}

std::string to_string(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = std::holds_alternative<IpV4>(address) ? AF_INET : AF_INET6;
  std::visit([&](const auto& ip) { inet_ntop(family, ip.octets.data(), text.data(), text.size()); },
             address);
  return text.data();
}

std::optional<IpAddress> ip_address_from_string(std::string_view text) {
  // inet_pton reads a C string: neither a longer text nor one with a NUL inside is an address.
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != text.npos) return std::nullopt;
  text.copy(terminated.data(), text.size());

  IpV4 v4;
  if (inet_pton(AF_INET, terminated.data(), v4.octets.data()) == 1) return v4;
  IpV6 v6;
  if (inet_pton(AF_INET6, terminated.data(), v6.octets.data()) == 1) return v6;
  return std::nullopt;
}

std::string to_string(const SocketAddress& address) {
  const std::string ip = to_string(address.ip);
  const std::string port = std::to_string(address.port);
  return std::holds_alternative<IpV4>(address.ip) ? ip + ":" + port : "[" + ip + "]:" + port;
}

Bytes encode(const RegistrationRequest& request) {
  BincodeWriter out;
  out.string(request.wg_public_key);
  write(out, request.credential);
  out.variant(static_cast<std::uint32_t>(request.ticket_type));
  write(out, request.mode);
  write(out, request.client_ip);
  out.u64(request.timestamp);
  return out.take();
}

Bytes encode(const RegistrationResponse& response) {
  BincodeWriter out;
  out.boolean(response.success);
  out.option(response.error.has_value());
  if (response.error) out.string(*response.error);
  out.option(response.gateway_data.has_value());
  if (response.gateway_data) write(out, *response.gateway_data);
  out.i64(response.allocated_bandwidth);
  out.u32(response.session_id);
  return out.take();
}

Result<RegistrationRequest> decode_request(ByteView input) {
  BincodeReader in(input);
  RegistrationRequest request;
  request.wg_public_key = in.string(max_field);
  request.credential = read_credential(in);
  request.ticket_type = static_cast<TicketType>(in.variant(ticket_type_count));
  request.mode = read_mode(in);
  request.client_ip = read_ip_address(in);
  request.timestamp = in.u64();
  if (auto finished = in.finish(); !finished) return fail(finished.error());
  return request;
}

Result<RegistrationResponse> decode_response(ByteView input) {
  BincodeReader in(input);
  RegistrationResponse response;
  response.success = in.boolean();
  if (in.option()) response.error = in.string(max_field);
  if (in.option()) response.gateway_data = read_gateway_data(in);
  response.allocated_bandwidth = in.i64();
  response.session_id = in.u32();
  if (auto finished = in.finish(); !finished) return fail(finished.error());
  return response;
}

Result<crypto::X25519Public> parse_wg_public_key(std::string_view text) {
  if (text.size() != wg_key_characters) return fail(Error::key_size);
  const auto bytes = from_base64(text);
  if (!bytes) return fail(bytes.error());
  if (bytes->size() != wg_key_size) return fail(Error::key_size);
  return crypto::X25519Public{to_array<wg_key_size>(*bytes)};
}

}  // namespace lp::messages
