#include "tests/lib/ecash/tickets.h"

#include <array>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"

namespace lp::test {

crypto::G1Point g1_generator() {
  return crypto::G1Point::decode(from_hex("97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f"
                                          "171bac586c55e83ff97a1aeffb3af00adb22c6bb")
                                     .value())
      .value();
}

crypto::BlsScalar scalar(std::uint64_t value) {
  Secret<32> bytes;
  store_be(bytes.mutable_bytes().data() + 24, value);
  return crypto::BlsScalar::from_bytes(bytes).value();
}

crypto::G1Point negated(const crypto::G1Point& point) {
  const auto bytes =
      from_hex("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000").value();
  return multiply(crypto::BlsScalar::from_bytes(Secret<32>(to_array<32>(bytes))).value(), point);
}

crypto::G1Point sum(const crypto::G1Point& a, const crypto::G1Point& b) {
  return crypto::linear_combination(std::array{a, b}, std::array<std::uint64_t, 2>{1, 1}).value();
}

ecash::TicketMessage random_message(messages::TicketType type) {
  ecash::TicketMessage message{.gateway = {},
                               .nullifier = {},
                               .bandwidth_amount = ecash::ticket_worth(type),
                               .expiry = 1'763'424'000,
                               .type = type};
  crypto::random_bytes(message.gateway.bytes);
  crypto::random_bytes(message.nullifier);
  return message;
}

crypto::G1Encoding sign_openly(const ecash::IssuerKey& key, const ecash::TicketMessage& message) {
  return key.sign(hash_to_g1(message)).encode();
}

}  // namespace lp::test
