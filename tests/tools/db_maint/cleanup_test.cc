// What cleanup removes, what it leaves, and when it refuses.
#include <gmock/gmock.h>

#include "tests/tools/db_maint/fixture.h"

namespace lp::db_maint::test {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t retention = 30 * day;

class Cleanup : public EveryDatabase {};
class Textfile : public EveryDatabase {};
INSTANTIATE_TEST_SUITE_P(On, Cleanup, ::testing::Values(Kind::sqlite, Kind::postgres), kind_name);
INSTANTIATE_TEST_SUITE_P(On, Textfile, ::testing::Values(Kind::sqlite, Kind::postgres), kind_name);

TEST_P(Cleanup, RemovesNoTicketWithinItsRetention) {
  database.accept(1, 1, now - retention - 1, now - retention - 2);  // the one that goes
  database.accept(1, 2, now - retention, now - retention - 2);
  database.accept(1, 3, now - retention + 1, now - retention - 2);
  database.accept(1, 4, now + day, now);
  filled();
  const auto done = maintain({"cleanup", "--format", "json"});
  EXPECT_EQ(done.ended.code, 0) << done.error_output;
  EXPECT_EQ(number(done, "spent_credentials.rows"), 1);
  EXPECT_EQ(count("spent_credentials"), 3);
  EXPECT_EQ(integer("SELECT min(expiry) FROM spent_credentials"), now - retention);
  // What the ticket brought is the client's still.
  EXPECT_EQ(integer("SELECT credited FROM bandwidth"), 4 * ticket_amount);
  expect_clean();
}

TEST_P(Cleanup, RemovesExactlyWhatTheDryRunSays) {
  database.add_spent(2'345, now - retention - day);
  database.add_spent(17, now - retention + day);
  database.accept(1, 1, now + day, now);
  database.rows().execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
      " INSERT INTO lp_sessions (session_id, lp_id, client_ip, started_at, status) SELECT i, i,"
      " '192.0.2.1', 1760000000 - i * 86400, 'success' FROM n");
  filled();
  const auto dry = maintain({"cleanup", "--dry-run", "--format", "json"});
  EXPECT_EQ(dry.ended.code, 0) << dry.error_output;
  EXPECT_EQ(count("spent_credentials"), 2'363);
  EXPECT_EQ(count("lp_sessions"), 40);

  const auto real = maintain({"cleanup", "--format", "json"});
  EXPECT_EQ(real.ended.code, 0) << real.error_output;
  for (const std::string table : {"spent_credentials", "lp_sessions"})
    EXPECT_EQ(number(real, table + ".rows"), number(dry, table + ".rows"));
  EXPECT_EQ(number(real, "spent_credentials.rows"), 2'345);
  EXPECT_EQ(number(real, "lp_sessions.rows"), 10);
  EXPECT_EQ(count("spent_credentials"), 18);
  EXPECT_EQ(count("lp_sessions"), 30);

  const auto again = maintain({"cleanup", "--format", "json"});
  EXPECT_EQ(number(again, "spent_credentials.rows"), 0);
  expect_clean();
}

TEST_P(Cleanup, ForgetsNothingByAClockThatIsAhead) {
  database.accept(1, 1, now - 31 * day, now - 7 * day - 1);
  filled();
  const auto refused = maintain({"cleanup"});
  EXPECT_EQ(refused.ended.code, 3);
  EXPECT_THAT(refused.error_output, HasSubstr("more than 7d after the newest ticket was spent"));
  EXPECT_EQ(maintain({"cleanup", "--dry-run"}).ended.code, 3);
  EXPECT_EQ(count("spent_credentials"), 1);
  EXPECT_EQ(maintain({"stale-peers", "--remove"}).ended.code, 3);
  EXPECT_EQ(count("wireguard_peers"), 1);

  const auto forced = maintain({"cleanup", "--force"});
  EXPECT_EQ(forced.ended.code, 0) << forced.error_output;
  EXPECT_EQ(count("spent_credentials"), 0);
}

TEST_P(Cleanup, SevenDaysWithoutATicketAreNoReasonToDoubt) {
  database.accept(1, 1, now - 31 * day, now - 7 * day);
  filled();
  EXPECT_EQ(maintain({"cleanup"}).ended.code, 0);
  EXPECT_EQ(count("spent_credentials"), 0);
}

// Six days ahead is within what is believed. With a retention of an hour all of these would go.
TEST_P(Cleanup, ShortRetentionForgetsNoTicketThatMayStillBeGood) {
  database.accept(1, 1, now - 6 * day - 1, now - 8 * day);
  database.accept(1, 2, now - 2 * day, now - 6 * day);
  filled();
  const auto done = maintain({"cleanup", "--retention", "1h"});
  EXPECT_EQ(done.ended.code, 0) << done.error_output;
  EXPECT_EQ(count("spent_credentials"), 1);
  EXPECT_EQ(integer("SELECT min(expiry) FROM spent_credentials"), now - 2 * day);
}

TEST(AsOf, TimeOfTheFutureIsNotTaken) {
  const Database database;
  const auto refused = lp_db_maint(
      {"cleanup", "--storage", database.path().string(), "--as-of", "2999-01-01T00:00:00Z"});
  EXPECT_EQ(refused.ended.code, 64);
}

TEST(IssuerCleanup, RemovesWithdrawalsOfExpiredEpochsAlone) {
  const TempDir dir;
  const auto init = lp::test::run({.program = lp::test::program("lp-issuer"),
                                   .args = {"init", "--data-dir", (dir / "issuer").string()}});
  ASSERT_EQ(init.ended.code, 0) << init.error_output;
  const auto path = dir / "issuer/issuer.sqlite";
  const auto clock = static_cast<std::int64_t>(SystemWallClock().now());
  {
    Rows rows(path);
    rows.execute(
        "INSERT INTO tokens (hash, label, created_at, used) VALUES (randomblob(32), 'a', 1, 9)");
    rows.execute("INSERT INTO epochs (id, expiry) VALUES (90, " + std::to_string(clock - 40 * day) +
                 "), (91, " + std::to_string(clock - 20 * day) + ")");
    for (const char* epoch : {"90", "90", "91", "1"}) {
      rows.execute(std::string("INSERT INTO withdrawals VALUES (1, ") + epoch +
                   ", 'V1MixnetEntry', randomblob(48))");
    }
  }
  const auto cleanup = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"cleanup", "--format", "json", "--storage", path.string()});
    return lp_db_maint(std::move(args));
  };
  const auto dry = cleanup({"--dry-run"});
  EXPECT_EQ(dry.ended.code, 0) << dry.error_output;
  EXPECT_EQ(number(dry, "withdrawals.rows"), 2);
  EXPECT_EQ(number(cleanup({}), "withdrawals.rows"), 2);
  EXPECT_EQ(Rows(path).count("withdrawals"), 2);
  EXPECT_EQ(Rows(path).count("withdrawals WHERE epoch_id = 90"), 0);
}

