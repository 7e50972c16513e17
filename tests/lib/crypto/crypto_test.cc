#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "lib/base/encoding.h"
#include "lib/crypto/blake3.h"
#include "lib/crypto/hash.h"
#include "lib/crypto/random.h"
#include "lib/crypto/siphash.h"
#include "tests/support/vectors.h"

namespace lp::crypto {
namespace {

using testing::ElementsAreArray;

TEST(Blake3, DiffersFromTheVectors) {
  for (const auto& vector : test::lp_v1().blake3) {
    EXPECT_EQ(blake3(vector.input), vector.hash) << vector.input.size() << " bytes";
    EXPECT_THAT(blake3_derive_key(vector.context, {vector.input}).bytes(),
                ElementsAreArray(vector.derived_key))
        << vector.input.size() << " bytes";
  }
}

TEST(Blake3, PartsAreNotTheirConcatenation) {
  for (const auto& vector : test::lp_v1().blake3) {
    const ByteView input = vector.input;
    const std::size_t cut = input.size() / 3;
    EXPECT_THAT(
        blake3_derive_key(vector.context, {input.first(cut), {}, input.subspan(cut)}).bytes(),
        ElementsAreArray(vector.derived_key));
  }
  EXPECT_NE(to_hex(blake3_derive_key("nym-lp-psk-v1", {}).bytes()),
            to_hex(blake3_derive_key("nym-lp-psk-v2", {}).bytes()));
}

// FIPS 180-2, appendix B.1.
TEST(Sha256, DiffersFromTheStandard) {
  const Bytes abc{'a', 'b', 'c'};
  constexpr std::string_view expected =
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  for (std::size_t cut = 0; cut <= abc.size(); ++cut) {
    EXPECT_EQ(to_hex(sha256(ByteView(abc).first(cut), ByteView(abc).subspan(cut))), expected);
  }
}

// RFC 5869, test case 3: no salt, which HMAC pads to zeros, and no info, as in Noise.
TEST(NoiseHkdf, DiffersFromRfc5869) {
  const Bytes key_material(22, 0x0b);
  const auto two = noise_hkdf<2>(Secret<32>(), key_material);
  const auto three = noise_hkdf<3>(Secret<32>(), key_material);
  EXPECT_EQ(to_hex(two[0].bytes()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
  EXPECT_EQ(to_hex(two[1].bytes()).substr(0, 20), "9d201395faa4b61a96c8");
  EXPECT_THAT(three[0].bytes(), ElementsAreArray(two[0].bytes()));
  EXPECT_THAT(three[1].bytes(), ElementsAreArray(two[1].bytes()));
  EXPECT_NE(to_hex(three[2].bytes()), to_hex(three[1].bytes()));
}

// Key 00 … 0f and inputs 00, 00 01, …: as the Rust standard library's own tests have it.
TEST(SipHash13, RoundsOrTailAreWrong) {
  ByteArray<16> key;
  std::iota(key.begin(), key.end(), std::uint8_t{0});
  const auto k0 = load_le<std::uint64_t>(key.data());
  const auto k1 = load_le<std::uint64_t>(key.data() + 8);
  ByteArray<8> hash;
  store_le(hash.data(), siphash13(k0, k1, {}));
  EXPECT_EQ(to_hex(hash), "dcc40f055801acab");
}

TEST(Randomness, RepeatsItself) {
  ASSERT_TRUE(initialise());
  ASSERT_TRUE(initialise()) << "a second call is allowed";
  ByteArray<32> a{};
  ByteArray<32> b{};
  random_bytes(a);
  random_bytes(b);
  EXPECT_NE(a, b);
  EXPECT_FALSE(random_u32() == random_u32() && random_u32() == random_u32());
  random_bytes({});
}

}  // namespace
}  // namespace lp::crypto
