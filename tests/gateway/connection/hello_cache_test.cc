#include "gateway/connection/hello_cache.h"

#include <gtest/gtest.h>

#include "lib/crypto/random.h"

namespace lp::gateway::connection {
namespace {

using Verdict = HelloCache::Verdict;

constexpr UnixSeconds now = 1'750'000'000;
constexpr std::uint64_t tolerance = 30;

class HelloCacheTest : public testing::Test {
 protected:
  HelloCacheTest() { EXPECT_TRUE(crypto::initialise()); }

  static wire::ClientHello hello(UnixSeconds timestamp) {
    return wire::ClientHello::make(crypto::X25519KeyPair::generate().public_key, timestamp);
  }
};

TEST_F(HelloCacheTest, TheSameHelloIsFreshOnce) {
  HelloCache cache(100);
  const auto first = hello(now);
  EXPECT_EQ(cache.take(first, now, tolerance).verdict, Verdict::fresh);
  EXPECT_EQ(cache.take(first, now, tolerance).verdict, Verdict::replayed);
  EXPECT_EQ(cache.take(hello(now), now, tolerance).entries, 2);
}

TEST_F(HelloCacheTest, KeyAndSaltBothMatter) {
  HelloCache cache(100);
  const auto first = hello(now);
  ASSERT_EQ(cache.take(first, now, tolerance).verdict, Verdict::fresh);
  for (std::size_t i = 0; i < 32; ++i) {
    auto other_key = first;
    other_key.client_public_key.bytes[i] ^= 1;
    EXPECT_EQ(cache.take(other_key, now, tolerance).verdict, Verdict::fresh) << i;
    auto other_salt = first;
    other_salt.salt[i] ^= 1;
    EXPECT_EQ(cache.take(other_salt, now, tolerance).verdict, Verdict::fresh) << i;
  }
}

TEST_F(HelloCacheTest, AHelloIsKeptForAsLongAsItsTimestampIsAccepted) {
  HelloCache cache(100);
  const auto from_the_future = hello(now + tolerance);
  ASSERT_EQ(cache.take(from_the_future, now, tolerance).verdict, Verdict::fresh);
  const UnixSeconds last = now + 2 * tolerance;
  EXPECT_EQ(cache.take(from_the_future, last, tolerance).verdict, Verdict::replayed);
  EXPECT_EQ(cache.expire(last, tolerance), 1);
  EXPECT_EQ(cache.expire(last + 1, tolerance), 0);
}

TEST_F(HelloCacheTest, TakingAHelloForgetsThoseThatAreTooOld) {
  HelloCache cache(100);
  for (int i = 0; i < 10; ++i)
    (void)cache.take(hello(now), now, tolerance);
  EXPECT_EQ(cache.take(hello(now + 31), now + 31, tolerance).entries, 1);
}

TEST_F(HelloCacheTest, AFloodIsForgottenToTheLastOne) {
  HelloCache cache(10'000);
  for (int i = 0; i < 5'000; ++i)
    (void)cache.take(hello(now), now, tolerance);
  // Not all at once, while others wait; but not never.
  EXPECT_GT(cache.take(hello(now + 31), now + 31, tolerance).entries, 1);
  EXPECT_EQ(cache.expire(now + 31, tolerance), 1);
}

TEST_F(HelloCacheTest, WhenFullTheOldestTimestampGoes) {
  HelloCache cache(3);
  const auto old = hello(now - 20);
  const auto recent = hello(now);
  const auto future = hello(now + 20);
  for (const auto& one : {recent, old, future}) {
    const auto taken = cache.take(one, now, tolerance);
    EXPECT_EQ(taken.verdict, Verdict::fresh);
    EXPECT_FALSE(taken.evicted);
  }
  const auto taken = cache.take(hello(now), now, tolerance);
  EXPECT_TRUE(taken.evicted);
  EXPECT_EQ(taken.entries, 3);
  EXPECT_EQ(cache.take(recent, now, tolerance).verdict, Verdict::replayed);
  EXPECT_EQ(cache.take(future, now, tolerance).verdict, Verdict::replayed);
  EXPECT_EQ(cache.take(old, now, tolerance).verdict, Verdict::fresh);
}

TEST_F(HelloCacheTest, AReplayWhenFullEvictsNothing) {
  HelloCache cache(1);
  const auto only = hello(now);
  ASSERT_EQ(cache.take(only, now, tolerance).verdict, Verdict::fresh);
  EXPECT_FALSE(cache.take(only, now, tolerance).evicted);
  EXPECT_EQ(cache.take(only, now, tolerance).verdict, Verdict::replayed);
}

TEST_F(HelloCacheTest, AFloodFromTheFutureDoesNotShutOutThePresent) {
  HelloCache cache(10);
  (void)cache.take(hello(now), now, tolerance);
  for (int i = 0; i < 100; ++i)
    (void)cache.take(hello(now + tolerance), now, tolerance);
  EXPECT_EQ(cache.take(hello(now), now, tolerance).verdict, Verdict::fresh);
}

TEST_F(HelloCacheTest, AClockThatJumpsForthAndBackLetsNoReplayThrough) {
  HelloCache cache(100);
  const auto seen = hello(now);
  ASSERT_EQ(cache.take(seen, now, tolerance).verdict, Verdict::fresh);
  ASSERT_EQ(cache.expire(now + 3600, tolerance), 0);

  EXPECT_EQ(cache.take(seen, now, tolerance).verdict, Verdict::forgotten);
  // It has not forgotten anything of later seconds, so these are taken at once.
  EXPECT_EQ(cache.take(hello(now + 1), now + 1, tolerance).verdict, Verdict::fresh);
}

TEST_F(HelloCacheTest, AClockThatJumpsBackLetsNoReplayThrough) {
  HelloCache cache(100);
  const auto long_ago = hello(now - 3600);
  ASSERT_EQ(cache.take(long_ago, now - 3600, tolerance).verdict, Verdict::fresh);
  const auto recent = hello(now);
  ASSERT_EQ(cache.take(recent, now, tolerance).verdict, Verdict::fresh);

  EXPECT_EQ(cache.take(long_ago, now - 3600, tolerance).verdict, Verdict::forgotten);
  EXPECT_EQ(cache.take(recent, now, tolerance).verdict, Verdict::replayed);
}

TEST_F(HelloCacheTest, AWiderToleranceDoesNotMakeTheForgottenFresh) {
  HelloCache cache(100);
  const auto seen = hello(now);
  ASSERT_EQ(cache.take(seen, now, tolerance).verdict, Verdict::fresh);
  ASSERT_EQ(cache.expire(now + 31, tolerance), 0);
  EXPECT_EQ(cache.take(seen, now + 31, 300).verdict, Verdict::forgotten);
}

TEST_F(HelloCacheTest, TheEndsOfTimeAreNoSpecialCase) {
  HelloCache cache(100);
  const auto first = hello(0);
  const auto last = hello(UINT64_MAX);
  EXPECT_EQ(cache.take(first, 0, tolerance).verdict, Verdict::fresh);
  EXPECT_EQ(cache.take(first, 5, tolerance).verdict, Verdict::replayed);
  EXPECT_EQ(cache.take(last, UINT64_MAX, tolerance).verdict, Verdict::fresh);
  EXPECT_EQ(cache.take(last, UINT64_MAX, UINT64_MAX).verdict, Verdict::replayed);
}

}  // namespace
}  // namespace lp::gateway::connection
