// report, stats, check, backup, vacuum and migrate on good databases and on broken ones.
#include <gmock/gmock.h>
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <limits>
#include <thread>

#include "tests/tools/db_maint/fixture.h"

namespace lp::db_maint::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Shown : public EveryDatabase {};
INSTANTIATE_TEST_SUITE_P(On, Shown, ::testing::Values(Kind::sqlite, Kind::postgres), kind_name);

void register_clients(const Database& database, int clients) {
  const auto storage = database.open();
  for (int i = 1; i <= clients; ++i) {
    const auto number = static_cast<std::uint64_t>(i);
    Database::accept(*storage, number, number, now + day, now);
  }
}

TEST_P(Shown, ReportIsOrderedByUseAndCut) {
  register_clients(database, 5);
  database.rows().execute(
      "UPDATE bandwidth SET used = client_id * 1000, available = credited - client_id * 1000");
  filled();
  const auto report = maintain({"report", "--limit", "2", "--format", "csv"});
  EXPECT_EQ(report.ended.code, 0) << report.error_output;
  EXPECT_THAT(report.output, StartsWith("client_id,kind,key,ticket_type,used,available,credited"));
  EXPECT_THAT(report.output, HasSubstr("\r\n5,wireguard,"));
  EXPECT_THAT(report.output, HasSubstr("V1WireguardEntry,5000,499995000,500000000"));
  EXPECT_LT(report.output.find("\r\n5,"), report.output.find("\r\n4,"));
  EXPECT_EQ(report.output.find("\r\n3,"), std::string::npos);
}

