#include "tools/issuer/token.h"

#include <algorithm>

#include "lib/base/encoding.h"
#include "lib/base/secret.h"
#include "lib/crypto/random.h"

namespace lp::issuer {
namespace {

/// RFC 9110, section 11.1: the name of a scheme is case-insensitive.
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace

std::string generate_token() {
  Secret<32> random;
  crypto::random_bytes(random.mutable_bytes());
  return "lpi_" + to_base58(random.bytes());
}

crypto::Sha256Digest hash_token(std::string_view token) noexcept {
  return crypto::sha256({reinterpret_cast<const std::uint8_t*>(token.data()), token.size()});
}

std::string_view bearer_token(std::string_view authorization) noexcept {
  constexpr std::string_view scheme = "Bearer ";
  if (!equal_ignoring_case(authorization.substr(0, scheme.size()), scheme)) return {};
  authorization.remove_prefix(scheme.size());
  while (authorization.starts_with(' '))
    authorization.remove_prefix(1);
  while (authorization.ends_with(' '))
    authorization.remove_suffix(1);
  return authorization;
}

}  // namespace lp::issuer
