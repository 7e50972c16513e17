// What is PostgreSQL's own: passwords, locks of rows, instances that share a database, pg_dump, a
// server that goes away.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <array>
#include <fstream>
#include <future>
#include <random>
#include <thread>

#include "gateway/storage/postgres_schema.h"
#include "gateway/storage/postgres_storage.h"
#include "lib/postgres/postgres.h"
#include "tests/system/gateway_process.h"
#include "tests/tools/db_maint/fixture.h"

namespace lp::db_maint::test {
namespace {

using lp::test::PostgresServer;
using ::testing::HasSubstr;
using ::testing::Not;

class Access : public OnPostgres {};
class Shared : public OnPostgres {};
class Dump : public OnPostgres {};
class Server : public OnPostgres {};

TEST_F(Access, PasswordIsInNoOutput) {
  fill(1, 0);
  execute("CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'right-hush'");
  const auto with_password = [&](const std::string& password) {
    auto text = postgres().url(name_, "guarded");
    return text.replace(text.find("guarded"), 7, "guarded:" + password);
  };
  const auto expect_no_password = [](const Finished& finished) {
    for (const auto& text : {finished.output, finished.error_output})
      EXPECT_THAT(text, Not(HasSubstr("hush"))) << text;
  };
  const auto refused = lp_db_maint({"stats", "--storage", with_password("wrong-hush")});
  EXPECT_EQ(refused.ended.code, 77) << refused.error_output;
  EXPECT_THAT(refused.error_output, HasSubstr("postgresql://guarded@/" + name_));
  expect_no_password(refused);

  const auto right = with_password("right-hush");
  for (const char* format : {"json", "text"}) {
    const auto shown = lp_db_maint({"stats", "--format", format, "--storage", right});
    EXPECT_EQ(shown.ended.code, 0) << shown.error_output;
    expect_no_password(shown);
  }
  const auto copied = lp_db_maint({"copy", "--storage", "/nowhere.sqlite", "--to", right,
                                   "--instance", "a", "--format", "json"});
  EXPECT_EQ(copied.ended.code, 66);
  expect_no_password(copied);
  // pg_dump gets it, too, and none of its own is asked for.
  const TempDir dir;
  const auto dumped = lp_db_maint({"backup", (dir / "dump").string(), "--storage", right});
  EXPECT_EQ(dumped.ended.code, 0) << dumped.error_output;
  expect_no_password(dumped);

  // Without a password on the command line.
  const auto program = lp::test::program("lp-db-maint");
  const auto from_environment = lp::test::run(
      {.program = program, .args = {"stats"}, .environment = {{"LP_DB_MAINT_STORAGE", right}}});
  EXPECT_EQ(from_environment.ended.code, 0) << from_environment.error_output;
  const Database source;
  const auto to_environment = lp::test::run(
      {.program = program,
       .args = {"copy", "--storage", source.path().string(), "--instance", "a", "--dry-run"},
       .environment = {{"LP_DB_MAINT_TO", right}}});
  EXPECT_EQ(to_environment.ended.code, 73);
  EXPECT_THAT(to_environment.error_output, HasSubstr("is not empty"));
  expect_no_password(to_environment);
  lp::test::write_file(dir / "pgpass", "*:*:*:guarded:right-hush\n", 0600);
  const auto from_file =
      lp::test::run({.program = program,
                     .args = {"stats", "--storage", postgres().url(name_, "guarded")},
                     .environment = {{"PGPASSFILE", (dir / "pgpass").string()}}});
  EXPECT_EQ(from_file.ended.code, 0) << from_file.error_output;
}

TEST_F(Access, DatabaseThatIsNoneOfOursIsLeftAlone) {
  const auto expect_refused = [&](int code, const std::string& sentence) {
    for (const char* command : {"cleanup", "check", "stats", "vacuum", "migrate"}) {
      const auto refused = maintain({command});
      EXPECT_EQ(refused.ended.code, code) << command << refused.output;
      EXPECT_THAT(refused.error_output, HasSubstr(sentence)) << command;
    }
  };
  expect_refused(66, "is empty; lp-gateway makes its tables");
  execute("CREATE TABLE t (x INTEGER)");
  expect_refused(66, "holds the tables of another program");
  execute("DROP TABLE t");
  fill(2, 10);
  execute("CREATE ROLE stranger LOGIN");
  const auto stranger = lp_db_maint({"stats", "--storage", postgres().url(name_, "stranger")});
  EXPECT_EQ(stranger.ended.code, 77) << stranger.output;
  EXPECT_THAT(stranger.error_output, HasSubstr("permission denied"));
  execute("UPDATE lp_schema SET version = 99");
  expect_refused(66, "schema version 99");
  EXPECT_EQ(count("spent_credentials"), 12);
  const auto none = lp_db_maint({"stats", "--storage", postgres().url("no_such_database")});
  EXPECT_EQ(none.ended.code, 66) << none.output;
  EXPECT_THAT(none.error_output, HasSubstr("there is no such database"));
  const auto gone = lp_db_maint({"stats", "--storage", "postgresql://lp@/x?host=/nowhere"});
  EXPECT_EQ(gone.ended.code, 69);
  EXPECT_THAT(gone.error_output, HasSubstr("postgresql://lp@/x: cannot be reached"));
}

// As after a restore that was broken off.
TEST_F(Shared, PartOfTheSchemaIsMissedWhicheverItIs) {
  fill(1, 1);
  expect_clean();
  const std::string parts =
      "SELECT CASE relkind WHEN 'r' THEN 'table ' ELSE 'index ' END || relname FROM pg_class"
      " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')"
      " UNION ALL SELECT 'foreign key ' || conname FROM pg_constraint"
      " WHERE connamespace = 'public'::regnamespace AND contype = 'f'";
  auto connection = connect();
  const auto all = connection.query(parts);
  ASSERT_TRUE(all);
  execute(
      "DO $$ DECLARE t text; BEGIN FOR t IN SELECT relname FROM pg_class"
      " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'lp_schema'"
      " LOOP EXECUTE format('DROP TABLE %I CASCADE', t); END LOOP; END $$");
  const auto checked = maintain({"check"});
  EXPECT_EQ(checked.ended.code, 2) << checked.output << checked.error_output;
  for (std::size_t row = 0; row < all->size(); ++row) {
    const std::string part(all->text(row, 0));
    if (part.find("lp_schema") != std::string::npos) continue;
    EXPECT_THAT(checked.output, HasSubstr(part + " is missing"));
  }
}

TEST_F(Shared, TicketsWithoutTheirPrimaryKeyAreSaid) {
  fill(1, 1);
  execute("ALTER TABLE spent_credentials DROP CONSTRAINT spent_credentials_pkey");
  const auto checked = maintain({"check"});
  EXPECT_EQ(checked.ended.code, 2) << checked.output;
  EXPECT_THAT(checked.output, HasSubstr("index spent_credentials_pkey is missing"));
}

TEST_F(Shared, RowThatAnotherHasLockedIsWaitedForAndThenSaid) {
  fill(1, 100);
  auto other = connect();
  ASSERT_TRUE(other.execute("BEGIN; SELECT 1 FROM spent_credentials FOR UPDATE"));
  const auto refused = maintain({"cleanup", "--lock-timeout", "50ms"});
  EXPECT_EQ(refused.ended.code, 3) << refused.output;
  EXPECT_THAT(refused.error_output,
              HasSubstr("locked by another process for longer than --lock-timeout"));
  EXPECT_EQ(count("spent_credentials"), 101);
  // Who only reads does not wait.
  for (const char* command : {"stats", "check", "report", "stale-peers"})
    EXPECT_EQ(maintain({command, "--lock-timeout", "0"}).ended.code, 0) << command;
  Child waiting({.program = lp::test::program("lp-db-maint"),
                 .args = arguments({"cleanup", "--lock-timeout", "60s"})});
  ASSERT_TRUE(other.execute("COMMIT"));
  EXPECT_EQ(waiting.wait().code, 0) << waiting.error_output();
  EXPECT_EQ(count("spent_credentials"), 1);
}

// Peers 1 to 6 are stale; 1 and 2 belong to instance b, which does not run; a does.
TEST_F(Shared, PeersOfAnInstanceThatRunsAreNotRemovedBeforeItHasConfirmed) {
  fill(6, 0);
  execute(
      "UPDATE wireguard_peers SET created_at = created_at - 864000;"
      "UPDATE spent_credentials SET spent_at = spent_at - 864000, expiry = expiry - 864000;"
      "INSERT INTO spent_credentials VALUES (decode(repeat('ee', 32), 'hex'), 1," +
      std::to_string(now) +
      ", 1, 'dvpn', decode(repeat('ee', 32), 'hex'), NULL);"
      "INSERT INTO instances SELECT 'b', wireguard_public_key, 'b', 1, '', '', 0 FROM instances;"
      "UPDATE wireguard_peers SET instance = 'b' WHERE id <= 2");
  auto gateway = connect();
  ASSERT_TRUE(gateway::storage::try_lock_instance(gateway, "a").value());

  const auto given_up =
      maintain({"stale-peers", "--remove", "--wait", "100ms", "--format", "json"});
  EXPECT_EQ(given_up.ended.code, 1) << given_up.error_output;
  EXPECT_EQ(number(given_up, "stale"), 6);
  EXPECT_EQ(number(given_up, "removed"), 2);
  EXPECT_EQ(number(given_up, "left"), 4);
  EXPECT_THAT(given_up.output, HasSubstr("\"instance\":\"b\""));
  EXPECT_EQ(count("wireguard_removals WHERE instance = 'a'"), 4);
  EXPECT_EQ(count("released_addresses WHERE instance = 'b'"), 4);
  EXPECT_EQ(count("released_addresses WHERE instance = 'a'"), 0);
  EXPECT_EQ(count("wireguard_peers"), 4);
  expect_clean();

  // Client 3 comes back before the gateway got to its removal.
  execute(
      "SELECT lp_accept_tickets('a', ARRAY[decode(repeat('ab', 32), 'hex')],"
      " ARRAY[(SELECT public_key FROM wireguard_peers WHERE id = 3)], ARRAY[true],"
      " ARRAY['V1WireguardEntry'], ARRAY[" +
      std::to_string(now + day) + "]::bigint[], ARRAY[1000]::bigint[], ARRAY[" +
      std::to_string(now) + "]::bigint[], ARRAY[]::text[], ARRAY[]::text[])");
  Child child({.program = lp::test::program("lp-db-maint"),
               .args = arguments({"stale-peers", "--remove", "--format", "json"})});
  execute("DELETE FROM wireguard_removals WHERE instance = 'a'");
  // A second note may come after that, for a run that had just begun.
  while (child.running())
    execute("DELETE FROM wireguard_removals WHERE instance = 'a'");
  EXPECT_EQ(child.wait().code, 0) << child.error_output();
  EXPECT_EQ(count("wireguard_peers"), 1);
  EXPECT_EQ(postgres_integer(name_, "SELECT available FROM bandwidth WHERE client_id = 3"), 1'000);
  expect_clean();
  const auto migrated = maintain({"migrate"});
  EXPECT_EQ(migrated.ended.code, 0) << migrated.error_output;
  EXPECT_EQ(maintain({"vacuum"}).ended.code, 0);
}

// The gateway has looked the client up when it is removed, and waits for that to be committed.
TEST_F(Shared, ClientWhoPaysWhileItIsRemovedIsAClientAgain) {
  fill(3, 0);
  auto storage = gateway::storage::open_postgres(
      {.url = url(),
       .instance = {.name = "b", .announced_host = "192.0.2.1", .announced_port = 1},
       .ipv4_pool = "10.0.0.0/14",
       .ipv6_pool = "fd00::/108"});
  ASSERT_TRUE(storage) << storage.error().detail;
  auto maintenance = connect();
  ASSERT_TRUE(
      maintenance.execute("BEGIN; SELECT 1 FROM clients WHERE id = 2 FOR UPDATE;"
                          "DELETE FROM clients WHERE id = 2"));
  std::promise<bool> accepted;
  std::jthread client([&] {
    try {
      Database::accept(**storage, 2, 77, now + day, now);
      accepted.set_value(true);
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
      accepted.set_value(false);
    }
  });
  while (postgres_integer(name_, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 0)
    std::this_thread::yield();
  ASSERT_TRUE(maintenance.execute("COMMIT"));
  EXPECT_TRUE(accepted.get_future().get());
  storage->reset();
  EXPECT_EQ(postgres_integer(name_, "SELECT id FROM wireguard_peers WHERE instance = 'b'"), 4);
  EXPECT_EQ(postgres_integer(name_, "SELECT credited FROM bandwidth WHERE client_id = 4"),
            ticket_amount);
  expect_clean();
}

TEST_F(Shared, CheckNamesWhatIsBroken) {
  fill(4, 0);
  expect_clean();
  const auto expect_found = [&](const std::string& check, const std::string& sql) {
    execute(sql);
    const auto checked = maintain({"check"});
    EXPECT_EQ(checked.ended.code, 2) << check << checked.output << checked.error_output;
    EXPECT_THAT(checked.output, HasSubstr(check + " "));
  };
  expect_found("credit_has_nullifiers", "DELETE FROM spent_credentials WHERE client_id = 2");
  expect_found("released_address_is_free",
               "INSERT INTO released_addresses (instance, address, released_at)"
               " VALUES ('a', 'fd00::2', 1)");
  expect_found("foreign_keys",
               "ALTER TABLE wireguard_peers DISABLE TRIGGER wireguard_peers_deleted");
  expect_found("ticket_has_client",
               "SET session_replication_role = replica;"
               "UPDATE spent_credentials SET client_id = 77 WHERE client_id = 1");
  expect_found("client_has_bandwidth", "DELETE FROM bandwidth WHERE client_id = 3");
}

TEST_F(Shared, DamagedIndexIsFoundWhereThereIsAmcheck) {
  fill(1, 5'000);
  EXPECT_THAT(maintain({"check"}).output, HasSubstr("not_checked: the pages of tables"));
  if (execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'") == "0\n") {
    GTEST_SKIP() << "NOT RUN: there is no extension amcheck here";
  }
  execute("CREATE EXTENSION amcheck");
  const auto clean = maintain({"check"});
  EXPECT_EQ(clean.ended.code, 0) << clean.error_output;
  EXPECT_THAT(clean.output, Not(HasSubstr("not_checked")));
  auto file = execute(
      "SELECT current_setting('data_directory') || '/' ||"
      " pg_relation_filepath('spent_credentials_expiry')");
  file.erase(file.find('\n'));
  execute("CHECKPOINT");
  postgres().stop(PostgresServer::Stop::fast);
  {
    std::fstream index(file, std::ios::in | std::ios::out | std::ios::binary);
    ASSERT_TRUE(index.is_open()) << file;
    index.seekp(2 * 8'192);
    index << std::string(8'192, '\xa5');
  }
  postgres().start();
  const auto checked = maintain({"check"});
  EXPECT_EQ(checked.ended.code, 2) << checked.output << checked.error_output;
  EXPECT_THAT(checked.output, HasSubstr("integrity"));
}

TEST_F(Dump, IsRestoredToTheSameRows) {
  fill(50, 500);
  const TempDir dir;
  const auto file = dir / "gateway.dump";
  lp::test::write_file(file.string() + ".partial", "of one that was killed");
  const auto done = maintain({"backup", file.string(), "--format", "json"});
  ASSERT_EQ(done.ended.code, 0) << done.error_output;
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(number(done, file.string() + ".bytes"), status.st_size);
  EXPECT_FALSE(std::filesystem::exists(file.string() + ".partial"));

  const auto restored = new_postgres_database();
  const auto restoring = lp::test::run(
      {.program = "/usr/bin/pg_restore",
       .args = {"--exit-on-error", "--dbname=" + postgres().url(restored), file.string()}});
  ASSERT_EQ(restoring.ended.code, 0) << restoring.error_output;
  for (const char* table : {"clients", "wireguard_peers", "bandwidth", "spent_credentials"}) {
    const std::string rows =
        std::string("SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM ") + table +
        " AS t";
    EXPECT_EQ(postgres().query(restored, rows), execute(rows)) << table;
  }
  EXPECT_EQ(
      lp_db_maint({"check", "--storage", postgres().url(restored), "--as-of", std::to_string(now)})
          .ended.code,
      0);

  // What fails leaves the one before.
  const auto before = lp::test::read_file(file);
  const auto without = lp::test::run({.program = lp::test::program("lp-db-maint"),
                                      .args = arguments({"backup", file.string()}),
                                      .environment = {{"PATH", "/nowhere"}}});
  EXPECT_EQ(without.ended.code, 78);
  EXPECT_THAT(without.error_output, HasSubstr("there is no pg_dump here"));
  EXPECT_EQ(maintain({"backup", "/dev/null"}).ended.code, 73);
  auto other = connect();
  ASSERT_TRUE(other.execute("BEGIN; LOCK TABLE clients IN ACCESS EXCLUSIVE MODE"));
  const auto locked = maintain({"backup", file.string(), "--lock-timeout", "50ms"});
  EXPECT_EQ(locked.ended.code, 3) << locked.error_output;
  EXPECT_THAT(locked.error_output, HasSubstr("no backup was made; pg_dump: error"));
  Child child({.program = lp::test::program("lp-db-maint"),
               .args = arguments({"backup", file.string(), "--lock-timeout", "60s"})});
  while (postgres_integer(name_, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 0)
    ASSERT_TRUE(child.running()) << child.error_output();
  child.send_signal(SIGTERM);
  EXPECT_EQ(child.wait().code, 3);
  EXPECT_THAT(child.error_output(), HasSubstr("interrupted; no backup was made"));
  EXPECT_EQ(lp::test::read_file(file), before);
  EXPECT_FALSE(std::filesystem::exists(file.string() + ".partial"));
}

TEST_F(Server, ThatGoesAwayEndsACleanupAndLosesNothing) {
  fill(5, 20'000);
  Child child({.program = lp::test::program("lp-db-maint"), .args = arguments({"cleanup"})});
  while (count("spent_credentials") == 20'005)
    ASSERT_TRUE(child.running()) << child.error_output();
  postgres().stop(PostgresServer::Stop::immediate);
  EXPECT_EQ(child.wait().code, 69) << child.error_output();
  EXPECT_THAT(child.error_output(), HasSubstr("postgresql://lp@/" + name_ + ": "));
  EXPECT_EQ(maintain({"cleanup"}).ended.code, 69);
  postgres().start();
  expect_clean();
  EXPECT_EQ(maintain({"cleanup"}).ended.code, 0);
  EXPECT_EQ(count("spent_credentials"), 5);
  expect_clean();
}

// A real gateway under load beside it.
TEST_F(Server, LosesNoRegistrationBesideACleanup) {
  lp::test::GatewayProcess gateway({.flags = {"--storage", url(), "--instance", "a",
                                              "--wireguard-announced-address", "192.0.2.1"}});
  const int old = long_run() ? 200'000 : 20'000;
  execute(
      "INSERT INTO spent_credentials SELECT sha256(i::text::bytea), 1000, 900, 1, 'dvpn',"
      " sha256(i::text::bytea), NULL FROM generate_series(1, " +
      std::to_string(old) + ") AS i");
  const auto registered = [&](std::uint64_t number) {
    const auto answer = lp::test::register_once(gateway.port(), gateway.lp_key(),
                                                lp::test::request(number, number));
    return answer && answer->success;
  };
  ASSERT_TRUE(registered(0));
  Child cleanup({.program = lp::test::program("lp-db-maint"),
                 .args = {"cleanup", "--format", "json", "--storage", url()}});
  constexpr std::uint64_t threads = 2;
  std::array<std::uint64_t, threads> done{};
  {
    std::vector<std::jthread> clients;
    for (std::uint64_t client = 0; client < threads; ++client) {
      clients.emplace_back([&, client] {
        while (cleanup.running() || done[client] < 5)
          ASSERT_TRUE(registered(1 + client + threads * done[client]++));
      });
    }
  }
  const auto ended = cleanup.wait();
  ASSERT_EQ(ended.code, 0) << cleanup.error_output();
  const Finished finished{.ended = ended, .output = cleanup.output(), .error_output = {}};
  EXPECT_EQ(number(finished, "spent_credentials.rows"), old);
  EXPECT_EQ(count("spent_credentials"), static_cast<std::int64_t>(1 + done[0] + done[1]));
  EXPECT_EQ(count("clients"), static_cast<std::int64_t>(1 + done[0] + done[1]));
  EXPECT_EQ(gateway.stop(), 0);
  EXPECT_EQ(lp_db_maint({"check", "--storage", url()}).ended.code, 0);
}

TEST_F(Server, KeepsNothingHalfDoneOfACleanupThatIsKilled) {
  fill(20, 10'000);
  std::mt19937 random(std::random_device{}());
  const int rounds = long_run() ? 50 : 3;
  for (int round = 0; round < rounds; ++round) {
    Child child({.program = lp::test::program("lp-db-maint"), .args = arguments({"cleanup"})});
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 200'000));
    (void)child.kill();
    expect_clean();
    EXPECT_EQ(count("spent_credentials WHERE expiry > " + std::to_string(now)), 20);
  }
  EXPECT_EQ(maintain({"cleanup"}).ended.code, 0);
  EXPECT_EQ(count("spent_credentials"), 20);
}

}  // namespace
}  // namespace lp::db_maint::test
