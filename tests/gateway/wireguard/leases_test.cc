#include "gateway/wireguard/leases.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace lp::gateway::wireguard {
namespace {

LeaseKey key(std::uint8_t number, LeaseKey::Kind kind = LeaseKey::Kind::wireguard_key) {
  LeaseKey result{.kind = kind};
  result.key.fill(number);
  return result;
}

TEST(LeasesTest, HeldKeyIsNotGivenTwice) {
  Leases leases;
  auto held = leases.try_acquire(key(1));
  ASSERT_TRUE(held);
  EXPECT_FALSE(leases.try_acquire(key(1)));
  EXPECT_TRUE(leases.try_acquire(key(2)));
  EXPECT_TRUE(leases.try_acquire(key(1, LeaseKey::Kind::mixnet_client)));
  held->release();
  EXPECT_TRUE(leases.try_acquire(key(1)));
}

TEST(LeasesTest, WaitersAreServedInOrder) {
  Leases leases;
  auto held = leases.try_acquire(key(1));
  std::vector<int> order;
  Lease first;
  leases.acquire(key(1), [&](Lease lease) {
    order.push_back(1);
    first = std::move(lease);
  });
  leases.acquire(key(1), [&](Lease) { order.push_back(2); });
  EXPECT_TRUE(order.empty());
  held->release();
  EXPECT_EQ(order, std::vector<int>{1});
  first.release();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_TRUE(leases.try_acquire(key(1)));
}

TEST(LeasesTest, LongQueueThatAnswersAtOnceDoesNotExhaustTheStack) {
  Leases leases;
  auto held = leases.try_acquire(key(1));
  std::size_t granted = 0;
  for (int i = 0; i < 200'000; ++i)
    leases.acquire(key(1), [&](Lease) { ++granted; });
  held->release();
  EXPECT_EQ(granted, 200'000U);
}

TEST(LeasesTest, MovedLeaseIsReleasedOnce) {
  Leases leases;
  auto held = leases.try_acquire(key(1));
  Lease moved = std::move(*held);
  held.reset();
  EXPECT_FALSE(leases.try_acquire(key(1)));
  moved = Lease();
  EXPECT_TRUE(leases.try_acquire(key(1)));
}

TEST(LeasesTest, TwoThreadsNeverHoldOneKey) {
  Leases leases;
  std::atomic<int> inside = 0;
  std::atomic<int> most = 0;
  std::atomic<int> granted = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5'000; ++i) {
        leases.acquire(key(static_cast<std::uint8_t>(i % 3)), [&, k = i % 3](Lease) {
          if (k == 0) {
            most = std::max(most.load(), ++inside);
            --inside;
          }
          ++granted;
        });
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(granted.load(), 20'000);
  EXPECT_EQ(most.load(), 1);
}

}  // namespace
}  // namespace lp::gateway::wireguard
