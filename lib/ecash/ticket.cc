#include "lib/ecash/ticket.h"

#include <algorithm>

namespace lp::ecash {

EncodedTicketMessage encode(const TicketMessage& message) noexcept {
  EncodedTicketMessage encoded;
  auto* to = std::ranges::copy(message.gateway.bytes, encoded.data()).out;
  to = std::ranges::copy(message.nullifier, to).out;
  store_be(to, message.bandwidth_amount);
  store_be(to + 8, message.expiry);
  to[16] = static_cast<std::uint8_t>(message.type);
  return encoded;
}

crypto::G1Point hash_to_g1(const TicketMessage& message) noexcept {
  return crypto::G1Point::hash(encode(message), hash_domain);
}

}  // namespace lp::ecash
