// The addresses that may read /metrics and /readyz (docs/gateway.md, "HTTP").
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "lib/messages/registration.h"

namespace lp::gateway::http {

/// An IPv4 address that reached an IPv6 socket (::ffff:192.0.2.1) as the IPv4 address it is; any
/// other as it stands.
[[nodiscard]] messages::IpAddress unmapped(const messages::IpAddress& address) noexcept;

/// A set of address ranges. Immutable.
class AllowList {
 public:
  /// Nobody.
  AllowList() = default;

  /// From "192.0.2.0/24", "2001:db8::/32" or single addresses. Bits beyond the prefix are ignored.
  /// The error names the entry.
  [[nodiscard]] static std::expected<AllowList, std::string> parse(
      std::span<const std::string> entries);

  [[nodiscard]] bool contains(const messages::IpAddress& address) const noexcept;

 private:
  struct Range {
    messages::IpAddress address;
    std::uint8_t prefix;
  };
  static std::expected<Range, std::string> parse_range(const std::string& entry);
  std::vector<Range> ranges_;
};

}  // namespace lp::gateway::http
