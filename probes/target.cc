#include "probes/target.h"

#include <fmt/format.h>

#include <algorithm>

#include "probes/client/socket.h"
#include "probes/errors.h"
#include "probes/options/values.h"

namespace lp::probe {
namespace {

constexpr std::size_t max_host = 253;     // RFC 1035, section 2.3.4
constexpr std::size_t max_identity = 44;  // 32 bytes of 0xff in base58
constexpr std::size_t max_target = 512;

auto bad(std::string_view text, std::string_view what) {
  return std::unexpected(fmt::format("'{}': {}", printable(text, 80), what));
}

// Names are not judged further: the resolver knows better. What could confuse a log, a URL or a
// terminal is refused here.
bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

std::expected<std::optional<std::uint16_t>, std::string> parse_port(std::string_view text,
                                                                    std::string_view rest) {
  if (rest.empty()) return std::nullopt;
  if (rest.front() != ':') return bad(text, "only :PORT may follow the host");
  const auto port = options::parse_number(rest.substr(1), 1, 65'535);
  if (!port) return bad(text, "the port is not a number from 1 to 65535");
  return static_cast<std::uint16_t>(*port);
}

std::expected<HostPort, std::string> parse_bracketed(std::string_view text) {
  const auto close = text.find(']');
  if (close == std::string_view::npos) return bad(text, "a bracket is not closed");
  HostPort result;
  result.host = text.substr(1, close - 1);
  const auto address = client::Endpoint::from_literal(result.host, 1);
  if (!address || address->family() != AF_INET6) {
    return bad(text, "what stands in brackets is not an IPv6 address");
  }
  auto port = parse_port(text, text.substr(close + 1));
  if (!port) return std::unexpected(std::move(port.error()));
  result.port = *port;
  return result;
}

}  // namespace

std::expected<HostPort, std::string> parse_host_port(std::string_view text) {
  if (text.size() > max_target) return bad(text, "too long");
  if (!text.empty() && text.front() == '[') return parse_bracketed(text);
  const auto colon = text.find(':');
  if (colon != std::string_view::npos && text.find(':', colon + 1) != std::string_view::npos) {
    return bad(text, "an IPv6 address stands in brackets, as in [2001:db8::1]:41264");
  }
  HostPort result;
  result.host = text.substr(0, colon);
  if (result.host.empty()) return bad(text, "there is no host");
  if (result.host.size() > max_host) return bad(text, "the host name is too long");
  if (!std::ranges::all_of(result.host, is_name_character) || result.host.front() == '-') {
    return bad(text, "this is no host name or address");
  }
  auto port = parse_port(text, colon == std::string_view::npos ? "" : text.substr(colon));
  if (!port) return std::unexpected(std::move(port.error()));
  result.port = *port;
  return result;
}

std::expected<crypto::Identity, std::string> parse_identity(std::string_view text) {
  if (text.empty()) return bad(text, "the identity is empty");
  if (text.size() > max_identity) return bad(text, "the identity is longer than 44 characters");
  const auto identity = crypto::Identity::from_base58(text);
  if (identity) return *identity;
  return bad(text, identity.error() == Error::base58_invalid
                       ? "the identity is not the base58 form of 32 bytes"
                       : "the identity is no usable Ed25519 key");
}

std::expected<Target, std::string> parse_target(std::string_view text) {
  if (text.size() > max_target) return bad(text, "too long");
  Target target;
  target.text = text;
  std::string_view address = text;
  if (const auto at = text.find('@'); at != std::string_view::npos) {
    auto identity = parse_identity(text.substr(0, at));
    if (!identity) return std::unexpected(std::move(identity.error()));
    target.identity = *identity;
    address = text.substr(at + 1);
  }
  auto host_port = parse_host_port(address);
  if (!host_port) return std::unexpected(std::move(host_port.error()));
  target.host = std::move(host_port->host);
  target.port = host_port->port;
  return target;
}

std::string format_host_port(std::string_view host, std::uint16_t port) {
  const bool v6 = host.find(':') != std::string_view::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

}  // namespace lp::probe
