// From SQLite to PostgreSQL: every row, or none, and no second gateway on what was copied.
#include <gmock/gmock.h>
#include <signal.h>

#include <random>
#include <thread>

#include "gateway/storage/postgres_schema.h"
#include "lib/postgres/postgres.h"
#include "tests/system/gateway_process.h"
#include "tests/tools/db_maint/fixture.h"

namespace lp::db_maint::test {
namespace {

using lp::test::PostgresServer;
using ::testing::HasSubstr;

struct ReadTable {
  const char* name;
  const char* key;
  std::vector<std::string> numbers;
  std::vector<std::string> blobs;
  std::vector<std::string> texts;
};

const std::vector<ReadTable>& tables() {
  static const std::vector<ReadTable> all{
      {"clients", "id", {"id"}, {}, {"kind"}},
      {"wireguard_peers",
       "id",
       {"id", "rx_bytes", "tx_bytes", "created_at", "last_seen"},
       {"public_key"},
       {"ticket_type", "private_ipv4", "private_ipv6"}},
      {"mixnet_clients", "id", {"id", "created_at", "last_seen"}, {"client_key"}, {"ticket_type"}},
      {"bandwidth",
       "client_id",
       {"client_id", "available", "used", "credited", "updated_at"},
       {},
       {}},
      {"spent_credentials",
       "nullifier",
       {"expiry", "spent_at", "amount", "client_id"},
       {"nullifier", "owner"},
       {"mode"}},
      {"lp_sessions",
       "id",
       {"id", "session_id", "lp_id", "started_at", "completed_at", "client_id"},
       {},
       {"client_ip", "status"}},
      {"wireguard_removals", "public_key", {"since"}, {"public_key"}, {}},
      {"released_addresses", "id", {"id", "released_at"}, {}, {"address"}},
  };
  return all;
}

/// All rows of a table as one text. The SQL of the one database and of the other.
std::string all_of(const ReadTable& table, bool sqlite) {
  std::string row = "''";
  for (const auto& column : table.numbers)
    row += " || '|' || coalesce(cast(" + column + " AS TEXT), '-')";
  for (const auto& column : table.blobs)
    row +=
        " || '|' || " + (sqlite ? "lower(hex(" + column + "))" : "encode(" + column + ", 'hex')");
  for (const auto& column : table.texts)
    row += " || '|' || " + column;
  return "SELECT " +
         std::string(sqlite ? "group_concat(r, ';')" : "string_agg(r, ';' ORDER BY k)") +
         " FROM (SELECT " + row + " AS r, " + table.key + " AS k FROM " + table.name +
         " ORDER BY k) AS t";
}

void expect_same_rows(const Database& source, const std::string& target) {
  for (const auto& table : tables()) {
    EXPECT_EQ(postgres().query(target, all_of(table, false)),
              source.rows().text(all_of(table, true)) + "\n")
        << table.name;
  }
}

/// Something of everything.
void fill_with_everything(const Database& source, int old) {
  {
    const auto storage = source.open();
    for (std::uint64_t i = 1; i <= 20; ++i)
      Database::accept(*storage, i, i, now + day, now);
    for (std::uint64_t i = 1; i <= 5; ++i) {
      auto acceptance =
          gateway::storage::test::ticket(gateway::storage::test::mixnet_owner(i), 1'000 + i);
      ASSERT_TRUE(gateway::storage::test::accept(*storage, acceptance));
    }
  }
  source.rows().execute(
      "PRAGMA foreign_keys = ON; DELETE FROM clients WHERE id IN (3, 25);"
      "UPDATE bandwidth SET used = credited + 7, available = -7 WHERE client_id = 4;"
      "UPDATE wireguard_peers SET rx_bytes = 9223372036854775807, tx_bytes = 5, last_seen = 6"
      " WHERE id = 4;"
      "INSERT INTO wireguard_removals SELECT public_key, 8 FROM wireguard_peers WHERE id = 4;"
      "INSERT INTO lp_sessions (session_id, lp_id, client_ip, started_at, completed_at, status,"
      " client_id) VALUES (4294967295, 2, '2001:db8::1', 3, NULL, 'in_progress', NULL),"
      " (1, 2, '192.0.2.1', 3, 4, 'success', 5)");
  source.add_spent(old, now - day);
}

std::vector<std::string> copy_arguments(const Database& source, const std::string& target,
                                        std::vector<std::string> further = {}) {
  std::vector<std::string> args{"copy",
                                "--storage",
                                source.path().string(),
                                "--to",
                                postgres().url(target),
                                "--instance",
                                "a",
                                "--format",
                                "json"};
  args.insert(args.end(), further.begin(), further.end());
  return args;
}

class Copy : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::installed()) GTEST_SKIP() << PostgresServer::not_installed;
  }
};

