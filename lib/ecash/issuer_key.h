// The authority's side: a key pair per epoch and ticket type, and signing of blinded points
// (docs/ecash.md, "Keys" and "Withdrawal").
#pragma once

#include "lib/base/error.h"
#include "lib/base/secret.h"
#include "lib/crypto/bls.h"
#include "lib/ecash/ticket.h"

namespace lp::ecash {

/// One signing key. Move-only; wiped. Signing is safe from several threads at once.
class IssuerKey {
 public:
  [[nodiscard]] static IssuerKey generate() noexcept;
  /// From what `secret` gave. Fails with scalar_invalid.
  [[nodiscard]] static Result<IssuerKey> from_secret(const Secret<32>& secret) noexcept;

  /// 32 bytes to store where nobody else reads.
  [[nodiscard]] Secret<32> secret() const noexcept { return scalar_.to_bytes(); }
  [[nodiscard]] const PublicKey& public_key() const noexcept { return public_key_; }

  /// key · blinded. `blinded` comes from a stranger: that it is in the subgroup is what keeps the
  /// key secret, for a point of small order would give away the key modulo that order. The type
  /// says that it has been checked.
  [[nodiscard]] crypto::G1Point sign(const crypto::G1Point& blinded) const noexcept;

 private:
  explicit IssuerKey(crypto::BlsScalar scalar) noexcept;

  crypto::BlsScalar scalar_;
  PublicKey public_key_;
};

}  // namespace lp::ecash
