// kill -9 in the middle of registrations: what was acknowledged is there, and nothing is half
// there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <random>
#include <thread>

#include "tests/system/gateway_process.h"

namespace lp::test {
namespace {

/// Clients that register one after another until they are told to stop or the gateway is gone.
class Storm {
 public:
  Storm(const GatewayProcess& gateway, int clients, std::atomic<std::uint64_t>& next)
      : port_(gateway.port()), lp_key_(gateway.lp_key()), next_(next) {
    for (int i = 0; i < clients; ++i)
      threads_.emplace_back([this] { register_on(); });
  }

  void wait_for(std::size_t acknowledged) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return acknowledged_.size() >= acknowledged; });
  }
  std::vector<std::uint64_t> end() {
    threads_.clear();
    return acknowledged_;
  }

 private:
  void register_on() {
    for (;;) {
      const std::uint64_t number = next_.fetch_add(1);
      const auto response = register_once(port_, lp_key_, request(number, number));
      if (!response) return;
      const std::lock_guard lock(mutex_);
      if (response->success) acknowledged_.push_back(number);
      changed_.notify_all();
    }
  }

  const std::uint16_t port_;
  const crypto::X25519Public lp_key_;
  std::atomic<std::uint64_t>& next_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint64_t> acknowledged_;
  std::vector<std::jthread> threads_;
};

TEST(SystemCrash, AcknowledgedRegistrationsSurviveAndNoneIsHalfThere) {
  GatewayProcess gateway({.flags = {"--ipv4-pool", "10.0.0.0/14", "--ipv6-pool", "fd00::/108"}});
  std::atomic<std::uint64_t> next = 1;
  // The moment of each kill: after that many acknowledged registrations, and a little later.
  std::mt19937 random(
      20'251'111);  // NOLINT(bugprone-random-generator-seed): the same moments in each run
  std::uniform_int_distribution<std::size_t> acknowledged(1, 200);
  std::uniform_int_distribution<int> microseconds(0, 3'000);
  std::vector<std::uint64_t> all;
  for (int round = 0; round < rounds(8, 50); ++round) {
    Storm storm(gateway, 32, next);
    storm.wait_for(acknowledged(random));
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::microseconds(microseconds(random));
    while (std::chrono::steady_clock::now() < until)
      std::this_thread::yield();
    gateway.kill();
    const auto survived = storm.end();
    all.insert(all.end(), survived.begin(), survived.end());
    gateway.start();
    ASSERT_THAT(gateway.violations(), testing::IsEmpty()) << "round " << round;
    for (const auto number : survived) {
      ASSERT_TRUE(gateway.is_spent(numbered_nullifier(number))) << "round " << round;
    }
    // A peer for each row, and a row for each peer.
    const auto tables = gateway.tables();
    EXPECT_EQ(tables.clients, tables.spent);
    EXPECT_EQ(gateway.metrics()["lp_wireguard_peers"], static_cast<double>(tables.peers));
  }
  EXPECT_GE(gateway.tables().spent, static_cast<std::int64_t>(all.size()));
  // A retry of an acknowledged one costs nothing and is answered as before.
  const auto before = gateway.tables();
  const auto retry =
      register_once(gateway.port(), gateway.lp_key(), request(all.front(), all.front()));
  ASSERT_TRUE(retry && retry->success);
  EXPECT_EQ(gateway.tables(), before);
  EXPECT_EQ(gateway.stop(), 0);
}

}  // namespace
}  // namespace lp::test
