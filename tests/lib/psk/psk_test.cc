#include "lib/psk/psk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/lib/outcome.h"
#include "tests/support/vectors.h"

namespace lp::psk {
namespace {

using testing::ElementsAreArray;

TEST(Psk, SidesOrReferenceDisagree) {
  for (const auto& vector : test::lp_v1().handshakes) {
    const auto client = derive_psk(vector.client().secret, vector.gateway_public, vector.salt);
    const auto gateway = derive_psk(vector.gateway().secret, vector.client_public, vector.salt);
    ASSERT_TRUE(client && gateway);
    EXPECT_THAT(client->bytes(), ElementsAreArray(vector.psk));
    EXPECT_THAT(gateway->bytes(), ElementsAreArray(vector.psk));
  }
}

TEST(Psk, SaltIsNotPartOfIt) {
  const auto& vector = test::lp_v1().handshakes[0];
  for (std::size_t byte = 0; byte < vector.salt.size(); ++byte) {
    wire::Salt salt = vector.salt;
    salt[byte] ^= 1;
    const auto other = derive_psk(vector.client().secret, vector.gateway_public, salt);
    ASSERT_TRUE(other);
    EXPECT_THAT(other->bytes(), testing::Not(ElementsAreArray(vector.psk))) << byte;
  }
}

TEST(Psk, AllZeroSharedSecretGivesOne) {
  const auto& vector = test::lp_v1().handshakes[0];
  EXPECT_EQ(test::error_of(derive_psk(vector.client().secret, crypto::X25519Public{}, vector.salt)),
            Error::key_low_order);
}

TEST(LpId, DiffersFromTheVectorsOrBetweenTheSides) {
  for (const auto& vector : test::lp_v1().lp_ids) {
    EXPECT_EQ(lp_id(vector.a, vector.b), vector.lp_id);
    EXPECT_EQ(lp_id(vector.b, vector.a), vector.lp_id);
  }
  for (const auto& vector : test::lp_v1().handshakes) {
    EXPECT_EQ(lp_id(vector.client_public, vector.gateway_public), vector.lp_id);
    EXPECT_EQ(lp_id(vector.gateway_public, vector.client_public), vector.lp_id);
  }
}

TEST(LpId, OrderIsNotBytewise) {
  // Differ in the last byte alone, and in the first as unsigned bytes.
  crypto::X25519Public a;
  crypto::X25519Public b;
  a.bytes[31] = 1;
  EXPECT_EQ(lp_id(a, b), lp_id(b, a));
  EXPECT_NE(lp_id(a, b), lp_id(a, a));
  b.bytes[0] = 0x80;
  EXPECT_EQ(lp_id(a, b), lp_id(b, a));
}

}  // namespace
}  // namespace lp::psk
