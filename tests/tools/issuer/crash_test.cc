// kill -9 of the real issuer at random moments of withdrawals.
#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "lib/crypto/random.h"
#include "tests/tools/issuer/issuer_program.h"

namespace lp::issuer::test {
namespace {

constexpr auto entry = TicketType::v1_wireguard_entry;
constexpr int clients = 4;
constexpr int points_per_request = 3;

/// A client that asks until it has an answer, as a wallet does.
struct Client {
  std::vector<std::string> bodies;   ///< asked for, in order
  std::vector<std::string> answers;  ///< of the first `answers.size()` of them
};

TEST(Crash, LosesNoAllowanceAndCountsNoneTwice) {
  ASSERT_TRUE(crypto::initialise());
  TempDir dir;
  IssuerProgram issuer(dir / "issuer");
  const std::string token = issuer.add_token({"--tickets", "1000000"});
  const auto key = issuer.newest_key();
  std::mt19937 random(std::random_device{}());
  std::array<Client, clients> all;
  const int rounds = long_run() ? 50 : 5;
  for (int round = 0; round < rounds; ++round) {
    std::atomic<bool> killed = false;
    std::atomic<int> answered = 0;
    std::vector<std::thread> threads;
    for (Client& client : all) {
      threads.emplace_back([&] {
        while (!killed) {
          if (client.bodies.size() == client.answers.size()) {
            std::vector<crypto::G1Encoding> points;
            for (int i = 0; i < points_per_request; ++i)
              points.push_back(fresh_point());
            client.bodies.push_back(sign_body(key.epoch_id, entry, points));
          }
          const auto response = issuer.sign(token, client.bodies.back());
          if (!response) continue;
          ASSERT_EQ(response->status, 200U) << response->body;
          client.answers.push_back(response->body);
          ++answered;
        }
      });
    }
    // At least one withdrawal in each round, then any moment of those that follow.
    while (answered == 0)
      std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 50'000));
    issuer.kill();
    killed = true;
    for (auto& thread : threads)
      thread.join();
    issuer.start();
    // What was answered was charged before; what was not may have been.
    const auto requests = [&all](auto member) {
      std::size_t count = 0;
      for (const Client& client : all)
        count += (client.*member).size();
      return static_cast<std::int64_t>(count * points_per_request);
    };
    const std::int64_t used = issuer.used();
    EXPECT_GE(used, requests(&Client::answers));
    EXPECT_LE(used, requests(&Client::bodies));
  }

  std::size_t asked = 0;
  for (Client& client : all) {
    for (std::size_t i = 0; i < client.bodies.size(); ++i) {
      const auto again = issuer.sign(token, client.bodies[i]);
      ASSERT_TRUE(again) << again.error().detail;
      ASSERT_EQ(again->status, 200U) << again->body;
      if (i < client.answers.size()) {
        EXPECT_EQ(again->body, client.answers[i]);
      }
    }
    asked += client.bodies.size() * points_per_request;
  }
  EXPECT_EQ(issuer.used(), static_cast<std::int64_t>(asked));
}

}  // namespace
}  // namespace lp::issuer::test
