// Requests to register, made before the clock runs: with mock tickets or with real ones.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lib/crypto/keys.h"
#include "lib/ecash/issuer_key.h"
#include "lib/messages/registration.h"

namespace lp::bench {

/// The authority of V1WireguardEntry for one epoch, which signs what it sees: how a ticket came to
/// be costs a gateway nothing.
class Authority {
 public:
  [[nodiscard]] UnixSeconds expiry() const noexcept { return expiry_; }
  /// What its chain answers to the query for verification keys.
  [[nodiscard]] std::string verification_keys() const;
  [[nodiscard]] messages::Credential sign(const crypto::Identity& gateway) const;

 private:
  ecash::IssuerKey key_ = ecash::IssuerKey::generate();
  UnixSeconds expiry_ = SystemWallClock().now() + 86'400;
};

/// Requests of new clients, each with a new key and a new ticket of `authority` for this gateway;
/// without an authority, with a ticket that only mock e-cash takes.
[[nodiscard]] std::vector<messages::RegistrationRequest> make_requests(
    std::size_t count, const crypto::Identity& gateway, const Authority* authority);

}  // namespace lp::bench
