#include "lib/ecash/withdrawal.h"

#include <utility>

#include "lib/crypto/random.h"

namespace lp::ecash {

Withdrawal::Withdrawal(const TicketMessage& message, crypto::BlsScalar factor) noexcept
    : message_(message),
      factor_(std::move(factor)),
      blinded_(crypto::multiply(factor_, hash_to_g1(message_)).encode()) {}

Withdrawal Withdrawal::start(const crypto::Identity& gateway, messages::TicketType type,
                             UnixSeconds expiry) noexcept {
  TicketMessage message{.gateway = gateway,
                        .nullifier = {},
                        .bandwidth_amount = ticket_worth(type),
                        .expiry = expiry,
                        .type = type};
  crypto::random_bytes(message.nullifier);
  return {message, crypto::BlsScalar::random()};
}

Result<Withdrawal> Withdrawal::resume(const TicketMessage& message,
                                      const Secret<32>& blinding_factor) noexcept {
  auto factor = crypto::BlsScalar::from_bytes(blinding_factor);
  if (!factor) return fail(factor.error());
  return Withdrawal(message, std::move(*factor));
}

Result<messages::Credential> Withdrawal::finish(ByteView signed_blinded,
                                                const VerificationKey& key) const {
  const auto answer = crypto::G1Point::decode(signed_blinded);
  if (!answer) return fail(answer.error());
  const auto signature = crypto::multiply(factor_.inverse(), *answer).encode();
  if (const auto verified = key.verify(message_, signature); !verified) {
    return fail(verified.error());
  }
  return messages::Credential{.nullifier = message_.nullifier,
                              .signature = Bytes(signature.begin(), signature.end()),
                              .bandwidth_amount = message_.bandwidth_amount,
                              .expiry = message_.expiry};
}

}  // namespace lp::ecash
