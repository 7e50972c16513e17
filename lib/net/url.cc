#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "lib/net/fetch.h"

namespace lp::net {
namespace {

constexpr std::size_t max_url = 4096;
constexpr std::size_t max_host = 253;

bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// RFC 3986, section 3.3 (pchar) and 3.4, without the percent sign.
bool is_path_character(char c) {
  return is_alpha(c) || is_digit(c) || std::string_view("-._~!$&'()*+,;=:@/?").contains(c);
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Takes the scheme off the front; true for https.
std::optional<bool> take_scheme(std::string_view& text) {
  const auto end = text.find("://");
  if (end == std::string_view::npos) return std::nullopt;
  std::string scheme(text.substr(0, end));
  std::ranges::transform(scheme, scheme.begin(), lower);
  text.remove_prefix(end + 3);
  if (scheme == "https") return true;
  if (scheme == "http") return false;
  return std::nullopt;
}

/// What is wrong with it; nothing where nothing is.
std::optional<std::string_view> check_path(std::string_view path) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '#') return "must have no fragment";
    if (path[i] == '%') {
      if (i + 2 >= path.size() || !is_hex(path[i + 1]) || !is_hex(path[i + 2])) {
        return "has a % that no two hexadecimal digits follow";
      }
      continue;
    }
    if (!is_path_character(path[i])) return "has a character in its path that no URL may have";
  }
  return std::nullopt;
}

bool is_ipv6(const std::string& text) {
  in6_addr address{};
  return inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

/// A host name as DNS and /etc/hosts have them, or an IPv4 address.
bool is_host_name(std::string_view text) {
  return !text.empty() && text.size() <= max_host && text.front() != '.' && text.front() != '-' &&
         std::ranges::all_of(text, [](char c) {
           return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_';
         });
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  unsigned value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || stop != text.data() + text.size() || value < 1 || value > 65'535) {
    return std::nullopt;
  }
  return static_cast<std::uint16_t>(value);
}

std::optional<std::string_view> parse_authority(std::string_view authority, Url& url) {
  if (authority.contains('@')) return "must have no user name and no password";
  std::string_view port;
  bool has_port = false;
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return "has a [ without its ]";
    url.host = authority.substr(1, end - 1);
    if (!is_ipv6(url.host)) return "has no IPv6 address between [ and ]";
    port = authority.substr(end + 1);
    has_port = !port.empty();
    if (has_port && !port.starts_with(':')) return "has no port after the address";
    if (has_port) port.remove_prefix(1);
  } else {
    const auto colon = authority.find(':');
    has_port = colon != std::string_view::npos;
    url.host = authority.substr(0, colon);
    if (has_port) port = authority.substr(colon + 1);
    if (url.host.empty()) return "has no host";
    if (!is_host_name(url.host)) return "has no host name or address where one belongs";
  }
  if (!has_port) {
    url.port = url.tls ? 443 : 80;
    return std::nullopt;
  }
  const auto number = parse_port(port);
  if (!number) return "has a port that is none";
  url.port = *number;
  return std::nullopt;
}

}  // namespace

std::expected<Url, std::string> Url::parse(std::string_view text) {
  if (text.size() > max_url) return std::unexpected("is longer than 4,096 characters");
  Url url;
  const auto tls = take_scheme(text);
  if (!tls) return std::unexpected("must begin with https:// or http://");
  url.tls = *tls;
  const auto end = std::min(text.find_first_of("/?#"), text.size());
  if (const auto wrong = parse_authority(text.substr(0, end), url)) {
    return std::unexpected(std::string(*wrong));
  }
  url.path = text.substr(end);
  if (const auto wrong = check_path(url.path)) return std::unexpected(std::string(*wrong));
  if (!url.path.starts_with('/')) url.path.insert(0, 1, '/');
  return url;
}

// Names other than this one are not looked up: what they lead to may change.
bool Url::is_loopback() const {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  in6_addr v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return std::ranges::equal(host, std::string_view("localhost"), {}, lower);
}

std::string Url::to_string() const {
  const bool bracketed = host.contains(':');
  const bool usual = port == (tls ? 443 : 80);
  return fmt::format("{}://{}{}{}{}{}", tls ? "https" : "http", bracketed ? "[" : "", host,
                     bracketed ? "]" : "", usual ? "" : fmt::format(":{}", port), path);
}

}  // namespace lp::net
