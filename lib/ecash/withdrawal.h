// The client's side: getting a ticket signed without showing it (docs/ecash.md, "Withdrawal").
//
//   auto withdrawal = Withdrawal::start(gateway, type, expiry);
//   // store message(), blinding_factor() and blinded(); send blinded() to the authority
//   auto credential = withdrawal.finish(answer, key);
//   // store the credential, erase the blinding factor
#pragma once

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/base/secret.h"
#include "lib/crypto/bls.h"
#include "lib/ecash/ticket.h"
#include "lib/ecash/verification_key.h"
#include "lib/messages/registration.h"

namespace lp::ecash {

/// One ticket on its way. Move-only: who has the blinding factor can link what the authority saw to
/// what is spent. It does no I/O; a wallet stores it before the request is sent.
class Withdrawal {
 public:
  /// A new ticket of this type's worth, with a random nullifier and a random blinding factor.
  [[nodiscard]] static Withdrawal start(const crypto::Identity& gateway, messages::TicketType type,
                                        UnixSeconds expiry) noexcept;
  /// From what a wallet stored. Gives the same blinded point, so that the authority, asked again,
  /// counts it once. Fails with scalar_invalid.
  [[nodiscard]] static Result<Withdrawal> resume(const TicketMessage& message,
                                                 const Secret<32>& blinding_factor) noexcept;

  [[nodiscard]] const TicketMessage& message() const noexcept { return message_; }
  [[nodiscard]] Secret<32> blinding_factor() const noexcept { return factor_.to_bytes(); }
  /// What goes to the authority.
  [[nodiscard]] const crypto::G1Encoding& blinded() const noexcept { return blinded_; }

  /// Takes the authority's signature of `blinded`, removes the blinding and verifies the result
  /// with the key the chain has for this type and expiry. Fails with what G1Point::decode says of
  /// the answer, or with signature_invalid: the authority signed with another key, or something
  /// else. May be tried again with another answer.
  [[nodiscard]] Result<messages::Credential> finish(ByteView signed_blinded,
                                                    const VerificationKey& key) const;

 private:
  Withdrawal(const TicketMessage& message, crypto::BlsScalar factor) noexcept;

  TicketMessage message_;
  crypto::BlsScalar factor_;
  crypto::G1Encoding blinded_;
};

}  // namespace lp::ecash
