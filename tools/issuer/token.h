// Bearer tokens: who may withdraw.
#pragma once

#include <string>
#include <string_view>

#include "lib/crypto/hash.h"

namespace lp::issuer {

/// A new token: "lpi_" and 32 random bytes as base58.
[[nodiscard]] std::string generate_token();

/// What is stored of a token. A token has 256 bits of randomness, so that its hash needs neither
/// salt nor effort.
[[nodiscard]] crypto::Sha256Digest hash_token(std::string_view token) noexcept;

/// The token of an Authorization header (RFC 6750, section 2.1), empty where there is none.
[[nodiscard]] std::string_view bearer_token(std::string_view authorization) noexcept;

}  // namespace lp::issuer
