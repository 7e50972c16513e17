// What the world does to a database: each has its exit status and its sentence, and loses nothing.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/tools/db_maint/fixture.h"

namespace lp::db_maint::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::int64_t long_ago = now - 40 * day;
constexpr uid_t nobody = 65'534;

/// A database with `old` tickets to be removed, and one that stays.
void fill(const Database& database, int old) {
  database.add_spent(old, long_ago);
  database.accept(1, 1, now + day, now);
}

TEST(Lock, OfAnotherIsWaitedForAndThenSaid) {
  const Database database;
  fill(database, 100);
  Rows writer(database.path());
  writer.execute("BEGIN IMMEDIATE");
  const auto refused = database.maintain({"cleanup", "--lock-timeout", "50ms"});
  EXPECT_EQ(refused.ended.code, 3);
  EXPECT_THAT(refused.error_output,
              HasSubstr("locked by another process for longer than --lock-timeout"));
  EXPECT_EQ(database.rows().count("spent_credentials"), 101);
  // Who only reads does not wait.
  for (const char* command : {"stats", "check", "report", "stale-peers"})
    EXPECT_EQ(database.maintain({command, "--lock-timeout", "0"}).ended.code, 0) << command;
  EXPECT_EQ(database.maintain({"cleanup", "--dry-run"}).ended.code, 0);

  Child waiting({.program = lp::test::program("lp-db-maint"),
                 .args = database.arguments({"cleanup", "--lock-timeout", "60s"})});
  writer.execute("COMMIT");
  EXPECT_EQ(waiting.wait().code, 0) << waiting.error_output();
  EXPECT_EQ(database.rows().count("spent_credentials"), 1);
}

