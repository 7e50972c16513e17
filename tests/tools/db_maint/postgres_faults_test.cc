// What the world does to a PostgreSQL server: its disk is full, it takes no writes, it refuses a
// role. lp-db-maint and a gateway say so, lose nothing, and go on once that is over.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "lib/messages/registration_errors.h"
#include "tests/system/gateway_process.h"
#include "tests/tools/db_maint/fixture.h"

namespace lp::db_maint::test {
namespace {

using lp::test::GatewayProcess;
using lp::test::PostgresServer;
using messages::RegistrationFailure;
using messages::sentence;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

GatewayProcess::Options instance_a(const std::string& url) {
  return {
      .flags = {"--storage", url, "--instance", "a", "--wireguard-announced-address", "192.0.2.1"}};
}

std::optional<messages::RegistrationResponse> register_at(const GatewayProcess& gateway,
                                                          std::uint64_t number) {
  return lp::test::register_once(gateway.port(), gateway.lp_key(),
                                 lp::test::request(number, number));
}

/// How a gateway ends that does not start.
Finished start_gateway(const std::string& url) {
  const TempDir dir;
  const auto program = lp::test::program("lp-gateway");
  const auto data_dir = "--data-dir=" + (dir / "gateway").string();
  const auto made = lp::test::run({.program = program, .args = {"init", data_dir}});
  EXPECT_EQ(made.ended.code, 0) << made.error_output;
  return lp::test::run(
      {.program = program,
       .args = {"run", data_dir, "--use-mock-ecash", "--bind-address=127.0.0.1", "--control-port=0",
                "--http-address=127.0.0.1", "--http-port=0", "--instance=a",
                "--wireguard-announced-address=192.0.2.1", "--storage=" + url}});
}

std::string options_of_disk(const PostgresServer& server, const std::string& size) {
  struct stat process{};
  const auto path = "/proc/" + std::to_string(server.pid());
  if (::stat(path.c_str(), &process) != 0) throw std::runtime_error(path);
  const auto user = std::to_string(process.st_uid);
  return "mode=0700,size=" + size + ",uid=" + user + ",gid=" + user;
}

/// Every registration that was answered with success, and its retry the same.
class Registrations {
 public:
  explicit Registrations(const GatewayProcess& gateway) : gateway_(gateway) {}

  void succeed(std::uint64_t number) {
    const auto answer = register_at(gateway_, number);
    ASSERT_TRUE(answer && answer->success) << answer->error.value_or("");
    answers_.insert_or_assign(number, answer->gateway_data);
  }
  /// One more; its sentence where it is refused.
  std::optional<std::string> try_next() {
    const auto number = static_cast<std::uint64_t>(answers_.size()) + 1;
    const auto answer = register_at(gateway_, number);
    if (!answer) return "no answer";
    if (!answer->success) return answer->error.value_or("no sentence");
    answers_.insert_or_assign(number, answer->gateway_data);
    return std::nullopt;
  }
  void expect_as_answered() const {
    for (const auto& [number, data] : answers_) {
      const auto retry = register_at(gateway_, number);
      ASSERT_TRUE(retry && retry->success) << number << retry->error.value_or("");
      EXPECT_EQ(retry->gateway_data, data) << number;
    }
  }
  [[nodiscard]] std::int64_t size() const { return std::ssize(answers_); }

 private:
  const GatewayProcess& gateway_;
  std::map<std::uint64_t, std::optional<messages::GatewayData>> answers_;
};

/// The tables of the database are on a small disk of their own.
class FullServer : public OnPostgres {
 protected:
  void SetUp() override {
    OnPostgres::SetUp();
    if (IsSkipped()) return;
    // The server's user goes through it.
    std::filesystem::permissions(dir_.path(), std::filesystem::perms(0711));
    disk_.emplace(dir_ / "space", options_of_disk(postgres(), "12m"));
    if (!disk_->mounted()) GTEST_SKIP() << SmallDisk::not_mounted;
    postgres().query("postgres",
                     "CREATE TABLESPACE small LOCATION '" + disk_->path().string() + "'");
    postgres().query("postgres", "ALTER DATABASE " + name_ + " SET default_tablespace = small");
  }
  void TearDown() override {
    if (!disk_ || !disk_->mounted()) return;
    postgres().query("postgres", "DROP DATABASE " + name_ + " WITH (FORCE)");
    postgres().query("postgres", "DROP TABLESPACE small");
  }
  static void expect_full(const Finished& finished) {
    EXPECT_EQ(finished.ended.code, 73) << finished.output;
    EXPECT_THAT(finished.error_output,
                AllOf(HasSubstr("postgresql://lp@/"), HasSubstr("no space is left"),
                      HasSubstr("pg_tblspc/")));
  }

