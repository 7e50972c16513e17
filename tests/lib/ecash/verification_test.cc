#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "lib/ecash/issuer_key.h"
#include "lib/ecash/verification_key.h"
#include "tests/lib/ecash/tickets.h"
#include "tests/lib/ecash/vectors.h"
#include "tests/lib/outcome.h"

namespace lp::ecash {
namespace {

using test::error_of;
using testing::Each;

/// A ticket that owns its signature.
struct Ticket {
  TicketMessage message;
  Bytes signature;
};

Ticket make_ticket(const IssuerKey& issuer) {
  const auto message = test::random_message();
  const auto signature = test::sign_openly(issuer, message);
  return {message, Bytes(signature.begin(), signature.end())};
}

std::vector<Ticket> make_tickets(const IssuerKey& issuer, std::size_t count) {
  std::vector<Ticket> tickets;
  tickets.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
    tickets.push_back(make_ticket(issuer));
  return tickets;
}

std::vector<UnverifiedTicket> views(const std::vector<Ticket>& tickets) {
  std::vector<UnverifiedTicket> views;
  views.reserve(tickets.size());
  for (const auto& ticket : tickets)
    views.push_back({ticket.message, ticket.signature});
  return views;
}

std::vector<std::optional<Error>> errors_of(const BatchVerdict& verdict) {
  std::vector<std::optional<Error>> errors;
  errors.reserve(verdict.tickets.size());
  for (const auto& ticket : verdict.tickets)
    errors.push_back(error_of(ticket));
  return errors;
}

void set_signature(Ticket& ticket, const crypto::G1Point& point) {
  const auto encoding = point.encode();
  ticket.signature.assign(encoding.begin(), encoding.end());
}

crypto::G1Point signature_of(const Ticket& ticket) {
  return crypto::G1Point::decode(ticket.signature).value();
}

class Verification : public testing::Test {
 protected:
  IssuerKey issuer_ = IssuerKey::generate();
  VerificationKey key_{issuer_.public_key()};
};

using BatchVerification = Verification;

TEST_F(Verification, AnotherFieldOrABitFewerIsSigned) {
  const Ticket good = make_ticket(issuer_);
  ASSERT_EQ(error_of(key_.verify(good.message, good.signature)), test::no_error);

  const auto expect_refused = [&](const TicketMessage& changed, const char* field,
                                  std::size_t bit) {
    EXPECT_EQ(error_of(key_.verify(changed, good.signature)), Error::signature_invalid)
        << field << ", bit " << bit;
  };
  for (std::size_t bit = 0; bit < 256; ++bit) {
    TicketMessage changed = good.message;
    changed.gateway.bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    expect_refused(changed, "gateway", bit);
    changed = good.message;
    changed.nullifier[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    expect_refused(changed, "nullifier", bit);
  }
  for (std::size_t bit = 0; bit < 64; ++bit) {
    TicketMessage changed = good.message;
    changed.bandwidth_amount ^= std::uint64_t{1} << bit;
    expect_refused(changed, "bandwidth_amount", bit);
    changed = good.message;
    changed.expiry ^= std::uint64_t{1} << bit;
    expect_refused(changed, "expiry", bit);
  }
  for (const auto type : test::all_ticket_types) {
    TicketMessage changed = good.message;
    changed.type = type;
    if (type != good.message.type) expect_refused(changed, "ticket type", std::to_underlying(type));
  }
}

TEST_F(Verification, SignatureWithAFlippedBitIsTaken) {
  const Ticket good = make_ticket(issuer_);
  for (std::size_t bit = 0; bit < 8 * good.signature.size(); ++bit) {
    Bytes changed = good.signature;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_NE(error_of(key_.verify(good.message, changed)), test::no_error) << bit;
  }
}

TEST_F(Verification, BadPointIsTakenAsASignatureOrMisnamed) {
  const auto message = test::random_message();
  for (const auto& refused : test::ecash_vectors().refused_g1) {
    const auto verified = key_.verify(message, refused.encoding);
    ASSERT_FALSE(verified) << refused.name;
    EXPECT_EQ(name(verified.error()), refused.error) << refused.name;
  }
}

TEST_F(Verification, AnotherPointOfTheGroupIsTaken) {
  const Ticket good = make_ticket(issuer_);
  const auto signature = signature_of(good);
  const auto hash = hash_to_g1(good.message);
  for (const auto& wrong :
       {test::negated(signature), test::sum(signature, signature),
        test::sum(signature, test::g1_generator()), hash, test::g1_generator()}) {
    EXPECT_EQ(error_of(key_.verify(good.message, wrong.encode())), Error::signature_invalid);
  }
}

TEST_F(Verification, AnotherKeyVerifies) {
  const Ticket good = make_ticket(issuer_);
  const VerificationKey other(IssuerKey::generate().public_key());
  EXPECT_EQ(error_of(other.verify(good.message, good.signature)), Error::signature_invalid);
}

TEST_F(Verification, KeyUsedByManyThreadsMisjudges) {
  const auto tickets = make_tickets(issuer_, 4);
  std::vector<BatchVerdict> verdicts(8);
  {
    std::vector<std::jthread> threads;
    threads.reserve(verdicts.size());
    for (auto& verdict : verdicts) {
      threads.emplace_back([&] { verdict = key_.verify_batch(views(tickets)); });
    }
  }
  for (const auto& verdict : verdicts)
    EXPECT_THAT(errors_of(verdict), Each(test::no_error));
}

TEST_F(BatchVerification, GoodTicketsOfSomeNumberAreRefused) {
  EXPECT_TRUE(key_.verify_batch({}).tickets.empty());
  for (const std::size_t count : {1U, 2U, 3U, 8U, 31U, 32U, 33U, 128U}) {
    const auto tickets = make_tickets(issuer_, count);
    const auto verdict = key_.verify_batch(views(tickets));
    EXPECT_EQ(verdict.tickets.size(), count);
    EXPECT_THAT(errors_of(verdict), Each(test::no_error)) << count;
    EXPECT_FALSE(verdict.checked_one_by_one) << count;
  }
}

TEST_F(BatchVerification, OneBadTicketPassesOrSpoilsTheOthers) {
  constexpr std::size_t count = 8;
  const auto good = make_tickets(issuer_, count);
  for (std::size_t bad = 0; bad < count; ++bad) {
    auto tickets = good;
    tickets[bad].message.expiry += 1;
    const auto verdict = key_.verify_batch(views(tickets));
    EXPECT_TRUE(verdict.checked_one_by_one);
    std::vector<std::optional<Error>> expected(count);
    expected[bad] = Error::signature_invalid;
    EXPECT_EQ(errors_of(verdict), expected) << bad;
  }
}

TEST_F(BatchVerification, MalformedSignatureCostsTheOthersTheirBatch) {
  auto tickets = make_tickets(issuer_, 8);
  tickets[0].signature.pop_back();
  tickets[7].signature.assign(48, 0);
  const auto verdict = key_.verify_batch(views(tickets));
  EXPECT_FALSE(verdict.checked_one_by_one);
  std::vector<std::optional<Error>> expected(8);
  expected[0] = Error::point_size;
  expected[7] = Error::point_flags;
  EXPECT_EQ(errors_of(verdict), expected);
}

TEST(ShiftedSignatures, PassAloneOrTogether) {
  // Each good but for the same point of order 3. A pairing sees none of the additions, and the sum
  // of all three holds none.
  const auto& vectors = test::ecash_vectors();
  const VerificationKey key(PublicKey::decode(vectors.shifted_public_key).value());
  std::vector<UnverifiedTicket> tickets;
  for (const auto& [message, signature] : vectors.shifted_tickets) {
    EXPECT_EQ(error_of(key.verify(message, signature)), Error::point_not_in_subgroup);
    tickets.push_back({message, signature});
  }
  ASSERT_EQ(tickets.size(), 3U);
  EXPECT_THAT(errors_of(key.verify_batch(tickets)),
              Each(std::optional(Error::point_not_in_subgroup)));
}

TEST_F(BatchVerification, WrongSignaturesThatCancelPassTogether) {
  // One too high by some point and one too low by the same: their plain sum is that of good ones.
  auto tickets = make_tickets(issuer_, 2);
  const auto honest_sum = test::sum(signature_of(tickets[0]), signature_of(tickets[1]));
  const auto shift = crypto::G1Point::hash({}, "test");
  set_signature(tickets[0], test::sum(signature_of(tickets[0]), shift));
  set_signature(tickets[1], test::sum(signature_of(tickets[1]), test::negated(shift)));
  ASSERT_EQ(test::sum(signature_of(tickets[0]), signature_of(tickets[1])), honest_sum);

  for (const std::size_t good : {0U, 1U, 30U}) {
    auto batch = tickets;
    std::ranges::move(make_tickets(issuer_, good), std::back_inserter(batch));
    std::vector<std::optional<Error>> expected(batch.size());
    expected[0] = expected[1] = Error::signature_invalid;
    EXPECT_EQ(errors_of(key_.verify_batch(views(batch))), expected) << good;
  }
}

TEST_F(BatchVerification, ExchangedSignaturesPassTogether) {
  auto tickets = make_tickets(issuer_, 4);
  std::swap(tickets[0].signature, tickets[3].signature);
  const std::vector<std::optional<Error>> expected{Error::signature_invalid, test::no_error,
                                                   test::no_error, Error::signature_invalid};
  EXPECT_EQ(errors_of(key_.verify_batch(views(tickets))), expected);
}

TEST_F(BatchVerification, OppositeSignaturesEndAtInfinityAndPass) {
  // The sum of a message's signature and its opposite is infinity, and so is that of nothing
  // signed.
  auto tickets = make_tickets(issuer_, 1);
  tickets.push_back(tickets[0]);
  set_signature(tickets[1], test::negated(signature_of(tickets[0])));
  const std::vector<std::optional<Error>> expected{test::no_error, Error::signature_invalid};
  EXPECT_EQ(errors_of(key_.verify_batch(views(tickets))), expected);
}

TEST_F(BatchVerification, SameTicketTwiceIsRefused) {
  // Spending twice is for the nullifiers to stop: both signatures are good.
  auto tickets = make_tickets(issuer_, 1);
  tickets.push_back(tickets[0]);
  tickets.push_back(tickets[0]);
  const auto verdict = key_.verify_batch(views(tickets));
  EXPECT_THAT(errors_of(verdict), Each(test::no_error));
  EXPECT_FALSE(verdict.checked_one_by_one);
}

TEST_F(BatchVerification, TicketsOfAnotherKeyPass) {
  const auto tickets = make_tickets(IssuerKey::generate(), 5);
  const auto verdict = key_.verify_batch(views(tickets));
  EXPECT_TRUE(verdict.checked_one_by_one);
  EXPECT_THAT(errors_of(verdict), Each(std::optional(Error::signature_invalid)));
}

}  // namespace
}  // namespace lp::ecash
