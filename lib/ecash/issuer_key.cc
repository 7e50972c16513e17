#include "lib/ecash/issuer_key.h"

#include <utility>

namespace lp::ecash {

IssuerKey::IssuerKey(crypto::BlsScalar scalar) noexcept
    : scalar_(std::move(scalar)), public_key_(crypto::multiply_generator(scalar_)) {}

IssuerKey IssuerKey::generate() noexcept {
  return IssuerKey(crypto::BlsScalar::random());
}

Result<IssuerKey> IssuerKey::from_secret(const Secret<32>& secret) noexcept {
  auto scalar = crypto::BlsScalar::from_bytes(secret);
  if (!scalar) return fail(scalar.error());
  return IssuerKey(std::move(*scalar));
}

crypto::G1Point IssuerKey::sign(const crypto::G1Point& blinded) const noexcept {
  return crypto::multiply(scalar_, blinded);
}

}  // namespace lp::ecash
