// What a ticket says, and the point that is signed for it (docs/ecash.md, "Message").
#pragma once

#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/crypto/bls.h"
#include "lib/crypto/keys.h"
#include "lib/messages/registration.h"

namespace lp::ecash {

/// The domain separation tag under which messages are hashed to G1.
inline constexpr std::string_view hash_domain = "LP-ECASH-V1-BLS12381G1_XMD:SHA-256_SSWU_RO_";

/// The verification key of one epoch and ticket type.
using PublicKey = crypto::G2Point;

/// Bytes that one ticket of this type grants. They follow from the key: the authority signs
/// blindly.
[[nodiscard]] constexpr std::uint64_t ticket_worth(messages::TicketType type) noexcept {
  constexpr std::uint64_t megabyte = 1'000'000;
  switch (type) {
    case messages::TicketType::v1_mixnet_entry:
      return 200 * megabyte;
    case messages::TicketType::v1_mixnet_exit:
      return 100 * megabyte;
    case messages::TicketType::v1_wireguard_entry:
    case messages::TicketType::v1_wireguard_exit:
      return 500 * megabyte;
  }
  return 0;
}

/// All that a ticket's signature covers.
struct TicketMessage {
  crypto::Identity gateway;  ///< the only gateway that takes it
  messages::Nullifier nullifier{};
  std::uint64_t bandwidth_amount = 0;  ///< bytes
  UnixSeconds expiry = 0;
  messages::TicketType type = messages::TicketType::v1_wireguard_entry;
  friend bool operator==(const TicketMessage&, const TicketMessage&) = default;
};

/// gateway 32 ‖ nullifier 32 ‖ bandwidth_amount u64 big-endian ‖ expiry u64 big-endian ‖ type 1.
using EncodedTicketMessage = ByteArray<81>;
[[nodiscard]] EncodedTicketMessage encode(const TicketMessage& message) noexcept;

/// The message's point of G1: what is signed.
[[nodiscard]] crypto::G1Point hash_to_g1(const TicketMessage& message) noexcept;

}  // namespace lp::ecash
