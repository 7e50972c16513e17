#include "lib/ecash/withdrawal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "lib/base/encoding.h"
#include "lib/ecash/issuer_key.h"
#include "tests/lib/ecash/tickets.h"
#include "tests/lib/ecash/vectors.h"
#include "tests/lib/outcome.h"

namespace lp::ecash {
namespace {

using test::error_of;

crypto::Identity some_gateway() {
  return test::random_message().gateway;
}

constexpr UnixSeconds expiry = 1'763'424'000;

TEST(TicketWorth, DiffersFromTheDocumentedAmounts) {
  EXPECT_EQ(ticket_worth(messages::TicketType::v1_mixnet_entry), 200'000'000U);
  EXPECT_EQ(ticket_worth(messages::TicketType::v1_mixnet_exit), 100'000'000U);
  EXPECT_EQ(ticket_worth(messages::TicketType::v1_wireguard_entry), 500'000'000U);
  EXPECT_EQ(ticket_worth(messages::TicketType::v1_wireguard_exit), 500'000'000U);
}

TEST(TicketMessages, EncodeOrHashInAnotherWayThanWrittenDown) {
  for (const auto& vector : test::ecash_vectors().hashes) {
    EXPECT_EQ(to_hex(encode(vector.message)), to_hex(vector.encoded));
    EXPECT_EQ(to_hex(hash_to_g1(vector.message).encode()), to_hex(vector.point));
  }
}

TEST(IssuerKeys, PublicKeyDiffersFromTheOneOfItsSecret) {
  for (const auto& vector : test::ecash_vectors().keys) {
    const auto key = IssuerKey::from_secret(vector.secret);
    ASSERT_TRUE(key);
    EXPECT_EQ(to_hex(key->public_key().encode()), to_hex(vector.public_key));
    EXPECT_TRUE(equal_constant_time(key->secret().bytes(), vector.secret.bytes()));
  }
  EXPECT_EQ(error_of(IssuerKey::from_secret(Secret<32>{})), Error::scalar_invalid);
}

TEST(IssuerKeys, TwoGeneratedKeysAreEqual) {
  EXPECT_FALSE(IssuerKey::generate().public_key() == IssuerKey::generate().public_key());
}

/// Fixed keys, nullifiers and blinding factors: every value on the way.
TEST(WholeTickets, DifferFromAnotherImplementations) {
  for (const auto& vector : test::ecash_vectors().tickets) {
    EXPECT_EQ(vector.message.bandwidth_amount, ticket_worth(vector.message.type));
    EXPECT_EQ(to_hex(encode(vector.message)), to_hex(vector.encoded));
    EXPECT_EQ(to_hex(hash_to_g1(vector.message).encode()), to_hex(vector.point));

    const auto issuer = IssuerKey::from_secret(vector.secret);
    ASSERT_TRUE(issuer);
    EXPECT_EQ(to_hex(issuer->public_key().encode()), to_hex(vector.public_key));

    const auto withdrawal = Withdrawal::resume(vector.message, vector.blinding_factor);
    ASSERT_TRUE(withdrawal);
    EXPECT_EQ(to_hex(withdrawal->blinded()), to_hex(vector.blinded));

    const auto blinded = crypto::G1Point::decode(withdrawal->blinded());
    ASSERT_TRUE(blinded);
    const auto answer = issuer->sign(*blinded).encode();
    EXPECT_EQ(to_hex(answer), to_hex(vector.signed_blinded));

    const auto public_key = PublicKey::decode(vector.public_key);
    ASSERT_TRUE(public_key);
    const auto credential = withdrawal->finish(answer, VerificationKey(*public_key));
    ASSERT_TRUE(credential) << gloss(credential.error());
    EXPECT_EQ(to_hex(credential->signature), to_hex(vector.signature));
    EXPECT_EQ(credential->nullifier, vector.message.nullifier);
    EXPECT_EQ(credential->bandwidth_amount, vector.message.bandwidth_amount);
    EXPECT_EQ(credential->expiry, vector.message.expiry);
  }
}

TEST(Withdrawals, TicketOfSomeTypeCannotBeWithdrawnAndSpent) {
  for (const auto type : test::all_ticket_types) {
    const auto issuer = IssuerKey::generate();
    const VerificationKey key(issuer.public_key());
    const auto withdrawal = Withdrawal::start(some_gateway(), type, expiry);
    const auto answer = issuer.sign(crypto::G1Point::decode(withdrawal.blinded()).value());
    const auto credential = withdrawal.finish(answer.encode(), key);
    ASSERT_TRUE(credential) << gloss(credential.error());
    EXPECT_EQ(credential->bandwidth_amount, ticket_worth(type));
    EXPECT_EQ(error_of(key.verify(withdrawal.message(), credential->signature)), test::no_error);
  }
}

/// The authority sees the blinded point and what it answers; the gateway sees message, its point
/// and the signature. No value is on both sides.
TEST(Withdrawals, AuthoritySeesSomethingThatIsSpent) {
  const auto issuer = IssuerKey::generate();
  const VerificationKey key(issuer.public_key());
  const auto withdrawal =
      Withdrawal::start(some_gateway(), messages::TicketType::v1_wireguard_entry, expiry);
  const auto answer = issuer.sign(crypto::G1Point::decode(withdrawal.blinded()).value()).encode();
  const auto credential = withdrawal.finish(answer, key).value();
  const std::set seen{to_hex(withdrawal.blinded()), to_hex(answer)};
  EXPECT_FALSE(seen.contains(to_hex(credential.signature)));
  EXPECT_FALSE(seen.contains(to_hex(hash_to_g1(withdrawal.message()).encode())));
}

/// Any blinded point can belong to any ticket: for each pair there is a factor that fits, so the
/// point tells nothing. Here the same message is blinded twice, and each answer serves the other's
/// factor for nothing.
TEST(Withdrawals, BlindedPointsOfOneMessageAreRelated) {
  const auto issuer = IssuerKey::generate();
  const VerificationKey key(issuer.public_key());
  const auto message = test::random_message();
  const auto first = Withdrawal::resume(message, crypto::BlsScalar::random().to_bytes()).value();
  const auto second = Withdrawal::resume(message, crypto::BlsScalar::random().to_bytes()).value();
  EXPECT_NE(first.blinded(), second.blinded());
  const auto answer = issuer.sign(crypto::G1Point::decode(first.blinded()).value()).encode();
  EXPECT_EQ(error_of(second.finish(answer, key)), Error::signature_invalid);
  EXPECT_EQ(error_of(first.finish(answer, key)), test::no_error);
}

TEST(Withdrawals, TwoShareANullifierOrAFactor) {
  std::set<std::string> nullifiers;
  std::set<std::string> factors;
  std::set<std::string> points;
  const auto gateway = some_gateway();
  for (int i = 0; i < 64; ++i) {
    const auto withdrawal =
        Withdrawal::start(gateway, messages::TicketType::v1_mixnet_exit, expiry);
    nullifiers.insert(to_hex(withdrawal.message().nullifier));
    factors.insert(to_hex(withdrawal.blinding_factor().bytes()));
    points.insert(to_hex(withdrawal.blinded()));
  }
  EXPECT_EQ(nullifiers.size(), 64U);
  EXPECT_EQ(factors.size(), 64U);
  EXPECT_EQ(points.size(), 64U);
}

/// A wallet that resumes asks with the same point, or it would pay twice.
TEST(Withdrawals, ResumedOneAsksForAnotherPoint) {
  const auto started =
      Withdrawal::start(some_gateway(), messages::TicketType::v1_wireguard_exit, expiry);
  const auto resumed = Withdrawal::resume(started.message(), started.blinding_factor());
  ASSERT_TRUE(resumed);
  EXPECT_EQ(resumed->message(), started.message());
  EXPECT_EQ(resumed->blinded(), started.blinded());
  EXPECT_EQ(error_of(Withdrawal::resume(started.message(), Secret<32>{})), Error::scalar_invalid);
}

TEST(Withdrawals, WorthlessAnswerBecomesATicket) {
  const auto issuer = IssuerKey::generate();
  const VerificationKey key(issuer.public_key());
  const auto withdrawal =
      Withdrawal::start(some_gateway(), messages::TicketType::v1_wireguard_entry, expiry);
  const auto blinded = crypto::G1Point::decode(withdrawal.blinded()).value();

  // Signed with another key: a marked user, or the wrong epoch.
  EXPECT_EQ(error_of(withdrawal.finish(IssuerKey::generate().sign(blinded).encode(), key)),
            Error::signature_invalid);
  // The point itself, as if signed with the key 1.
  EXPECT_EQ(error_of(withdrawal.finish(withdrawal.blinded(), key)), Error::signature_invalid);
  for (const auto& refused : test::ecash_vectors().refused_g1) {
    const auto credential = withdrawal.finish(refused.encoding, key);
    ASSERT_FALSE(credential) << refused.name;
    EXPECT_EQ(name(credential.error()), refused.error) << refused.name;
  }
  // The right answer still serves after all of those.
  EXPECT_EQ(error_of(withdrawal.finish(issuer.sign(blinded).encode(), key)), test::no_error);
}

}  // namespace
}  // namespace lp::ecash