  TempDir dir_;
  std::optional<SmallDisk> disk_;
};

TEST_F(FullServer, HasAllOrNothingOfACopy) {
  const Database source;
  source.add_spent(6'000, now - 40 * day);
  source.accept(1, 1, now + day, now);
  const std::vector<std::string> args{
      "copy", "--storage", source.path().string(), "--to", url(), "--instance", "a"};
  for (const std::uintmax_t left : {0U, 1'000'000U}) {
    disk_->fill_up(left);
    expect_full(lp_db_maint(args));
    disk_->make_room();
  }
  EXPECT_EQ(count("spent_credentials"), 0);
  EXPECT_EQ(count("clients"), 0);
  EXPECT_EQ(source.maintain({"cleanup", "--dry-run"}).ended.code, 0);  // not retired
  const auto copied = lp_db_maint(args);
  EXPECT_EQ(copied.ended.code, 0) << copied.error_output;
  EXPECT_EQ(count("spent_credentials"), 6'001);
  EXPECT_EQ(source.maintain({"vacuum"}).ended.code, 66);  // retired
  expect_clean();
}

TEST_F(FullServer, IsCleanedUpAndKeepsWhatDoesNotFit) {
  fill(3, 2'000);
  execute(
      "UPDATE wireguard_peers SET created_at = created_at - 864000;"
      "UPDATE spent_credentials SET spent_at = spent_at - 864000, expiry = expiry - 864000"
      " WHERE client_id < 3");
  disk_->fill_up(0);
  for (const char* command : {"stats", "check", "report", "stale-peers"})
    EXPECT_EQ(maintain({command}).ended.code, 0) << command;
  const auto dump = disk_->path() / "dump";
  const auto backup = maintain({"backup", dump.string()});
  EXPECT_EQ(backup.ended.code, 73);
  EXPECT_THAT(backup.error_output,
              AllOf(HasSubstr("no backup was made"), HasSubstr("No space left on device")));
  EXPECT_FALSE(std::filesystem::exists(dump.string() + ".partial"));
  EXPECT_FALSE(std::filesystem::exists(dump));
  // Notes of removals and released addresses are new rows.
  expect_full(maintain({"stale-peers", "--remove"}));
  EXPECT_EQ(count("wireguard_peers"), 3);
  EXPECT_EQ(count("wireguard_removals"), 0);
  // To remove rows takes no place, to make theirs known does.
  const auto cleaned = maintain({"cleanup", "--format", "json"});
  EXPECT_EQ(cleaned.ended.code, 0) << cleaned.error_output;
  EXPECT_EQ(number(cleaned, "spent_credentials.rows"), 2'000);
  expect_full(maintain({"vacuum"}));
  EXPECT_EQ(count("spent_credentials"), 3);
  expect_clean();

  disk_->make_room();
  EXPECT_EQ(maintain({"vacuum"}).ended.code, 0);
  const auto removed = maintain({"stale-peers", "--remove", "--format", "json"});
  EXPECT_EQ(removed.ended.code, 0) << removed.error_output;
  EXPECT_EQ(number(removed, "removed"), 2);
  EXPECT_EQ(count("wireguard_peers"), 1);
  EXPECT_EQ(count("released_addresses"), 4);
  expect_clean();
}

TEST_F(FullServer, SpendsNoTicketThatItDoesNotCredit) {
  GatewayProcess gateway(instance_a(url()));
  Registrations registrations(gateway);
  registrations.succeed(1);
  disk_->fill_up(0);
  std::optional<std::string> refused;
  // Pages that are there take some.
  while (!refused && registrations.size() < 2'000)
    refused = registrations.try_next();
  EXPECT_EQ(refused, sentence(RegistrationFailure::storage_failed));
  EXPECT_EQ(registrations.try_next(), refused);
  ASSERT_TRUE(gateway.child().wait_for_error_line("No space left on device"));
  EXPECT_EQ(count("spent_credentials"), registrations.size());

  disk_->make_room();
  EXPECT_EQ(registrations.try_next(), std::nullopt);  // with the same ticket
  registrations.expect_as_answered();
  EXPECT_EQ(count("spent_credentials"), registrations.size());
  EXPECT_EQ(postgres_integer(name_, "SELECT sum(credited) FROM bandwidth"), registrations.size()
                                                                                << 30);
  EXPECT_EQ(gateway.stop(), 0);
  EXPECT_EQ(lp_db_maint({"check", "--storage", url()}).ended.code, 0);
}

TEST_F(FullServer, IsNamedByAGatewayThatCannotStart) {
  disk_->fill_up(0);
  const auto refused = start_gateway(url());
  EXPECT_EQ(refused.ended.code, 73) << refused.error_output;
  EXPECT_THAT(refused.error_output, HasSubstr("No space left on device"));
  disk_->make_room();
  GatewayProcess gateway(instance_a(url()));
  EXPECT_TRUE(register_at(gateway, 1)->success);
}

// PostgreSQL ends itself where it cannot write its log, and starts again or not, as the place that
// is left allows. To its clients that is an outage.
TEST(FullLog, LosesAndDoublesNoRegistration) {
  if (!PostgresServer::installed()) GTEST_SKIP() << PostgresServer::not_installed;
  PostgresServer server(PostgresServer::Options{.settings = {"min_wal_size=2MB"}});
  server.create_database("gateway");
  std::string data = server.query("gateway", "SHOW data_directory");
  data.pop_back();  // newline
  const TempDir dir;
  const auto options = options_of_disk(server, "8m");
  server.stop(PostgresServer::Stop::fast);
  const auto copy = [](const std::string& from, const std::filesystem::path& to) {
    const auto copied = lp::test::run({.program = "/bin/cp", .args = {"-a", from, to.string()}});
    ASSERT_EQ(copied.ended.code, 0) << copied.error_output;
  };
  copy(data + "/pg_wal", dir / "log");
  const SmallDisk disk(data + "/pg_wal", options);
  if (!disk.mounted()) GTEST_SKIP() << SmallDisk::not_mounted;
  copy((dir / "log/.").string(), disk.path());
  server.start();

  GatewayProcess gateway(instance_a(server.url("gateway")));
  Registrations registrations(gateway);
  registrations.succeed(1);
  disk.fill_up(0);
  std::optional<std::string> refused;
  while (!refused && registrations.size() < 5'000) {
    refused = registrations.try_next();
    if (registrations.size() % 8 != 0) continue;
    try {
      server.query("gateway", "SELECT pg_logical_emit_message(false, '', repeat('x', 300000))");
    } catch (const std::runtime_error&) {  // it has ended
    }
  }
  EXPECT_EQ(refused, sentence(RegistrationFailure::storage_failed));
  EXPECT_THAT(server.log(), HasSubstr("No space left on device"));

  disk.make_room();
  server.stop(PostgresServer::Stop::immediate);
  server.start();
  const auto limit = std::chrono::steady_clock::now() + lp::test::patience;
  while ((refused = registrations.try_next()) && std::chrono::steady_clock::now() < limit)
    EXPECT_EQ(refused, sentence(RegistrationFailure::storage_failed));
  EXPECT_EQ(refused, std::nullopt);
  registrations.expect_as_answered();
  EXPECT_EQ(server.query("gateway", "SELECT count(*), sum(credited) FROM bandwidth"),
            std::to_string(registrations.size()) + "|" +
                std::to_string(registrations.size() << 30) + "\n");
  EXPECT_EQ(lp_db_maint({"check", "--storage", server.url("gateway")}).ended.code, 0);
}

const std::vector<std::vector<std::string>> writing_commands{
    {"cleanup"}, {"stale-peers", "--remove"}, {"vacuum"}, {"migrate"}};
const std::vector<std::vector<std::string>> reading_commands{
    {"stats"}, {"check"}, {"report"}, {"stale-peers"}, {"cleanup", "--dry-run"}};

class Refused : public OnPostgres {
 protected:
  /// The commands are to end so as this role, with this sentence.
  void expect(int code, const std::vector<std::vector<std::string>>& commands,
              const std::string& said, const std::string& role = "lp") const {
    for (auto args : commands) {
      args.insert(args.end(), {"--storage", postgres().url(name_, role), "--lock-timeout", "50ms",
                               "--as-of", std::to_string(now)});
      const auto finished = lp_db_maint(args);
      EXPECT_EQ(finished.ended.code, code) << args.front() << finished.error_output;
      EXPECT_THAT(finished.error_output, HasSubstr(said)) << args.front();
    }
  }
  void backup(int code, const std::string& said, const std::string& role = "lp") const {
    const TempDir dir;
    expect(code, {{"backup", (dir / "dump").string()}}, said, role);
    EXPECT_EQ(std::filesystem::exists(dir / "dump"), code == 0);
  }
  /// Of a database without tables into which this role may copy or not.
  static void expect_copy(int code, const std::string& said, const std::string& target,
                          const std::string& role = "lp") {
    const Database source;
    source.accept(1, 1, now + day, now);
    for (const bool dry : {true, false}) {
      std::vector<std::string> args{
          "copy",       "--storage", source.path().string(), "--to", postgres().url(target, role),
          "--instance", "a",         "--lock-timeout",       "50ms"};
      if (dry) args.emplace_back("--dry-run");
      const auto finished = lp_db_maint(args);
      EXPECT_EQ(finished.ended.code, code) << finished.error_output;
      EXPECT_THAT(finished.error_output, HasSubstr(said));
    }
    EXPECT_EQ(source.maintain({"vacuum"}).ended.code, 0);  // not retired
  }
};

TEST_F(Refused, ByADatabaseThatTakesNoWrites) {
  fill(2, 100);
  GatewayProcess gateway(instance_a(url()));
  Registrations registrations(gateway);
  registrations.succeed(1);
  const std::string why = "takes no writes: default_transaction_read_only is on";
  const auto empty = new_postgres_database();
  for (const auto& database : {name_, empty}) {
    postgres().query("postgres",
                     "ALTER DATABASE " + database + " SET default_transaction_read_only = on");
  }
  expect(77, writing_commands, why);
  expect(0, reading_commands, "");
  backup(0, "");
  expect_copy(77, why, empty);
  const auto elsewhere =
      lp_db_maint({"stats", "--storage", url() + "&target_session_attrs=read-write"});
  EXPECT_EQ(elsewhere.ended.code, 69);
  EXPECT_THAT(elsewhere.error_output, HasSubstr("session is read-only"));
  EXPECT_EQ(count("spent_credentials"), 103);

  // As after a failover to a server that is none to write to yet.
  postgres().query(
      "postgres",
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + name_ + "'");
  EXPECT_EQ(registrations.try_next(), sentence(RegistrationFailure::storage_failed));
  EXPECT_THAT(gateway.ready_answer(), HasSubstr("read-only"));
  const auto second = start_gateway(url());
  EXPECT_EQ(second.ended.code, 69);
  EXPECT_THAT(second.error_output,
              AllOf(HasSubstr("postgresql://lp@/" + name_), HasSubstr("read-only")));
  EXPECT_EQ(count("spent_credentials"), 103);

  postgres().query("postgres", "ALTER DATABASE " + name_ + " RESET default_transaction_read_only");
  const auto limit = std::chrono::steady_clock::now() + lp::test::patience;
  while (registrations.try_next() && std::chrono::steady_clock::now() < limit) {
  }
  registrations.expect_as_answered();
  EXPECT_EQ(count("spent_credentials"), 102 + registrations.size());
  EXPECT_EQ(gateway.stop(), 0);
  expect(0, writing_commands, "");
}

// Its own standby: it waits for a primary that does not come.
TEST_F(Refused, ByAStandby) {
  fill(2, 100);
  std::string data = postgres().query(name_, "SHOW data_directory");
  std::string bin = postgres().query(name_, "SELECT setting FROM pg_config WHERE name = 'BINDIR'");
  data.pop_back();  // newlines
  bin.pop_back();
  struct stat owner{};
  ASSERT_EQ(::stat(data.c_str(), &owner), 0);
  postgres().stop(PostgresServer::Stop::fast);
  lp::test::write_file(data + "/standby.signal", "");
  {
    Child standby({.program = bin + "/postgres",
                   .args = {"-D", data, "-k", std::filesystem::path(data).parent_path().string(),
                            "-c", "listen_addresses="},
                   .environment = {{"LC_ALL", "C"}},
                   .user = ::geteuid() == 0 ? std::optional(owner.st_uid) : std::nullopt,
                   .death_signal = SIGQUIT});
    EXPECT_TRUE(standby.wait_for_error_line("ready to accept read-only connections"))
        << standby.error_output();
    expect(77, writing_commands, "takes no writes: it is a standby");
    expect(0, reading_commands, "");
    backup(0, "");
    const auto refused = start_gateway(url());
    EXPECT_EQ(refused.ended.code, 69);
    EXPECT_THAT(refused.error_output, HasSubstr("read-only"));
    standby.send_signal(SIGINT);
    EXPECT_EQ(standby.wait().code, 0);
  }
  std::filesystem::remove(data + "/standby.signal");
  postgres().start();
  EXPECT_EQ(count("spent_credentials"), 102);
  expect(0, writing_commands, "");
}

TEST_F(Refused, ARoleWithoutRights) {
  fill(2, 100);
  execute(
      "DROP ROLE IF EXISTS nothing, reader, writer; CREATE ROLE nothing LOGIN;"
      "CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;"
      "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO reader;"
      "CREATE ROLE writer LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES"
      " IN SCHEMA public TO writer");
  const std::string table = "permission denied for table ";
  expect(77, writing_commands, table + "lp_schema: this role lacks SELECT", "nothing");
  expect(77, reading_commands, table + "lp_schema: this role lacks SELECT", "nothing");
  backup(77, table + "lp_schema", "nothing");
  expect(0, reading_commands, "", "reader");
  backup(0, "", "reader");
  expect(77, {{"cleanup"}, {"stale-peers", "--remove"}},
         table + "bandwidth: this role lacks INSERT", "reader");
  for (const char* role : {"reader", "writer"}) {
    expect(77, {{"vacuum"}, {"migrate"}}, table + "bandwidth: this role lacks ownership", role);
  }
  execute("REVOKE SELECT ON clients FROM reader");
  expect(77, reading_commands, table + "clients: this role lacks SELECT", "reader");
  backup(77, table + "clients", "reader");
  EXPECT_EQ(count("spent_credentials"), 102);
  expect(0, {{"stale-peers", "--remove"}, {"cleanup"}}, "", "writer");
  EXPECT_EQ(count("spent_credentials"), 2);

  const auto stranger = start_gateway(postgres().url(name_, "nothing"));
  EXPECT_EQ(stranger.ended.code, 69);
  EXPECT_THAT(stranger.error_output, HasSubstr("permission denied for table lp_schema"));
  execute("REVOKE USAGE ON SCHEMA public FROM public");
  expect(77, reading_commands, "permission denied for schema public: this role lacks USAGE",
         "nothing");
  expect_copy(77, "permission denied for schema public: this role lacks CREATE",
              new_postgres_database(), "nothing");
  expect_copy(77, "permission denied for schema public: this role lacks USAGE", name_, "nothing");
}

TEST_F(Refused, ByATableThatIsLocked) {
  fill(2, 100);
  for (const char* table : {"spent_credentials", "lp_schema"}) {
    auto other = connect();
    ASSERT_TRUE(
        other.execute(std::string("BEGIN; LOCK TABLE ") + table + " IN ACCESS EXCLUSIVE MODE"));
    const std::string said = "timeout";
    expect(3,
           {{"stats"},
            {"check"},
            {"stale-peers"},
            {"cleanup", "--dry-run"},
            {"cleanup"},
            {"stale-peers", "--remove"},
            {"vacuum"}},
           said);
    backup(3, said);
    if (std::string_view(table) == "lp_schema") expect_copy(3, said, name_);
    ASSERT_TRUE(other.execute("ROLLBACK"));
  }
  EXPECT_EQ(count("spent_credentials"), 102);
  expect(0, writing_commands, "");
  EXPECT_EQ(count("spent_credentials"), 2);
}

TEST_F(Refused, AGatewayOnTablesThatAreNotItsOwn) {
  fill(1, 0);
  execute("UPDATE lp_schema SET version = 99");
  const auto newer = start_gateway(url());
  EXPECT_EQ(newer.ended.code, 78);
  EXPECT_THAT(newer.error_output, HasSubstr("schema version 99"));
  expect_copy(66, "schema version 99", name_);
  execute("UPDATE lp_schema SET version = 1, program = 'another'");
  const auto other = start_gateway(url());
  EXPECT_EQ(other.ended.code, 69);
  EXPECT_THAT(other.error_output, HasSubstr("holds the tables of another program"));
  expect_copy(66, "holds the tables of another program", name_);
  EXPECT_EQ(count("clients"), 1);
}

}  // namespace
}  // namespace lp::db_maint::test