TEST(File, ThatIsMissingIsNotMade) {
  const TempDir dir;
  for (const char* command :
       {"cleanup", "stale-peers", "report", "stats", "check", "vacuum", "migrate"}) {
    const auto refused = lp_db_maint({command, "--storage", (dir / "no.sqlite").string()});
    EXPECT_EQ(refused.ended.code, 66) << command;
    EXPECT_THAT(refused.error_output, HasSubstr("there is no such file, and none is made"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(File, ThatIsNoDatabaseOfOursIsLeftAlone) {
  const TempDir dir;
  const auto expect_refused = [&](const std::string& name, const std::string& sentence) {
    const std::string before = lp::test::read_file(dir / name);
    for (const char* command : {"cleanup", "check", "migrate", "vacuum"}) {
      const auto refused = lp_db_maint({command, "--storage", (dir / name).string()});
      EXPECT_EQ(refused.ended.code, 66) << name << " " << command;
      EXPECT_THAT(refused.error_output, HasSubstr(sentence)) << name;
    }
    EXPECT_EQ(lp::test::read_file(dir / name), before);
  };
  lp::test::write_file(dir / "text", "not a database, but long enough to have a header in it\n" +
                                         std::string(4'096, 'x'));
  expect_refused("text", "is no database");
  lp::test::write_file(dir / "empty", "");
  expect_refused("empty", "is empty");
  lp::test::write_file(dir / "other", "");
  Rows(dir / "other").execute("CREATE TABLE t (x)");
  expect_refused("other", "is the database of another program");
  std::filesystem::create_directory(dir / "directory");
  const auto refused = lp_db_maint({"stats", "--storage", (dir / "directory").string()});
  EXPECT_EQ(refused.ended.code, 66);
}

TEST(File, OfOursWithoutAVersionIsNoDatabaseOfOurs) {
  const Database database;
  fill(database, 1);
  database.rows().execute("PRAGMA user_version = 0");
  const auto refused = database.maintain({"check"});
  EXPECT_EQ(refused.ended.code, 66);
  EXPECT_THAT(refused.error_output, HasSubstr("is the database of another program"));
}

// A mistake in --textfile, which is renamed over whatever is there.
TEST(File, OfTheDatabaseIsNotReplacedByMetrics) {
  const Database database;
  fill(database, 10);
  const auto path = database.path().string();
  const auto link = database.beside("link");
  std::filesystem::create_symlink(path, link);
  for (const auto& file : {path, path + "-wal", path + ".lock", link.string()}) {
    const auto refused = database.maintain({"stats", "--textfile", file});
    EXPECT_EQ(refused.ended.code, 64) << file;
    EXPECT_THAT(refused.error_output, HasSubstr("is the database itself")) << file;
  }
  const auto backup = database.beside("backup").string();
  for (const auto& file : {backup, backup + ".partial"}) {
    const auto refused = database.maintain({"backup", file, "--textfile", backup});
    EXPECT_EQ(refused.ended.code, 64) << file;
    EXPECT_FALSE(std::filesystem::exists(file));
  }
  expect_clean(database);
  EXPECT_EQ(database.rows().count("spent_credentials"), 11);
}

// Both are written by way of FILE.partial.
TEST(File, NamedPartialIsNotWrittenOver) {
  const Database database;
  fill(database, 10);
  database.rows().execute("PRAGMA wal_checkpoint(TRUNCATE)");
  const auto partial = database.beside("copy.partial").string();
  std::filesystem::copy_file(database.path(), partial);
  const auto copy = database.beside("copy").string();
  EXPECT_EQ(lp_db_maint({"backup", copy, "--storage", partial}).ended.code, 64);
  EXPECT_EQ(lp_db_maint({"stats", "--textfile", copy, "--storage", partial}).ended.code, 64);
  EXPECT_EQ(Rows(partial).count("spent_credentials"), 11);
}

TEST(File, ThatALinkNamesIsMeasuredWithItsLog) {
  const Database database;
  const auto storage = database.open();
  Database::accept(*storage, 1, 1, now + day, now);
  const auto link = database.beside("link").string();
  std::filesystem::create_symlink(database.path(), link);
  const auto stats = lp_db_maint({"stats", "--format", "json", "--storage", link});
  EXPECT_EQ(stats.ended.code, 0) << stats.error_output;
  EXPECT_GT(number(stats, "log_bytes.value"), 0);
}

TEST(File, OfANewerVersionIsLeftAlone) {
  const Database database;
  fill(database, 10);
  database.rows().execute("PRAGMA user_version = 99");
  for (const char* command : {"cleanup", "check", "stats", "migrate", "vacuum"}) {
    const auto refused = database.maintain({command});
    EXPECT_EQ(refused.ended.code, 66) << command;
    EXPECT_THAT(refused.error_output, HasSubstr("schema version 99"));
  }
  EXPECT_EQ(database.rows().count("spent_credentials"), 11);
}

TEST(File, ThatMayNotBeWrittenIsAQuestionOfPermission) {
  const Database database;
  fill(database, 10);
  const bool root = ::geteuid() == 0;
  std::filesystem::permissions(database.path().parent_path(), std::filesystem::perms(0755));
  std::filesystem::permissions(database.path(), std::filesystem::perms(0444));
  for (const char* command : {"cleanup", "vacuum"}) {
    const auto refused = lp::test::run({.program = lp::test::program("lp-db-maint"),
                                        .args = database.arguments({command}),
                                        .user = root ? std::optional(nobody) : std::nullopt});
    EXPECT_EQ(refused.ended.code, 77) << command;
    EXPECT_THAT(refused.error_output, HasSubstr("cannot be written: Permission denied"));
  }
  std::filesystem::permissions(database.path(), std::filesystem::perms(0600));
  EXPECT_EQ(database.rows().count("spent_credentials"), 11);
}

TEST(Page, ThatIsDamagedIsFoundAndNothingElseIsDone) {
  const Database database;
  fill(database, 5'000);
  database.rows().execute("PRAGMA wal_checkpoint(TRUNCATE)");
  {
    std::fstream file(database.path(), std::ios::in | std::ios::out | std::ios::binary);
    // The pages after the schema's: tickets and their indexes.
    for (const int page : {40, 60, 80, 100}) {
      file.seekp(page * 4'096);
      file << std::string(4'096, '\xa5');
    }
  }
  const auto checked = database.maintain({"check", "--format", "json"});
  EXPECT_EQ(checked.ended.code, 2);
  EXPECT_GE(number(checked, "findings"), 1);
  // A complaint a finding, not all of them in one.
  EXPECT_THAT(checked.output, Not(HasSubstr("x0a")));
  const auto cleaned = database.maintain({"cleanup"});
  EXPECT_EQ(cleaned.ended.code, 2) << cleaned.output;
  EXPECT_THAT(cleaned.error_output, HasSubstr("is damaged"));
  const auto backup = database.beside("backup.sqlite");
  lp::test::write_file(backup, "the one before");
  const auto backed_up = database.maintain({"backup", backup.string()});
  EXPECT_EQ(backed_up.ended.code, 2);
  EXPECT_THAT(backed_up.error_output, HasSubstr("no backup was made"));
  EXPECT_EQ(lp::test::read_file(backup), "the one before");
}

TEST(Disk, ThatIsFullLosesNothing) {
  const Database database;
  fill(database, 6'000);
  const SmallDisk disk(database.beside("disk"), "size=16m,mode=0700");
  if (!disk.mounted()) GTEST_SKIP() << SmallDisk::not_mounted;
  const auto full = database.beside("disk/gateway.sqlite");
  database.rows().execute("PRAGMA wal_checkpoint(TRUNCATE)");
  std::filesystem::copy_file(database.path(), full);
  disk.fill_up(64 * 1'024);
  const std::vector<std::string> args{
      "cleanup", "--format", "json", "--storage", full.string(), "--as-of", std::to_string(now)};
  const auto refused = lp_db_maint(args);
  EXPECT_EQ(refused.ended.code, 73) << refused.output;
  EXPECT_THAT(refused.error_output, HasSubstr("no space is left"));
  const auto removed = number(refused, "spent_credentials.rows");

  const auto backup = database.beside("disk/backup.sqlite");
  lp::test::write_file(backup, "the one before");
  const auto backed_up = lp_db_maint({"backup", backup.string(), "--storage", full.string()});
  EXPECT_EQ(backed_up.ended.code, 73);
  EXPECT_EQ(lp::test::read_file(backup), "the one before");
  EXPECT_FALSE(std::filesystem::exists(backup.string() + ".partial"));
  const auto metrics = database.beside("disk/lp.prom");
  {
    disk.make_room();
    disk.fill_up(0);
  }
  EXPECT_EQ(
      lp_db_maint({"stats", "--storage", database.path().string(), "--textfile", metrics.string()})
          .ended.code,
      73);
  EXPECT_FALSE(std::filesystem::exists(metrics));

  disk.make_room();
  EXPECT_EQ(Rows(full).count("spent_credentials"), 6'001 - removed);
  EXPECT_EQ(lp_db_maint({"check", "--storage", full.string()}).ended.code, 0);
  const auto done = lp_db_maint(args);
  EXPECT_EQ(done.ended.code, 0) << done.error_output;
  EXPECT_EQ(number(done, "spent_credentials.rows"), 6'000 - removed);
}

TEST(Output, ThatCannotBeWrittenIsAnError) {
  const Database database;
  fill(database, 1);
  const auto refused = lp::test::run(
      {.program = "/bin/sh",
       .args = {"-c", lp::test::program("lp-db-maint").string() + " stats --storage " +
                          database.path().string() + " > /dev/full"}});
  EXPECT_EQ(refused.ended.code, 73);
  EXPECT_THAT(refused.error_output, HasSubstr("the output cannot be written"));
}

// lp-db-maint … 2>&1 | head: its own exit status, and no abort.
TEST(Output, OfErrorsThatNobodyReadsLeavesTheExitStatus) {
  const Database database;
  const auto with = [](const std::string& words) {
    return lp::test::run({.program = "/bin/sh",
                          .args = {"-c", lp::test::program("lp-db-maint").string() + " " + words}});
  };
  EXPECT_EQ(with("stats --storage /no/such/file 2> /dev/full").ended.code, 66);
  EXPECT_EQ(with("nonsense 2> /dev/full").ended.code, 64);
  EXPECT_EQ(with("--version > /dev/full").ended.code, 73);
  EXPECT_EQ(with("--help > /dev/full").ended.code, 73);
}

TEST(Usage, IsSaidInASentence) {
  const Database database;
  const auto expect_usage = [&](std::vector<std::string> args, const std::string& sentence) {
    const auto refused = lp_db_maint(std::move(args));
    EXPECT_EQ(refused.ended.code, 64);
    EXPECT_THAT(refused.error_output, StartsWith("lp-db-maint: "));
    EXPECT_THAT(refused.error_output, HasSubstr(sentence));
    EXPECT_THAT(refused.error_output, Not(HasSubstr("hush")));
  };
  expect_usage({}, "a command is missing");
  expect_usage({"clean"}, "there is no command \"clean\", but cleanup");
  expect_usage({"cleanup", "--retention", "soon"}, "--retention: must be");
  expect_usage({"cleanup", "--retention", "99999999999999999999"}, "--retention: must be");
  expect_usage({"report", "--limit", "0"}, "--limit: must be a whole number from 1");
  expect_usage({"backup"}, "file is required");
  expect_usage({"stats", "--what"}, "unknown flag --what");
  expect_usage({"stats", "--storage", ""}, "no path is given");
  expect_usage({"backup", database.path().string(), "--storage", database.path().string()},
               "is the database itself");
  expect_usage({"stats", "--format", "xml"}, "--format: must be text, json or csv\n");
  expect_usage({"cleanup", "--as-of", "2025-02-29T00:00:00Z"}, "--as-of: must be a time");
  expect_usage({"stats", "--textfile", ""}, "--textfile: names no file");
  expect_usage({"backup", ""}, "FILE: names no file");
  expect_usage({"copy"}, "--to is required");
  const std::string postgres = "postgresql://lp:hush@localhost/db";
  expect_usage({"stats", "--storage", postgres + "?nothing=1"}, "--storage: is no PostgreSQL URL");
  expect_usage({"copy", "--to", "sqlite:x", "--instance", "a"}, "--to: must be postgresql://");
  expect_usage({"copy", "--storage", postgres, "--to", postgres, "--instance", "a"},
               "--storage: must be sqlite:PATH");
  expect_usage({"copy", "--to", postgres, "--instance", "a b"}, "--instance: must be 1 to 63");
  expect_usage({"stats", "--storage", "postgresql://lp:pa@hush@localhost/db"}, "is written %40");
  // Where a URL stands by mistake, it may hold a password all the same.
  expect_usage({"stats", postgres}, "unexpected argument \"a PostgreSQL URL\"");
  for (const char* mistyped :
       {"Postgresql://lp:hush@localhost/db", "host=localhost dbname=db password=hush"}) {
    expect_usage({"stats", "--storage", mistyped}, "--storage: must be sqlite:PATH, a path, or");
  }
}

}  // namespace
}  // namespace lp::db_maint::test
