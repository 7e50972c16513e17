#include "gateway/http/allow_list.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <variant>

namespace lp::gateway::http {
namespace {

using messages::IpAddress;
using messages::IpV4;
using messages::IpV6;

constexpr std::array<std::uint8_t, 12> mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::span<const std::uint8_t> octets(const IpAddress& address) noexcept {
  return std::visit([](const auto& ip) { return std::span<const std::uint8_t>(ip.octets); },
                    address);
}

bool same_prefix(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b,
                 unsigned bits) noexcept {
  const std::size_t bytes = bits / 8;
  if (!std::equal(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(bytes), b.begin())) {
    return false;
  }
  const unsigned rest = bits % 8;
  return rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0;
}

std::optional<std::uint8_t> parse_prefix(std::string_view digits) noexcept {
  std::uint8_t value = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value);
  if (digits.empty() || error != std::errc{} || end != digits.end()) return std::nullopt;
  return value;
}

}  // namespace

IpAddress unmapped(const IpAddress& address) noexcept {
  const auto* v6 = std::get_if<IpV6>(&address);
  if (v6 == nullptr ||
      !std::equal(mapped_prefix.begin(), mapped_prefix.end(), v6->octets.begin())) {
    return address;
  }
  IpV4 v4;
  std::copy(v6->octets.begin() + mapped_prefix.size(), v6->octets.end(), v4.octets.begin());
  return v4;
}

std::expected<AllowList::Range, std::string> AllowList::parse_range(const std::string& entry) {
  const auto refuse = [&entry] {
    return std::unexpected("\"" + entry + "\" is neither an IP address nor a range such as " +
                           "192.0.2.0/24 or 2001:db8::/32");
  };
  const std::size_t slash = entry.find('/');
  const auto address = messages::ip_address_from_string(entry.substr(0, slash));
  if (!address) return refuse();
  const auto bits = static_cast<std::uint8_t>(octets(*address).size() * 8);
  std::uint8_t prefix = bits;
  if (slash != std::string::npos) {
    const auto parsed = parse_prefix(std::string_view(entry).substr(slash + 1));
    if (!parsed || *parsed > bits) return refuse();
    prefix = *parsed;
  }
  // A range of mapped addresses is meant for IPv4 clients of an IPv6 socket.
  constexpr std::uint8_t mapped_bits = mapped_prefix.size() * 8;
  const IpAddress plain = unmapped(*address);
  if (plain.index() != address->index() && prefix >= mapped_bits) {
    return Range{plain, static_cast<std::uint8_t>(prefix - mapped_bits)};
  }
  return Range{*address, prefix};
}

std::expected<AllowList, std::string> AllowList::parse(std::span<const std::string> entries) {
  AllowList list;
  for (const auto& entry : entries) {
    auto range = parse_range(entry);
    if (!range) return std::unexpected(std::move(range).error());
    list.ranges_.push_back(*range);
  }
  return list;
}

bool AllowList::contains(const IpAddress& address) const noexcept {
  const IpAddress plain = unmapped(address);
  return std::ranges::any_of(ranges_, [&plain](const Range& range) {
    return range.address.index() == plain.index() &&
           same_prefix(octets(range.address), octets(plain), range.prefix);
  });
}

}  // namespace lp::gateway::http
