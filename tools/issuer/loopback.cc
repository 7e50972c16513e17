#include "tools/issuer/loopback.h"

#include <algorithm>
#include <array>

namespace lp::issuer {

bool is_loopback(const messages::IpAddress& address) noexcept {
  if (const auto* v4 = std::get_if<messages::IpV4>(&address)) return v4->octets[0] == 127;
  constexpr std::array<std::uint8_t, 13> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
  const auto& octets = std::get<messages::IpV6>(address).octets;
  if (std::ranges::equal(mapped, std::span(octets).first<13>())) return true;
  return octets == std::array<std::uint8_t, 16>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
}

}  // namespace lp::issuer
