#include "lib/ecash/verification_key.h"

#include <algorithm>

#include "lib/crypto/random.h"

namespace lp::ecash {
namespace {

/// Coefficients between 1 and 2^64 - 1, which nobody knows who chose the signatures.
std::vector<std::uint64_t> random_coefficients(std::size_t count) {
  std::vector<std::uint64_t> coefficients(count);
  Bytes bytes(count * sizeof(std::uint64_t));
  do {
    crypto::random_bytes(bytes);
    for (std::size_t i = 0; i < count; ++i) {
      coefficients[i] = load_le<std::uint64_t>(bytes.data() + i * sizeof(std::uint64_t));
    }
  } while (std::ranges::find(coefficients, 0U) != coefficients.end());
  return coefficients;
}

}  // namespace

VerificationKey::VerificationKey(const PublicKey& key) : key_(key), prepared_(key) {}

bool VerificationKey::holds(const crypto::G1Point& hash,
                            const crypto::G1Point& signature) const noexcept {
  // e(signature, g2) = e(hash, key)
  return crypto::pairings_equal(signature, crypto::PreparedG2::generator(), hash, prepared_);
}

bool VerificationKey::hold_together(std::span<const crypto::G1Point> hashes,
                                    std::span<const crypto::G1Point> signatures) const {
  // e(Σ cᵢ signatureᵢ, g2) = e(Σ cᵢ hashᵢ, key). Every term is in the group of prime order, so one
  // that is wrong is made good by exactly one value of its coefficient, modulo the order. Without
  // coefficients two wrong signatures could make good each other.
  const auto coefficients = random_coefficients(hashes.size());
  const auto signature = crypto::linear_combination(signatures, coefficients);
  const auto hash = crypto::linear_combination(hashes, coefficients);
  return signature && hash && holds(*hash, *signature);
}

Status VerificationKey::verify(const TicketMessage& message, ByteView signature) const {
  const auto point = crypto::G1Point::decode(signature);
  if (!point) return fail(point.error());
  if (!holds(hash_to_g1(message), *point)) return fail(Error::signature_invalid);
  return {};
}

BatchVerdict VerificationKey::verify_batch(std::span<const UnverifiedTicket> tickets) const {
  BatchVerdict verdict;
  verdict.tickets.resize(tickets.size());
  std::vector<std::size_t> places;
  std::vector<crypto::G1Point> hashes;
  std::vector<crypto::G1Point> signatures;
  places.reserve(tickets.size());
  hashes.reserve(tickets.size());
  signatures.reserve(tickets.size());

  for (std::size_t i = 0; i < tickets.size(); ++i) {
    const auto signature = crypto::G1Point::decode(tickets[i].signature);
    if (!signature) {
      verdict.tickets[i] = fail(signature.error());
      continue;
    }
    places.push_back(i);
    hashes.push_back(hash_to_g1(tickets[i].message));
    signatures.push_back(*signature);
  }

  if (places.empty() || (places.size() > 1 && hold_together(hashes, signatures))) return verdict;
  verdict.checked_one_by_one = places.size() > 1;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (!holds(hashes[i], signatures[i])) {
      verdict.tickets[places[i]] = fail(Error::signature_invalid);
    }
  }
  return verdict;
}

}  // namespace lp::ecash
