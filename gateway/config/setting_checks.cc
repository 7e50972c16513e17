#include "gateway/config/setting_checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/config/log.h"
#include "gateway/config/values.h"
#include "gateway/storage/postgres_storage.h"
#include "lib/base/encoding.h"
#include "lib/base/secret.h"
#include "lib/ecash/contract_address.h"
#include "lib/net/fetch.h"
#include "lib/postgres/url.h"

namespace lp::gateway::config {
namespace {

bool printable(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

Assigned check_pool(const std::string& value, Family family, unsigned longest) {
  const auto network = parse_network(value, family);
  if (!network) return std::unexpected(network.error());
  if (network->prefix < 8 || network->prefix > longest) {
    return must(fmt::format("a network with a prefix from /8 to /{}", longest));
  }
  return {};
}

}  // namespace

std::unexpected<std::string> must(std::string_view what) {
  return std::unexpected("must be " + std::string(what));
}

Assigned check_path(const std::string& value) {
  if (value.empty()) return must("a path");
  if (value.find('\0') != std::string::npos) return must("a path without a zero byte");
  return {};
}

Assigned check_optional_path(const std::string& value) {
  return value.empty() ? Assigned{} : check_path(value);
}

Assigned check_address(const std::string& value) {
  return is_ip_address(value) ? Assigned{}
                              : must("an IPv4 or IPv6 address; names and ports are not taken");
}

Assigned check_optional_address(const std::string& value) {
  return value.empty() ? Assigned{} : check_address(value);
}

Assigned check_network(const std::string& value) {
  if (auto network = parse_network(value, Family::either); !network) {
    return std::unexpected(network.error());
  }
  return {};
}

Assigned check_ipv4_pool(const std::string& value) {
  return check_pool(value, Family::ipv4, 30);
}
Assigned check_ipv6_pool(const std::string& value) {
  return check_pool(value, Family::ipv6, 126);
}

Assigned check_storage(const std::string& value) {
  if (value.empty()) return {};
  if (value.starts_with("sqlite:") && value.size() > 7 && value.find('\0') == std::string::npos) {
    return {};
  }
  if (postgres::Url::looks_like(value)) {
    const auto url = postgres::Url::parse(value);
    return url ? Assigned{} : std::unexpected(url.error().detail);
  }
  return must("sqlite:PATH or postgresql://USER@HOST/NAME");
}

Assigned check_instance(const std::string& value) {
  if (value.empty() || storage::is_instance_name(value)) return {};
  return must("a name: 1 to 63 letters, digits, dots, hyphens and underscores");
}

Assigned check_interface(const std::string& value) {
  const bool fits = !value.empty() && value.size() <= 15 && printable(value) &&
                    value.find('/') == std::string::npos && value != "." && value != "..";
  return fits ? Assigned{}
              : must("the name of an interface: 1 to 15 characters, no / and no space");
}

Assigned check_preshared_key(const std::string& value) {
  if (value == "none" || value == "identity") return {};
  auto key = from_base64(value);
  const bool fits = key && key->size() == 32;
  if (key) wipe(*key);
  return fits ? Assigned{} : must("none, identity, or a key of 32 bytes in base64");
}

Assigned check_chain_url(const std::string& value) {
  if (value.empty()) return {};
  const auto url = net::Url::parse(value);
  if (!url) return std::unexpected(url.error());
  if (url->path.contains('?')) return std::unexpected("must have no query: paths are added to it");
  return {};
}

Assigned check_contract(const std::string& value) {
  if (value.empty() || ecash::is_contract_address(value)) return {};
  return must(std::string("a contract address: ").append(ecash::contract_address_rule));
}

Assigned check_log_level(const std::string& value) {
  return log::parse_level(value) ? Assigned{}
                                 : must("one of trace, debug, info, warning, error, off");
}

Assigned check_log_format(const std::string& value) {
  return log::parse_format(value) ? Assigned{} : must("one of auto, text, json, journal");
}

}  // namespace lp::gateway::config
