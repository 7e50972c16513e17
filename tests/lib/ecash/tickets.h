// Tickets made in a test.
#pragma once

#include <cstdint>

#include "lib/crypto/bls.h"
#include "lib/ecash/issuer_key.h"
#include "lib/ecash/ticket.h"
#include "lib/messages/registration.h"

namespace lp::test {

inline constexpr messages::TicketType all_ticket_types[] = {
    messages::TicketType::v1_mixnet_entry, messages::TicketType::v1_mixnet_exit,
    messages::TicketType::v1_wireguard_entry, messages::TicketType::v1_wireguard_exit};

/// The generator of G1.
[[nodiscard]] crypto::G1Point g1_generator();

[[nodiscard]] crypto::BlsScalar scalar(std::uint64_t value);

/// -point: r - 1 times it.
[[nodiscard]] crypto::G1Point negated(const crypto::G1Point& point);

[[nodiscard]] crypto::G1Point sum(const crypto::G1Point& a, const crypto::G1Point& b);

/// A ticket for a random gateway with a random nullifier.
[[nodiscard]] ecash::TicketMessage random_message(
    messages::TicketType type = messages::TicketType::v1_wireguard_entry);

/// What the authority gives for it, had it been asked in the open.
[[nodiscard]] crypto::G1Encoding sign_openly(const ecash::IssuerKey& key,
                                             const ecash::TicketMessage& message);

}  // namespace lp::test
