#include "gateway/config/values.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "lib/base/secret.h"

namespace lp::gateway::config {
namespace {

std::optional<std::uint64_t> digits(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

/// The address's bytes, 4 or 16; none where it is no address.
std::vector<std::uint8_t> address_bytes(std::string_view text) {
  const std::string terminated(text);
  if (terminated.size() != text.size() || terminated.find('\0') != std::string::npos) return {};
  std::vector<std::uint8_t> bytes(4);
  if (::inet_pton(AF_INET, terminated.c_str(), bytes.data()) == 1) return bytes;
  bytes.resize(16);
  if (::inet_pton(AF_INET6, terminated.c_str(), bytes.data()) == 1) return bytes;
  return {};
}

/// "?key=value&…" with the values of passwords redacted. A key that hides its letters behind
/// escapes may be a password's as well.
std::string redacted_parameters(std::string_view text) {
  const std::size_t query = text.find('?');
  if (query == std::string_view::npos) return std::string(text);
  std::string result(text.substr(0, query));
  for (std::size_t begin = query; begin < text.size();) {
    const std::size_t end = std::min(text.find('&', begin + 1), text.size());
    const std::string_view parameter = text.substr(begin, end - begin);
    const std::string_view key = parameter.substr(0, parameter.find('='));
    const bool secret = key.contains("password") || key.contains('%');
    result += secret ? fmt::format("{}={}", key, redacted) : std::string(parameter);
    begin = end;
  }
  return result;
}

bool host_bits_zero(std::span<const std::uint8_t> bytes, unsigned prefix) {
  for (unsigned bit = prefix; bit < bytes.size() * 8; ++bit) {
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return false;
  }
  return true;
}

std::string network_wanted(Family family) {
  switch (family) {
    case Family::ipv4:
      return "must be an IPv4 network like 10.1.0.0/16, all host bits zero";
    case Family::ipv6:
      return "must be an IPv6 network like fd00::/112, all host bits zero";
    case Family::either:
      break;
  }
  return "must be addresses or networks like 192.0.2.7 or 10.0.0.0/8, all host bits zero";
}

}  // namespace

Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t least, std::uint64_t most) {
  const auto value = digits(text);
  if (!value || *value < least || *value > most) {
    return std::unexpected(fmt::format("must be a whole number from {} to {}", least, most));
  }
  return *value;
}

Parsed<bool> parse_boolean(std::string_view text) {
  if (text == "true" || text == "yes" || text == "on" || text == "1") return true;
  if (text == "false" || text == "no" || text == "off" || text == "0") return false;
  return std::unexpected("must be true or false");
}

Parsed<std::chrono::milliseconds> parse_seconds(std::string_view text) {
  const auto wrong =
      std::unexpected<std::string>("must be seconds from 0.001 to 3600, with up to three decimals");
  const std::size_t point = text.find('.');
  const auto whole = digits(text.substr(0, point));
  if (!whole || *whole > 3600) return wrong;
  std::uint64_t thousandths = 0;
  if (point != std::string_view::npos) {
    std::string fraction(text.substr(point + 1));
    if (fraction.empty() || fraction.size() > 3) return wrong;
    fraction.resize(3, '0');
    const auto value = digits(fraction);
    if (!value) return wrong;
    thousandths = *value;
  }
  const std::uint64_t total = *whole * 1000 + thousandths;
  if (total == 0 || total > 3'600'000) return wrong;
  return std::chrono::milliseconds(total);
}

std::string print_seconds(std::chrono::milliseconds value) {
  const auto count = value.count();
  if (count % 1000 == 0) return fmt::format("{}", count / 1000);
  std::string text = fmt::format("{}.{:03}", count / 1000, count % 1000);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

bool is_ip_address(std::string_view text) {
  return !address_bytes(text).empty();
}

bool is_loopback(std::string_view address) {
  const auto bytes = address_bytes(address);
  if (bytes.size() == 4) return bytes[0] == 127;
  if (bytes.size() != 16) return false;
  static constexpr std::array<std::uint8_t, 16> one{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  static constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::equal(one.begin(), one.end(), bytes.begin()) ||
         (std::equal(mapped.begin(), mapped.end(), bytes.begin()) && bytes[12] == 127);
}

Parsed<Network> parse_network(std::string_view text, Family family) {
  const auto wrong = std::unexpected(network_wanted(family));
  const std::size_t slash = text.find('/');
  const auto bytes = address_bytes(text.substr(0, slash));
  if (bytes.empty()) return wrong;
  const Family found = bytes.size() == 4 ? Family::ipv4 : Family::ipv6;
  if (family != Family::either && family != found) return wrong;
  const auto bits = static_cast<unsigned>(bytes.size() * 8);
  if (slash == std::string_view::npos) {
    if (family != Family::either) return wrong;
    return Network{found, bits};
  }
  const auto prefix = parse_number(text.substr(slash + 1), 0, bits);
  if (!prefix || !host_bits_zero(bytes, static_cast<unsigned>(*prefix))) return wrong;
  return Network{found, static_cast<unsigned>(*prefix)};
}

std::string redacted_url(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos || url.starts_with("sqlite:")) return std::string(url);
  const std::size_t begin = scheme + 3;
  // libpq ends the user and the password at the first @ that comes before a slash.
  std::size_t at = url.substr(0, url.find('/', begin)).rfind('@');
  if (at == std::string_view::npos) at = url.substr(0, url.find('?', begin)).rfind('@');
  std::string result(url.substr(0, begin));
  std::size_t rest = begin;
  if (at != std::string_view::npos && at >= begin) {
    const std::string_view user = url.substr(begin, at - begin);
    result += user.substr(0, user.find(':'));
    if (user.contains(':')) result.append(":").append(redacted);
    rest = at;
  }
  return result + redacted_parameters(url.substr(rest));
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, diagonal + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace lp::gateway::config
