// What is probed: [IDENTITY@]HOST[:PORT].
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "lib/crypto/keys.h"

namespace lp::probe {

struct Target {
  std::string text;                          ///< as it was given
  std::optional<crypto::Identity> identity;  ///< of the gateway
  std::string host;                          ///< name or literal address, without brackets
  std::optional<std::uint16_t> port;
};

/// A name, an IPv4 address, or an IPv6 address in brackets, and an optional port from 1 to 65535.
struct HostPort {
  std::string host;
  std::optional<std::uint16_t> port;
};

/// On failure: one sentence that says what is wrong with `text`. Nothing is looked up.
[[nodiscard]] std::expected<Target, std::string> parse_target(std::string_view text);
[[nodiscard]] std::expected<HostPort, std::string> parse_host_port(std::string_view text);
[[nodiscard]] std::expected<crypto::Identity, std::string> parse_identity(std::string_view text);

/// host:port with brackets where IPv6 needs them.
[[nodiscard]] std::string format_host_port(std::string_view host, std::uint16_t port);

}  // namespace lp::probe