TEST_P(Shown, StatsCountWhatIsThere) {
  register_clients(database, 5);
  database.add_spent(7, now - day);
  filled();
  const auto stats = maintain({"stats", "--format", "json"});
  EXPECT_EQ(stats.ended.code, 0) << stats.error_output;
  EXPECT_EQ(number(stats, "wireguard_peers.value"), 5);
  EXPECT_EQ(number(stats, "spent_credentials.value"), 12);
  EXPECT_EQ(number(stats, "spent_credentials_expired.value"), 7);
  EXPECT_EQ(number(stats, "bytes_available.value"), 5 * ticket_amount);
  EXPECT_EQ(number(stats, "newest_spent_at.value"), now);
  EXPECT_GT(number(stats, "file_bytes.value"), 4'096);
}

TEST_P(Shown, StatsAddUpToTheLastByteAndNoFurther) {
  register_clients(database, 2);
  const auto set_each = [](const std::string& bytes) {
    return "UPDATE bandwidth SET used = 0, available = " + bytes + ", credited = " + bytes;
  };
  database.rows().execute(set_each("9007199254740993 + client_id - 1"));  // 2^53 + 1, and one more
  filled();
  EXPECT_EQ(number(maintain({"stats", "--format", "json"}), "bytes_credited.value"),
            18'014'398'509'481'987);
  execute(set_each("9223372036854775807"));
  EXPECT_EQ(number(maintain({"stats", "--format", "json"}), "bytes_available.value"),
            std::numeric_limits<std::int64_t>::max());
}

// Who reads the columns by their names finds them where there is nothing to list as well; and the
// time to repeat a dry run with is said.
TEST_P(Shown, StalePeersHaveTheirColumnsAndTheirTimeWhereNoneIsStale) {
  register_clients(database, 1);
  filled();
  const auto csv = maintain({"stale-peers", "--format", "csv"});
  EXPECT_EQ(csv.ended.code, 0) << csv.error_output;
  EXPECT_EQ(csv.output.find(",used,instance\r\n") != std::string::npos,
            GetParam() == Kind::postgres);
  EXPECT_EQ(number(maintain({"stale-peers", "--dry-run", "--format", "json"}), "as_of"), now);
}

// A hostile file's texts reach no terminal as they are.
TEST_P(Shown, ReportHasNoControlCharacters) {
  register_clients(database, 1);
  database.rows().execute("UPDATE wireguard_peers SET ticket_type = 'a' || char(27) || '[2J'");
  filled();
  for (const char* format : {"text", "json", "csv"}) {
    const auto report = maintain({"report", "--format", format});
    EXPECT_EQ(report.output.find('\x1b'), std::string::npos) << format;
    EXPECT_THAT(report.output, HasSubstr("x1b[2J"));
  }
}

struct Damage {
  const char* check;
  const char* sql;
};

TEST(Check, NamesWhatIsBroken) {
  for (const auto& [check, sql] : {
           Damage{"credit_has_nullifiers", "DELETE FROM spent_credentials WHERE client_id = 2"},
           Damage{"balance",
                  "PRAGMA ignore_check_constraints = ON;"
                  "UPDATE bandwidth SET available = available + 1 WHERE client_id = 1"},
           Damage{"foreign_keys",
                  "PRAGMA foreign_keys = OFF; UPDATE spent_credentials SET client_id = 77"
                  " WHERE client_id = 1"},
           Damage{"released_address_is_free",
                  "INSERT INTO released_addresses (address, released_at) VALUES ('fd00::2', 1)"},
           Damage{"trigger wireguard_peers_deleted is missing",
                  "DROP TRIGGER wireguard_peers_deleted"},
           Damage{"index spent_credentials_expiry is missing",
                  "DROP INDEX spent_credentials_expiry"},
           Damage{"table lp_sessions is missing", "DROP TABLE lp_sessions"},
       }) {
    const Database database;
    register_clients(database, 3);
    expect_clean(database);
    database.rows().execute(sql);
    const auto checked = database.maintain({"check"});
    EXPECT_EQ(checked.ended.code, 2) << check << checked.output << checked.error_output;
    EXPECT_THAT(checked.output, HasSubstr(check));
  }
}

TEST(Backup, IsWholeWhileTheGatewayWrites) {
  const Database database;
  register_clients(database, 200);
  database.add_spent(20'000, now - day);
  const auto storage = database.open();
  const auto file = database.beside("backup.sqlite");
  std::atomic<bool> over = false;
  std::atomic<int> accepted = 0;
  std::jthread writer([&] {
    for (std::uint64_t i = 1'000; !over; ++i, ++accepted)
      Database::accept(*storage, i, i, now + day, now);
  });
  while (accepted < 5)
    std::this_thread::yield();
  const int before = accepted;
  const auto done = database.maintain({"backup", file.string(), "--format", "json"});
  over = true;
  writer.join();
  EXPECT_EQ(done.ended.code, 0) << done.error_output;
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(number(done, file.string() + ".bytes"), status.st_size);
  for (const char* beside : {".partial", ".partial-journal", "-wal", "-shm"})
    EXPECT_FALSE(std::filesystem::exists(file.string() + beside)) << beside;
  // It is a moment of the gateway's: what was answered before it was begun is in it.
  const auto tickets = Rows(file).count("spent_credentials");
  EXPECT_GE(tickets, 20'200 + before);
  EXPECT_LE(tickets, 20'200 + accepted);
  EXPECT_EQ(
      lp_db_maint({"check", "--storage", file.string(), "--as-of", std::to_string(now)}).ended.code,
      0);
  EXPECT_TRUE(gateway::storage::open_sqlite(
      {.path = file, .ipv4_pool = "10.0.0.0/14", .ipv6_pool = "fd00::/108"}));
}

TEST(Backup, TakesOverWhatAKilledOneLeft) {
  const Database database;
  register_clients(database, 3);
  const auto file = database.beside("backup.sqlite");
  lp::test::write_file(file.string() + ".partial", std::string(10'000, 'x'));
  lp::test::write_file(file.string() + ".partial-journal", "of another");
  EXPECT_EQ(database.maintain({"backup", file.string()}).ended.code, 0);
  EXPECT_EQ(Rows(file).count("clients"), 3);
  // Over the one before.
  register_clients(Database(), 1);
  database.accept(9, 9, now + day, now);
  EXPECT_EQ(database.maintain({"backup", file.string()}).ended.code, 0);
  EXPECT_EQ(Rows(file).count("clients"), 4);
}

// SQLite would carry the log out in the new file.
TEST(Backup, IsNotPutUnderTheLogOfAnotherDatabase) {
  const Database database;
  register_clients(database, 2);
  const Database other;
  register_clients(other, 3);
  for (const char* suffix : {"-wal", "-journal"}) {
    const auto file = other.beside("copy.sqlite").string();
    lp::test::write_file(file, "the one before");
    lp::test::write_file(file + suffix, "its log");
    const auto refused = database.maintain({"backup", file});
    EXPECT_EQ(refused.ended.code, 73);
    EXPECT_THAT(refused.error_output,
                HasSubstr("copy.sqlite" + std::string(suffix) + ": is there"));
    EXPECT_EQ(lp::test::read_file(file), "the one before");
    std::filesystem::remove(file + suffix);
    EXPECT_EQ(database.maintain({"backup", file}).ended.code, 0);
  }
}

TEST(Backup, GoesNowhereButIntoAFile) {
  const Database database;
  register_clients(database, 1);
  for (const auto& place : {std::string("/dev/null"), database.beside("").string(),
                            database.beside("no/where").string()}) {
    const auto refused = database.maintain({"backup", place});
    EXPECT_EQ(refused.ended.code, 73) << place << refused.error_output;
  }
  EXPECT_EQ(database.maintain({"backup", database.path().string() + "-wal"}).ended.code, 64);
  expect_clean(database);
}

TEST(Vacuum, IsNotDoneBesideTheGateway) {
  const Database database;
  database.add_spent(20'000, now - day);
  register_clients(database, 3);
  database.rows().execute("DELETE FROM spent_credentials WHERE client_id IS NULL");
  {
    const auto storage = database.open();
    const auto refused = database.maintain({"vacuum"});
    EXPECT_EQ(refused.ended.code, 3);
    EXPECT_THAT(refused.error_output, HasSubstr("another process has it open"));
    // The gateway has not noticed.
    Database::accept(*storage, 50, 50, now + day, now);
  }
  const auto before = std::filesystem::file_size(database.path());
  const auto done = database.maintain({"vacuum"});
  EXPECT_EQ(done.ended.code, 0) << done.error_output;
  EXPECT_LT(std::filesystem::file_size(database.path()), before / 2);
  EXPECT_EQ(database.rows().count("clients"), 4);
  expect_clean(database);
}

TEST(Progress, IsShownOnATerminalAlone) {
  if (!lp::test::has_terminals()) GTEST_SKIP() << lp::test::no_terminals;
  const Database database;
  database.add_spent(1'000, now - 40 * day);
  register_clients(database, 1);
  const auto quiet = database.maintain({"backup", database.beside("copy").string()});
  EXPECT_EQ(quiet.error_output, "");
  std::string command = lp::test::program("lp-db-maint").string();
  for (const auto& argument : database.arguments({"cleanup"}))
    command += " " + argument;
  const auto shown = lp::test::run({.program = "/usr/bin/script",
                                    .args = {"-qec", command, "/dev/null"},
                                    .environment = {{"TERM", "xterm"}}});
  EXPECT_EQ(shown.ended.code, 0) << shown.output;
  EXPECT_THAT(shown.output, HasSubstr("\r\x1b[Kspent_credentials: 100 of 1,000 (10 %)"));
  // The line is taken away before the result.
  EXPECT_LT(shown.output.rfind("\r\x1b[K"), shown.output.find("older_than"));
}

// An ssh that broke off, with nohup: what cannot be shown is not shown, and the work is done.
TEST(Progress, OnATerminalThatGoesAwayEndsNothing) {
  if (!lp::test::has_terminals()) GTEST_SKIP() << lp::test::no_terminals;
  const Database database;
  database.add_spent(3'000, now - 40 * day);
  register_clients(database, 1);
  std::vector<std::string> words = database.arguments({"cleanup"});
  words.insert(words.begin(), lp::test::program("lp-db-maint").string());
  std::vector<char*> argv;
  for (auto& word : words)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string term = "TERM=xterm";
  const std::array<char*, 2> environment{term.data(), nullptr};
  int terminal = -1;
  const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    (void)::signal(SIGHUP, SIG_IGN);
    (void)::execve(argv.front(), argv.data(), environment.data());
    ::_exit(127);
  }
  char first = 0;
  EXPECT_EQ(::read(terminal, &first, 1), 1);
  EXPECT_EQ(first, '\r');
  ::close(terminal);
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 73);  // the result could not be written
  EXPECT_EQ(database.rows().count("spent_credentials"), 1);
}

TEST(Migrate, LeavesTheNewestVersionAsItIs) {
  const Database database;
  register_clients(database, 1);
  const auto version = database.rows().integer("PRAGMA user_version");
  for (const bool dry : {true, false}) {
    std::vector<std::string> args{"migrate", "--format", "json"};
    if (dry) args.emplace_back("--dry-run");
    const auto done = database.maintain(args);
    EXPECT_EQ(done.ended.code, 0) << done.error_output;
    EXPECT_THAT(done.output, HasSubstr("\"version_after\":" + std::to_string(version)));
  }
}

}  // namespace
}  // namespace lp::db_maint::test