TEST_F(Copy, HasEveryRowAndRetiresTheSource) {
  const Database source;
  fill_with_everything(source, 5'000);
  const auto target = new_postgres_database();
  const auto dry = lp_db_maint(copy_arguments(source, target, {"--dry-run"}));
  EXPECT_EQ(dry.ended.code, 0) << dry.error_output;
  EXPECT_EQ(number(dry, "spent_credentials.rows"), 5'025);
  EXPECT_EQ(postgres_integer(target, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
            0);

  const auto copied = lp_db_maint(copy_arguments(source, target));
  ASSERT_EQ(copied.ended.code, 0) << copied.error_output;
  EXPECT_THAT(copied.output, HasSubstr("\"was_there\":false,\"source_retired\":true"));
  for (const auto& table : tables()) {
    EXPECT_EQ(number(copied, std::string(table.name) + ".rows"),
              postgres_integer(target, std::string("SELECT count(*) FROM ") + table.name));
  }
  expect_same_rows(source, target);
  const auto checked =
      lp_db_maint({"check", "--storage", postgres().url(target), "--as-of", std::to_string(now)});
  EXPECT_EQ(checked.ended.code, 0) << checked.output << checked.error_output;
  // The greatest client there ever was is gone, and its id is not given out again.
  EXPECT_EQ(postgres_integer(target, "SELECT nextval(pg_get_serial_sequence('clients', 'id'))"),
            26);
  EXPECT_EQ(postgres_integer(target, "SELECT count(DISTINCT instance) FROM wireguard_peers"), 1);

  // Nobody goes on with the source, but it can be looked at, and brought back by hand.
  const gateway::storage::SqliteOptions options{
      .path = source.path(), .ipv4_pool = "10.0.0.0/14", .ipv6_pool = "fd00::/108"};
  const auto refused = gateway::storage::open_sqlite(options);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().detail, HasSubstr("was copied to PostgreSQL and is retired"));
  EXPECT_EQ(source.maintain({"cleanup"}).ended.code, 66);
  EXPECT_EQ(source.maintain({"vacuum"}).ended.code, 66);
  EXPECT_EQ(source.maintain({"check"}).ended.code, 0);
  // Whether the COMMIT was carried out may not have been known: the next run finds out.
  const auto again = lp_db_maint(copy_arguments(source, target));
  EXPECT_EQ(again.ended.code, 0) << again.error_output;
  EXPECT_THAT(again.output, HasSubstr("\"was_there\":true"));
  // A dry run says so as well.
  const auto dry_again = lp_db_maint(copy_arguments(source, target, {"--dry-run"}));
  EXPECT_EQ(dry_again.ended.code, 0) << dry_again.error_output;
  EXPECT_THAT(dry_again.output, HasSubstr("\"was_there\":true"));
  source.rows().execute("PRAGMA application_id = 0x4c504757");
  EXPECT_TRUE(gateway::storage::open_sqlite(options));
}

// With the real gateway before and after.
TEST_F(Copy, IsWhatTheGatewayGoesOnWith) {
  lp::test::GatewayProcess before;
  const auto registered = [](const lp::test::GatewayProcess& gateway, std::uint64_t key,
                             std::uint64_t nullifier) {
    return lp::test::register_once(gateway.port(), gateway.lp_key(),
                                   lp::test::request(key, nullifier));
  };
  const auto first = registered(before, 1, 1);
  ASSERT_TRUE(first && first->success);
  ASSERT_TRUE(registered(before, 2, 2).value().success);
  ASSERT_EQ(before.stop(), 0);
  const auto target = new_postgres_database();
  const auto copied = lp_db_maint({"copy", "--storage", before.database().string(), "--to",
                                   postgres().url(target), "--instance", "a"});
  ASSERT_EQ(copied.ended.code, 0) << copied.error_output;

  lp::test::GatewayProcess after({.flags = {"--storage", postgres().url(target), "--instance", "a",
                                            "--wireguard-announced-address", "192.0.2.1"},
                                  .identity_of = before.data_dir()});
  // The same answer as before, nobody else's ticket, and addresses that nobody has.
  const auto again = registered(after, 1, 1);
  ASSERT_TRUE(again && again->success && again->gateway_data);
  EXPECT_EQ(again->gateway_data->private_ipv4, first->gateway_data->private_ipv4);
  EXPECT_EQ(again->gateway_data->private_ipv6, first->gateway_data->private_ipv6);
  EXPECT_FALSE(registered(after, 3, 2).value().success);
  ASSERT_TRUE(registered(after, 3, 3).value().success);
  EXPECT_EQ(after.stop(), 0);
  EXPECT_EQ(postgres_integer(target, "SELECT count(DISTINCT private_ipv4) FROM wireguard_peers"),
            3);
  EXPECT_EQ(postgres_integer(target, "SELECT max(id) FROM clients"), 3);
  EXPECT_EQ(lp_db_maint({"check", "--storage", postgres().url(target)}).ended.code, 0);
}

TEST_F(Copy, IsRefusedWhereItWouldMixOrMissSomething) {
  const Database source;
  fill_with_everything(source, 10);
  const auto target = new_postgres_database();
  const auto expect_refused = [&](int code, const std::string& sentence,
                                  std::vector<std::string> args) {
    const auto refused = lp_db_maint(std::move(args));
    EXPECT_EQ(refused.ended.code, code) << refused.error_output;
    EXPECT_THAT(refused.error_output, HasSubstr(sentence));
  };
  {
    const auto running = source.open();
    expect_refused(3, "another process has it open; stop the gateway",
                   copy_arguments(source, target));
  }
  {
    auto gateway = postgres::Connection::open(postgres::Url::parse(postgres().url(target)).value(),
                                              {.application_name = "test"})
                       .value();
    ASSERT_TRUE(gateway::storage::try_lock_instance(gateway, "a").value());
    expect_refused(3, "instance 'a' runs",
                   copy_arguments(source, target, {"--lock-timeout", "50ms"}));
  }
  // Another's rows stay, and stay alone.
  const Database other;
  other.accept(1, 1, now + day, now);
  copy_to_postgres(other, target);
  for (const bool dry : {true, false}) {
    expect_refused(
        73, "is not empty",
        copy_arguments(source, target,
                       dry ? std::vector<std::string>{"--dry-run"} : std::vector<std::string>{}));
  }
  expect_same_rows(other, target);
  expect_refused(73, "belongs to instance a",
                 {"copy", "--storage", other.path().string(), "--to", postgres().url(target),
                  "--instance", "b"});
  // What PostgreSQL does not take as it is.
  const auto empty = new_postgres_database();
  source.rows().execute("UPDATE wireguard_peers SET ticket_type = 'a' || char(0) || 'b'");
  expect_refused(2, "nothing was copied", copy_arguments(source, empty));
  EXPECT_EQ(postgres_integer(empty, "SELECT count(*) FROM clients"), 0);
  EXPECT_EQ(source.maintain({"cleanup"}).ended.code, 0);  // not retired
}

TEST_F(Copy, ThatIsKilledLeavesAllOrNothing) {
  const Database source;
  fill_with_everything(source, 10'000);
  std::mt19937 random(std::random_device{}());
  const int rounds = long_run() ? 50 : 3;
  for (int round = 0; round < rounds; ++round) {
    const auto target = new_postgres_database();
    Child child({.program = lp::test::program("lp-db-maint"),
                 .args = copy_arguments(source, target, {"--keep-source"})});
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 600'000));
    (void)child.kill();
    // Clean, or without tables so far.
    const auto checked =
        lp_db_maint({"check", "--storage", postgres().url(target), "--as-of", std::to_string(now)});
    EXPECT_THAT(checked.ended.code, ::testing::AnyOf(0, 66)) << checked.error_output;
    if (checked.ended.code == 0) {
      EXPECT_THAT(postgres_integer(target, "SELECT count(*) FROM spent_credentials"),
                  ::testing::AnyOf(0, 10'025));
    }
    const auto copied =
        lp_db_maint(copy_arguments(source, target, {"--keep-source", "--lock-timeout", "60s"}));
    EXPECT_EQ(copied.ended.code, 0) << copied.error_output;
    expect_same_rows(source, target);
  }
  EXPECT_EQ(source.maintain({"check"}).ended.code, 0);
}

TEST_F(Copy, WhoseServerGoesAwayLeavesNothing) {
  const Database source;
  fill_with_everything(source, 20'000);
  const auto target = new_postgres_database();
  // Another has the last table: the copy waits in the middle of its transaction.
  const auto schema = lp_db_maint(copy_arguments(Database(), target, {"--keep-source"}));
  ASSERT_EQ(schema.ended.code, 0) << schema.error_output;
  auto other = postgres::Connection::open(postgres::Url::parse(postgres().url(target)).value(),
                                          {.application_name = "test"})
                   .value();
  ASSERT_TRUE(other.execute("BEGIN; LOCK TABLE released_addresses IN ACCESS EXCLUSIVE MODE"));
  Child child({.program = lp::test::program("lp-db-maint"),
               .args = copy_arguments(source, target, {"--lock-timeout", "60s"})});
  while (postgres_integer(target, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 0)
    ASSERT_TRUE(child.running()) << child.error_output();
  postgres().stop(PostgresServer::Stop::immediate);
  EXPECT_EQ(child.wait().code, 69) << child.error_output();
  postgres().start();
  EXPECT_EQ(postgres_integer(target, "SELECT count(*) FROM clients"), 0);
  EXPECT_EQ(lp_db_maint(copy_arguments(source, target)).ended.code, 0);
  expect_same_rows(source, target);
}

}  // namespace
}  // namespace lp::db_maint::test
