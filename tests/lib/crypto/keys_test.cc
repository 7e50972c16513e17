#include "lib/crypto/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/encoding.h"
#include "tests/lib/outcome.h"
#include "tests/support/vectors.h"

namespace lp::crypto {
namespace {

using test::error_of;
using testing::ElementsAreArray;

ByteArray<32> bytes32(std::string_view hex) {
  return to_array<32>(from_hex(hex).value());
}

TEST(Keys, IdentityOrItsX25519FormDiffersFromTheVectors) {
  for (const auto& vector : test::lp_v1().handshakes) {
    const auto pair = IdentityKeyPair::from_seed(Secret<32>(vector.gateway_seed));
    EXPECT_EQ(pair.identity, vector.gateway_identity);
    EXPECT_EQ(pair.identity.to_base58(), vector.gateway_identity_base58);
    EXPECT_EQ(Identity::from_base58(vector.gateway_identity_base58), vector.gateway_identity);

    const auto x25519_pair = pair.to_x25519();
    EXPECT_THAT(x25519_pair.secret.bytes(), ElementsAreArray(vector.gateway_secret));
    EXPECT_EQ(x25519_pair.public_key, vector.gateway_public);
    EXPECT_EQ(pair.identity.to_x25519(), vector.gateway_public)
        << "the client computes another key from the identity than the gateway holds";
  }
}

TEST(Keys, ClientKeyDiffersFromTheVectors) {
  for (const auto& vector : test::lp_v1().handshakes) {
    EXPECT_EQ(vector.client().public_key, vector.client_public);
    EXPECT_EQ(to_base58(vector.client_public.bytes), vector.client_public_base58);
  }
}

// RFC 7748, section 6.1.
TEST(X25519, DiffersFromTheRfc) {
  const auto pair = [](std::string_view secret) {
    return X25519KeyPair::from_secret(Secret<32>(bytes32(secret)));
  };
  const auto alice = pair("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  const auto bob = pair("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  EXPECT_EQ(to_hex(alice.public_key.bytes),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(to_hex(bob.public_key.bytes),
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  EXPECT_EQ(to_hex(x25519(alice.secret, bob.public_key).value().bytes()),
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

/// Every encoding of a point of low order, on the curve and on its twist, canonical or not: the
/// result of each is all zero.
constexpr std::string_view low_order_points[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

TEST(X25519, AllZeroResultIsTaken) {
  const auto own = test::lp_v1().handshakes[0].client();
  for (const auto hex : low_order_points) {
    for (const std::uint8_t unused_bit : ByteArray<2>{0x00, 0x80}) {
      X25519Public point{bytes32(hex)};
      point.bytes[31] |= unused_bit;
      EXPECT_EQ(error_of(x25519(own.secret, point)), Error::key_low_order) << to_hex(point.bytes);
      EXPECT_TRUE(is_low_order(point)) << to_hex(point.bytes);
    }
  }
}

TEST(X25519, SoundKeyIsCalledLowOrder) {
  EXPECT_FALSE(is_low_order({ByteArray<32>{9}}));
  for (const auto& vector : test::lp_v1().handshakes) {
    EXPECT_FALSE(is_low_order(vector.client_public));
    EXPECT_FALSE(is_low_order(vector.gateway_public));
  }
}

TEST(X25519, SidesDisagree) {
  const auto a = X25519KeyPair::generate();
  const auto b = X25519KeyPair::generate();
  EXPECT_NE(a.public_key, b.public_key);
  const auto ab = x25519(a.secret, b.public_key);
  const auto ba = x25519(b.secret, a.public_key);
  ASSERT_TRUE(ab && ba);
  EXPECT_THAT(ab->bytes(), ElementsAreArray(ba->bytes()));
  EXPECT_EQ(a.clone().public_key, a.public_key);
  EXPECT_THAT(a.clone().secret.bytes(), ElementsAreArray(a.secret.bytes()));
}

TEST(Identity, PointThatIsNoKeyIsTaken) {
  const std::string_view points[] = {
      // y = 2 is not on the curve
      "0200000000000000000000000000000000000000000000000000000000000000",
      // the neutral element, and the point of order 2
      "0100000000000000000000000000000000000000000000000000000000000000",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      // order 4, and order 8
      "0000000000000000000000000000000000000000000000000000000000000000",
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      // y = 1 written as p + 1
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  };
  for (const auto hex : points) {
    EXPECT_EQ(error_of(Identity::from_base58(to_base58(bytes32(hex)))), Error::key_invalid) << hex;
    EXPECT_EQ(error_of(Identity{bytes32(hex)}.to_x25519()), Error::key_invalid) << hex;
  }
}

TEST(Identity, TextThatIsNoKeyIsTaken) {
  const std::string good = test::lp_v1().handshakes[0].gateway_identity_base58;
  ASSERT_TRUE(Identity::from_base58(good));
  for (const std::string& text :
       {std::string(), good.substr(4), good + "1", "1" + good, good + " ", std::string("0OIl")}) {
    EXPECT_EQ(error_of(Identity::from_base58(text)), Error::base58_invalid) << text;
  }
}

TEST(Identity, TwoSeedsGiveOneIdentity) {
  EXPECT_NE(IdentityKeyPair::generate().identity, IdentityKeyPair::generate().identity);
}

// RFC 8032, section 7.1, tests 1 and 2.
TEST(Ed25519, ForgedSignatureVerifies) {
  const auto identity = [](std::string_view seed) {
    return IdentityKeyPair::from_seed(Secret<32>(bytes32(seed))).identity;
  };
  const auto signature = [](std::string_view hex) { return to_array<64>(from_hex(hex).value()); };
  const auto first = identity("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
  EXPECT_EQ(to_hex(first.bytes),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  auto good = signature(
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9"
      "b46bd25bf5f0595bbe24655141438e7a100b");
  EXPECT_TRUE(verify(first, {}, good));
  EXPECT_FALSE(verify(first, Bytes{0x72}, good));
  good[10] ^= 1;
  EXPECT_FALSE(verify(first, {}, good));

  const auto second = identity("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const auto other = signature(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1"
      "1d8c387b2eaeb4302aeeb00d291612bb0c00");
  EXPECT_TRUE(verify(second, Bytes{0x72}, other));
  EXPECT_FALSE(verify(first, Bytes{0x72}, other));
}

}  // namespace
}  // namespace lp::crypto
