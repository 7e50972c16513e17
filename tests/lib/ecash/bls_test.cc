#include "lib/crypto/bls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <sstream>
#include <type_traits>
#include <utility>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "lib/ecash/issuer_key.h"
#include "lib/ecash/withdrawal.h"
#include "tests/lib/ecash/tickets.h"
#include "tests/lib/ecash/vectors.h"
#include "tests/lib/outcome.h"

namespace lp::crypto {
namespace {

using test::error_of;
using testing::Each;

Secret<32> secret_from(std::string_view hex) {
  return Secret<32>(to_array<32>(from_hex(hex).value()));
}

/// The compressed form of (x, y), by the definition of its flags.
Bytes compressed(Bytes x, const Bytes& y) {
  static const Bytes half_of_p =  // (p - 1) / 2
      from_hex(
          "0d0088f51cbff34d258dd3db21a5d66bb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fff"
          "ffffd555")
          .value();
  const bool larger = std::ranges::lexicographical_compare(half_of_p, y);
  x[0] |= std::uint8_t{0x80};
  if (larger) x[0] |= std::uint8_t{0x20};
  return x;
}

TEST(HashToG1, DiffersFromRfc9380) {
  const auto& rfc = test::rfc_9380_g1_vectors();
  EXPECT_EQ(rfc.domain, "QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_");
  ASSERT_EQ(rfc.vectors.size(), 5U);
  for (const auto& vector : rfc.vectors) {
    const Bytes message(vector.message.begin(), vector.message.end());
    EXPECT_EQ(to_hex(G1Point::hash(message, rfc.domain).encode()),
              to_hex(compressed(vector.x, vector.y)))
        << vector.message;
  }
}

TEST(HashToG1, ForgetsTheDomainOrTheMessage) {
  const Bytes message{1, 2, 3};
  const Bytes other{1, 2, 4};
  EXPECT_EQ(G1Point::hash(message, "A"), G1Point::hash(message, "A"));
  EXPECT_FALSE(G1Point::hash(message, "A") == G1Point::hash(message, "B"));
  EXPECT_FALSE(G1Point::hash(message, "A") == G1Point::hash(other, "A"));
}

TEST(Points, ABadEncodingOfG1IsTakenOrMisnamed) {
  for (const auto& refused : test::ecash_vectors().refused_g1) {
    const auto point = G1Point::decode(refused.encoding);
    ASSERT_FALSE(point) << refused.name;
    EXPECT_EQ(name(point.error()), refused.error) << refused.name;
  }
}

TEST(Points, ABadEncodingOfG2IsTakenOrMisnamed) {
  for (const auto& refused : test::ecash_vectors().refused_g2) {
    const auto point = G2Point::decode(refused.encoding);
    ASSERT_FALSE(point) << refused.name;
    EXPECT_EQ(name(point.error()), refused.error) << refused.name;
  }
}

TEST(Points, TwoEncodingsOfOnePointAreTaken) {
  for (int round = 0; round < 64; ++round) {
    const BlsScalar factor = BlsScalar::random();
    const auto g1 = multiply(factor, test::g1_generator()).encode();
    EXPECT_EQ(G1Point::decode(g1).value().encode(), g1);
    const auto g2 = multiply_generator(factor).encode();
    EXPECT_EQ(G2Point::decode(g2).value().encode(), g2);
  }
}

TEST(Points, APointExistsUnchecked) {
  static_assert(!std::is_default_constructible_v<G1Point>);
  static_assert(!std::is_default_constructible_v<G2Point>);
  static_assert(!std::is_constructible_v<G1Point, G1Encoding>);
  static_assert(!std::is_constructible_v<G2Point, G2Encoding>);
}

TEST(Scalars, ZeroOrOneNotBelowTheOrderIsTaken) {
  for (const auto* hex : {"0000000000000000000000000000000000000000000000000000000000000000",
                          "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001",
                          "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000002",
                          "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"}) {
    EXPECT_EQ(error_of(BlsScalar::from_bytes(secret_from(hex))), Error::scalar_invalid) << hex;
  }
  for (const auto* hex : {"0000000000000000000000000000000000000000000000000000000000000001",
                          "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000"}) {
    const auto scalar = BlsScalar::from_bytes(secret_from(hex));
    ASSERT_TRUE(scalar) << hex;
    EXPECT_EQ(to_hex(scalar->to_bytes().bytes()), hex);
  }
}

TEST(Scalars, RandomOnesRepeatOrLeaveBitsUnused) {
  std::set<std::string> seen;
  ByteArray<32> ones{};
  ByteArray<32> zeros{};
  for (int i = 0; i < 256; ++i) {
    const auto bytes = BlsScalar::random().to_bytes();
    seen.insert(to_hex(bytes.bytes()));
    for (std::size_t k = 0; k < 32; ++k) {
      ones[k] |= bytes.bytes()[k];
      zeros[k] |= static_cast<std::uint8_t>(~bytes.bytes()[k]);
    }
  }
  EXPECT_EQ(seen.size(), 256U);
  EXPECT_EQ(ones[0], 0x7f);
  EXPECT_THAT(std::span(ones).subspan(1), Each(0xff));
  EXPECT_THAT(zeros, Each(0xff));
}

TEST(Scalars, InverseDoesNotUndoAMultiplication) {
  for (int round = 0; round < 32; ++round) {
    const BlsScalar factor = BlsScalar::random();
    const G1Point point = G1Point::hash(factor.to_bytes().bytes(), "test");
    EXPECT_EQ(multiply(factor.inverse(), multiply(factor, point)), point);
  }
}

TEST(Scalars, BytesOutliveTheScalar) {
  alignas(BlsScalar) std::uint8_t storage[sizeof(BlsScalar)];
  auto* const scalar = new (storage) BlsScalar(test::scalar(0x0101010101010101));
  ASSERT_THAT(std::span(storage).first(8), Each(1));
  std::destroy_at(scalar);
  EXPECT_THAT(storage, Each(0));
}

TEST(Scalars, BytesStayWhereAScalarWasMovedFrom) {
  BlsScalar from = BlsScalar::random();
  const BlsScalar to = std::move(from);
  EXPECT_THAT(from.to_bytes().bytes(), Each(0));  // NOLINT(bugprone-use-after-move): its subject
}

TEST(Scalars, AreCopiedUnawaresOrPrinted) {
  static_assert(!std::is_copy_constructible_v<BlsScalar>);
  static_assert(!std::is_copy_constructible_v<ecash::IssuerKey>);
  static_assert(!std::is_copy_constructible_v<ecash::Withdrawal>);
  std::ostringstream out;
  out << BlsScalar::random();
  EXPECT_EQ(out.str(), redacted);
}

TEST(Multiplication, DiffersFromRepeatedAddition) {
  const G1Point generator = test::g1_generator();
  EXPECT_EQ(multiply(test::scalar(1), generator), generator);
  G1Point added = test::sum(generator, generator);
  for (std::uint64_t factor = 2; factor < 40; ++factor) {
    EXPECT_EQ(multiply(test::scalar(factor), generator), added) << factor;
    added = test::sum(added, generator);
  }
}

/// Over multiples of the generator, so that the sum is known without any of the code under test.
TEST(LinearCombination, DiffersFromTheSumOfItsTerms) {
  __extension__ using Wide = unsigned __int128;
  const G1Point generator = test::g1_generator();
  for (const std::size_t count : {1U, 2U, 3U, 4U, 7U, 8U, 15U, 31U, 32U, 33U, 64U, 127U, 128U}) {
    std::vector<G1Point> points;
    std::vector<std::uint64_t> coefficients;
    Wide expected = 0;
    for (std::size_t i = 0; i < count; ++i) {
      // Some points come twice in a row, and coefficients touch both ends.
      const std::uint64_t multiple = 1 + i / 2 * 0x9e3779b9U;
      const std::uint64_t coefficient =
          i % 5 == 3 ? ~std::uint64_t{0} : (i % 5 == 4 ? 1 : 0x0123456789abcdefU * (i + 1));
      points.push_back(multiply(test::scalar(multiple), generator));
      coefficients.push_back(coefficient);
      expected += Wide{multiple} * coefficient;
    }
    Secret<32> bytes;
    store_be(bytes.mutable_bytes().data() + 16, static_cast<std::uint64_t>(expected >> 64));
    store_be(bytes.mutable_bytes().data() + 24, static_cast<std::uint64_t>(expected));
    const auto sum = linear_combination(points, coefficients);
    ASSERT_TRUE(sum) << count;
    EXPECT_EQ(*sum, multiply(BlsScalar::from_bytes(bytes).value(), generator)) << count;
  }
}

TEST(LinearCombination, InfinityBecomesAPoint) {
  const G1Point point = G1Point::hash({}, "test");
  const std::array points{point, test::negated(point)};
  EXPECT_FALSE(linear_combination(points, std::array<std::uint64_t, 2>{7, 7}));
  EXPECT_TRUE(linear_combination(points, std::array<std::uint64_t, 2>{7, 8}));
}

TEST(Pairings, AreNotBilinear) {
  const BlsScalar a = BlsScalar::random();
  const BlsScalar b = BlsScalar::random();
  const G1Point point = G1Point::hash({}, "test");
  const PreparedG2 a_g2(multiply_generator(a));
  const PreparedG2 b_g2(multiply_generator(b));
  const PreparedG2& g2 = PreparedG2::generator();
  EXPECT_TRUE(pairings_equal(multiply(a, point), g2, point, a_g2));
  EXPECT_TRUE(pairings_equal(multiply(a, point), b_g2, multiply(b, point), a_g2));
  EXPECT_FALSE(pairings_equal(multiply(a, point), g2, point, b_g2));
  EXPECT_FALSE(pairings_equal(point, g2, point, a_g2));
  EXPECT_FALSE(pairings_equal(test::negated(multiply(a, point)), g2, point, a_g2));
}

}  // namespace
}  // namespace lp::crypto
