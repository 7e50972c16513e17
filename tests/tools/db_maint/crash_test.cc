// kill -9 at random moments, and a gateway under load beside it.
#include <gmock/gmock.h>
#include <signal.h>

#include <random>
#include <thread>

#include "tests/system/gateway_process.h"
#include "tests/tools/db_maint/fixture.h"

namespace lp::db_maint::test {
namespace {

constexpr std::int64_t expired_long_ago = now - 40 * day;

/// Starts lp-db-maint and kills it within 100 ms of its start.
void kill_at_some_moment(const Database& database, std::vector<std::string> args,
                         std::mt19937& random) {
  Child child(
      {.program = lp::test::program("lp-db-maint"), .args = database.arguments(std::move(args))});
  std::this_thread::sleep_for(std::chrono::microseconds(random() % 100'000));
  (void)child.kill();
}

TEST(Kill, OfACleanupLeavesNothingHalfDone) {
  const Database database;
  std::mt19937 random(std::random_device{}());
  {
    const auto storage = database.open();
    for (std::uint64_t i = 1; i <= 20; ++i)
      Database::accept(*storage, i, i, now + day, now);
  }
  const int rounds = long_run() ? 50 : 4;
  for (int round = 0; round < rounds; ++round) {
    database.add_spent(5'000, expired_long_ago);
    kill_at_some_moment(database, {"cleanup"}, random);
    expect_clean(database);
    EXPECT_EQ(database.rows().count("spent_credentials WHERE expiry > " + std::to_string(now)), 20);
  }
  EXPECT_EQ(database.maintain({"cleanup"}).ended.code, 0);
  EXPECT_EQ(database.rows().count("spent_credentials"), 20);
  expect_clean(database);
}

TEST(Kill, OfABackupLeavesTheOneBeforeOrTheNewOne) {
  const Database database;
  std::mt19937 random(std::random_device{}());
  database.accept(1, 1, now + day, now);
  database.add_spent(20'000, now - day);
  const auto file = database.beside("backup.sqlite");
  EXPECT_EQ(database.maintain({"backup", file.string()}).ended.code, 0);
  const int rounds = long_run() ? 50 : 4;
  for (int round = 0; round < rounds; ++round) {
    kill_at_some_moment(database, {"backup", file.string()}, random);
    expect_clean(database);
    const auto copy =
        lp_db_maint({"check", "--storage", file.string(), "--as-of", std::to_string(now)});
    EXPECT_EQ(copy.ended.code, 0) << copy.output << copy.error_output;
    EXPECT_EQ(Rows(file).count("spent_credentials"), 20'001);
  }
}

TEST(Interrupt, EndsACleanupBetweenTwoTransactions) {
  const Database database;
  database.accept(1, 1, now + day, now);
  database.add_spent(100'000, expired_long_ago);
  Child child({.program = lp::test::program("lp-db-maint"),
               .args = database.arguments({"cleanup", "--format", "json"})});
  auto rows = database.rows();
  while (rows.count("spent_credentials") == 100'001)
    ASSERT_TRUE(child.running()) << child.error_output();
  child.send_signal(SIGINT);
  const auto ended = child.wait();
  ASSERT_EQ(ended.code, 3) << child.error_output();
  EXPECT_THAT(child.error_output(), ::testing::HasSubstr("interrupted"));
  const Finished finished{.ended = ended, .output = child.output(), .error_output = {}};
  EXPECT_EQ(rows.count("spent_credentials"), 100'001 - number(finished, "spent_credentials.rows"));
  expect_clean(database);
}

TEST(Load, OfRegistrationsLosesNoneBesideACleanup) {
  lp::test::GatewayProcess gateway;
  const auto path = gateway.data() / "gateway" / "gateway.sqlite";
  const auto clock = static_cast<std::int64_t>(lp::test::now());
  const int old = long_run() ? 200'000 : 20'000;
  Rows rows(path);
  rows.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
               std::to_string(old) + ") INSERT INTO spent_credentials SELECT randomblob(32), " +
               std::to_string(clock - 40 * day) + ", " + std::to_string(clock - 41 * day) +
               ", 1000, 'dvpn', randomblob(32), NULL FROM n");
  ASSERT_EQ(lp::test::register_once(gateway.port(), gateway.lp_key(), lp::test::request(0, 0))
                .value()
                .success,
            true);
  Child cleanup({.program = lp::test::program("lp-db-maint"),
                 .args = {"cleanup", "--format", "json", "--storage", path.string()}});
  constexpr std::uint64_t threads = 4;
  std::array<std::uint64_t, threads> done{};
  {
    std::vector<std::jthread> clients;
    for (std::uint64_t client = 0; client < threads; ++client) {
      clients.emplace_back([&, client] {
        while (cleanup.running() || done[client] < 5) {
          const auto number = 1 + client + threads * done[client];
          const auto answer = lp::test::register_once(gateway.port(), gateway.lp_key(),
                                                      lp::test::request(number, number));
          ASSERT_TRUE(answer);
          ASSERT_TRUE(answer->success) << answer->error.value_or("");
          ++done[client];
        }
      });
    }
  }
  const auto ended = cleanup.wait();
  ASSERT_EQ(ended.code, 0) << cleanup.error_output();
  const Finished finished{.ended = ended, .output = cleanup.output(), .error_output = {}};
  EXPECT_EQ(number(finished, "spent_credentials.rows"), old);
  std::uint64_t registered = 1;
  for (std::uint64_t client = 0; client < threads; ++client) {
    registered += done[client];
    for (std::uint64_t i = 0; i < done[client]; ++i) {
      EXPECT_TRUE(gateway.is_spent(lp::test::numbered_nullifier(1 + client + threads * i)));
    }
  }
  EXPECT_EQ(rows.count("spent_credentials"), static_cast<std::int64_t>(registered));
  EXPECT_THAT(gateway.violations(), ::testing::IsEmpty());
  EXPECT_EQ(gateway.stop(), 0);
  EXPECT_EQ(lp_db_maint({"check", "--storage", path.string()}).ended.code, 0);
}

}  // namespace
}  // namespace lp::db_maint::test
