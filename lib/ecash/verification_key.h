// Verification of tickets, one or many at once (docs/ecash.md, "Spending").
#pragma once

#include <span>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/crypto/bls.h"
#include "lib/ecash/ticket.h"

namespace lp::ecash {

/// A ticket as it came. The signature is viewed, not owned.
struct UnverifiedTicket {
  TicketMessage message;
  ByteView signature;
};

/// What became of a batch.
struct BatchVerdict {
  std::vector<Status> tickets;  ///< in the order given
  /// The tickets did not hold together and each was verified alone: somebody sent a well-formed
  /// signature that is none.
  bool checked_one_by_one = false;
};

/// A public key made ready for many verifications. It takes about 20 kB, and less time to make than
/// one verification: keep it for the keys in use, and PublicKey for the others. Verification is
/// safe from several threads at once.
class VerificationKey {
 public:
  explicit VerificationKey(const PublicKey& key);

  [[nodiscard]] const PublicKey& public_key() const noexcept { return key_; }

  /// Fails with signature_invalid, or with what G1Point::decode says of the signature. Whether the
  /// ticket has expired, is worth its amount or was spent before is the caller's to know.
  [[nodiscard]] Status verify(const TicketMessage& message, ByteView signature) const;

  /// The same verdicts as `verify` on each, but that a false signature passes with a chance of
  /// 2^-64, whatever its maker knows. Signatures that do not decode are refused first and disturb
  /// no other. The rest is one equation; where that fails, each is verified alone, once.
  [[nodiscard]] BatchVerdict verify_batch(std::span<const UnverifiedTicket> tickets) const;

 private:
  [[nodiscard]] bool holds(const crypto::G1Point& hash,
                           const crypto::G1Point& signature) const noexcept;
  [[nodiscard]] bool hold_together(std::span<const crypto::G1Point> hashes,
                                   std::span<const crypto::G1Point> signatures) const;

  PublicKey key_;
  crypto::PreparedG2 prepared_;
};

}  // namespace lp::ecash