TEST_P(Textfile, IsWrittenAfterSuccessAndNotTouchedByFailure) {
  database.add_spent(12, now - retention - day);
  database.accept(1, 1, now + day, now);
  filled();
  const auto textfile = database.beside("lp.prom");
  const std::vector<std::string> args{"cleanup", "--textfile", textfile.string()};
  EXPECT_EQ(maintain(args).ended.code, 0);
  const std::string metrics = lp::test::read_file(textfile);
  EXPECT_THAT(metrics, HasSubstr("# TYPE lp_db_maint_last_success_timestamp_seconds gauge\n"
                                 "lp_db_maint_last_success_timestamp_seconds{database=\"gateway\","
                                 "command=\"cleanup\"} "));
  EXPECT_THAT(metrics,
              HasSubstr("lp_db_maint_rows_removed{database=\"gateway\",command=\"cleanup\","
                        "table=\"spent_credentials\"} 12\n"));
  EXPECT_THAT(metrics, HasSubstr("lp_db_maint_database_bytes{"));
  EXPECT_THAT(metrics, HasSubstr("lp_db_maint_duration_seconds{"));
  EXPECT_FALSE(std::filesystem::exists(textfile.string() + ".partial"));

  execute("UPDATE spent_credentials SET spent_at = 1");
  EXPECT_EQ(maintain(args).ended.code, 3);
  EXPECT_EQ(lp::test::read_file(textfile), metrics);
}

TEST(TextfilePlace, ThatIsNoneIsAnError) {
  const Database database;
  const auto refused =
      database.maintain({"cleanup", "--textfile", database.beside("no/lp.prom").string()});
  EXPECT_EQ(refused.ended.code, 73);
  EXPECT_THAT(refused.error_output, HasSubstr("no/lp.prom.partial: cannot be made"));
}

}  // namespace
}  // namespace lp::db_maint::test
