// What an answer of the chain may change in what a gateway knows, rule by rule.
#include "gateway/ecash/known_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/crypto/random.h"
#include "tests/gateway/ecash/keys.h"

namespace lp::gateway::ecash {
namespace {

using test::base64_of;
using test::new_key;
using test::renamed;
using test::TicketType;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr UnixSeconds now = 1'763'000'000;
constexpr UnixSeconds later = now + 86'400;
constexpr auto entry = TicketType::v1_wireguard_entry;
constexpr auto exit = TicketType::v1_wireguard_exit;

class KnownKeysTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }
  KnownKeys after(const std::vector<Key>& answer) {
    known_ = apply(known_, answer, now);
    return known_;
  }
  const Key a_ = new_key(entry, later);
  const Key b_ = new_key(exit, later);
  KnownKeys known_;
};

TEST_F(KnownKeysTest, FirstAnswerIsTrusted) {
  EXPECT_THAT(after({b_, a_}).trusted, ElementsAre(a_, b_));
  EXPECT_EQ(known_.confirmed_at, now);
  ASSERT_NE(find(known_, id_of(a_)), nullptr);
  EXPECT_EQ(*find(known_, id_of(a_)), a_);
  EXPECT_EQ(find(known_, {.type = entry, .expiry = later + 1}), nullptr);
  EXPECT_EQ(find(known_, {.type = TicketType::v1_mixnet_entry, .expiry = later}), nullptr);
}

TEST_F(KnownKeysTest, AbsentKeyIsRevokedAndReturnsWithItsOwnPointOnly) {
  after({a_, b_});
  EXPECT_THAT(after({b_}).trusted, ElementsAre(b_));
  EXPECT_THAT(known_.revoked, ElementsAre(a_));
  EXPECT_EQ(find(known_, id_of(a_)), nullptr);
  EXPECT_THAT(after({a_, b_}).trusted, ElementsAre(a_, b_));
  EXPECT_THAT(known_.revoked, IsEmpty());
}

TEST_F(KnownKeysTest, EmptyListChangesNothing) {
  after({a_, b_});
  const auto before = known_;
  known_ = apply(known_, {}, now + 50);
  EXPECT_EQ(known_, before);
}

TEST_F(KnownKeysTest, AnotherKeyForAKnownNameIsOfferedAndTheFirstGoesOn) {
  after({a_});
  const Key other = new_key(entry, later);
  EXPECT_THAT(after({other, b_}).trusted, ElementsAre(a_, b_));
  EXPECT_THAT(known_.offered, ElementsAre(other));
  EXPECT_THAT(known_.revoked, IsEmpty());
  // The chain takes it back.
  EXPECT_THAT(after({a_, b_}).trusted, ElementsAre(a_, b_));
  EXPECT_THAT(known_.offered, IsEmpty());
}

// Absence must not be the way past the alarm.
TEST_F(KnownKeysTest, AnotherKeyForARevokedNameIsOfferedToo) {
  after({a_, b_});
  after({b_});
  const Key other = new_key(entry, later);
  EXPECT_THAT(after({other, b_}).trusted, ElementsAre(b_));
  EXPECT_THAT(known_.offered, ElementsAre(other));
  EXPECT_THAT(known_.revoked, ElementsAre(a_));
}

TEST_F(KnownKeysTest, KnownKeyUnderAnotherNameIsOffered) {
  after({a_});
  const Key moved = renamed(a_, exit, later);
  after({moved, new_key(entry, later + 5)});
  EXPECT_THAT(known_.offered, ElementsAre(moved));
  EXPECT_THAT(known_.revoked, ElementsAre(a_));
  EXPECT_EQ(find(known_, id_of(moved)), nullptr);
}

TEST_F(KnownKeysTest, KeysThatTradeNamesAreBothOffered) {
  after({a_, b_});
  after({renamed(a_, exit, later), renamed(b_, entry, later)});
  EXPECT_THAT(known_.trusted, ElementsAre(a_, b_));
  EXPECT_EQ(known_.offered.size(), 2u);
}

TEST_F(KnownKeysTest, AnotherEpochNumberIsNoContradiction) {
  after({a_});
  Key renumbered = a_;
  renumbered.epoch_id = 99;
  EXPECT_THAT(after({renumbered}).trusted, ElementsAre(renumbered));
  EXPECT_THAT(known_.offered, IsEmpty());
}

TEST_F(KnownKeysTest, RevokedKeysAreForgottenOnceTheyExpire) {
  after({a_, b_});
  after({b_});
  known_ = apply(known_, {b_}, later - 1);
  EXPECT_EQ(known_.revoked.size(), 1u);
  known_ = apply(known_, {b_}, later);
  EXPECT_THAT(known_.revoked, IsEmpty());
}

TEST_F(KnownKeysTest, AcceptedKeyTakesThePlaceOfWhatItContradicts) {
  after({a_, b_});
  const Key other = new_key(entry, later);
  after({other, b_});
  const auto accepted = accept(known_, base64_of(other).substr(0, min_prefix));
  ASSERT_TRUE(accepted) << accepted.error();
  EXPECT_EQ(accepted->key, other);
  EXPECT_THAT(accepted->known.trusted, UnorderedElementsAre(other, b_));
  EXPECT_THAT(accepted->known.offered, IsEmpty());
  known_ = accepted->known;
  EXPECT_THAT(after({other, b_}).offered, IsEmpty());
  // The former key is now the one that contradicts.
  EXPECT_THAT(after({a_, b_}).offered, ElementsAre(a_));
}

TEST_F(KnownKeysTest, AcceptedTradeLeavesNoKeyUnderTwoNames) {
  after({a_, b_});
  const Key moved = renamed(a_, exit, later);
  after({moved, renamed(b_, entry, later)});
  known_ = accept(known_, base64_of(moved)).value().known;
  EXPECT_THAT(known_.trusted, ElementsAre(moved));
  EXPECT_THAT(after({moved, renamed(b_, entry, later)}).trusted,
              ElementsAre(renamed(b_, entry, later), moved));
}

TEST_F(KnownKeysTest, OnlyOneOfferedKeyCanBeMeant) {
  after({a_});
  const Key other = new_key(entry, later);
  after({other});
  EXPECT_THAT(accept(known_, base64_of(other).substr(0, min_prefix - 1)).error(),
              HasSubstr("16 characters"));
  EXPECT_THAT(accept(known_, "").error(), HasSubstr("16 characters"));
  EXPECT_THAT(accept(known_, base64_of(a_)).error(), HasSubstr("none of the keys"));
  EXPECT_THAT(accept(known_, base64_of(other) + "A").error(), HasSubstr("none of the keys"));
  EXPECT_EQ(known_.trusted, (std::vector<Key>{a_}));
}

}  // namespace
}  // namespace lp::gateway::ecash
