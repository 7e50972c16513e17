// A PostgreSQL server that goes away, refuses, or is cut off in the middle of a COMMIT.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/storage/postgres_schema.h"
#include "tests/gateway/storage/cutting_proxy.h"
#include "tests/gateway/storage/storage_test.h"

namespace lp::gateway::storage::test {
namespace {

using Kind = StorageError::Kind;
using Cut = CuttingProxy::Cut;
using testing::HasSubstr;
using testing::Not;

/// Stopped, as by SIGSTOP or a disk that hangs, until this ends. Their sockets stay open.
class FrozenProcesses {
 public:
  explicit FrozenProcesses(std::vector<std::int64_t> processes) : processes_(std::move(processes)) {
    signal(SIGSTOP);
  }
  ~FrozenProcesses() { signal(SIGCONT); }
  FrozenProcesses(const FrozenProcesses&) = delete;
  FrozenProcesses& operator=(const FrozenProcesses&) = delete;

 private:
  void signal(int number) const {
    for (const auto process : processes_)
      EXPECT_EQ(::kill(static_cast<pid_t>(process), number), 0) << process;
  }
  std::vector<std::int64_t> processes_;
};

class PostgresOutageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!lp::test::PostgresServer::installed()) {
      GTEST_SKIP() << lp::test::PostgresServer::not_installed;
    }
    url_ = new_postgres_database();
  }
  void TearDown() override {
    storage_.reset();
    if (!IsSkipped() && checked_) expect_invariants(url_);
  }
  void open(const std::string& url, const Options& options = {}) {
    storage_.reset();
    auto storage = open_database(url, options);
    ASSERT_TRUE(storage) << storage.error().detail;
    storage_ = std::move(*storage);
  }
  Storage& storage() { return *storage_; }
  Rows rows() const { return Rows(url_); }
  std::string name() const {
    return url_.substr(url_.find("@/") + 2, url_.find('?') - url_.find("@/") - 2);
  }
  /// The same database by way of 127.0.0.1.
  std::string tcp_url(std::uint16_t port, const std::string& user = "lp") const {
    return "postgresql://" + user + "@127.0.0.1:" + std::to_string(port) + "/" + name();
  }
  static std::uint16_t server_port() {
    const auto url = postgres_server().tcp_url();
    return static_cast<std::uint16_t>(std::stoul(url.substr(url.rfind(':') + 1)));
  }
  /// Waits for it, for as long as a loaded machine may take.
  template <typename Condition>
  static bool eventually(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
  }
  /// Opening must fail; what is said.
  std::string refusal(Kind kind, const std::string& url) {
    checked_ = false;
    const auto refused = open_database(url, {});
    EXPECT_FALSE(refused);
    if (refused) return {};
    EXPECT_EQ(refused.error().kind, kind) << refused.error().detail;
    return refused.error().detail;
  }

  std::string url_;
  std::unique_ptr<Storage> storage_;
  bool checked_ = true;
};

class PostgresCutTest : public PostgresOutageTest, public ::testing::WithParamInterface<Cut> {
 protected:
  void SetUp() override {
    PostgresOutageTest::SetUp();
    if (IsSkipped()) return;
    proxy_ = std::make_unique<CuttingProxy>(server_port());
    open(tcp_url(proxy_->port()));
  }
  void cut_next() { proxy_->arm(GetParam()); }
  void TearDown() override {
    if (proxy_) {
      EXPECT_EQ(proxy_->cuts(), 1);
    }
    PostgresOutageTest::TearDown();
  }
  std::unique_ptr<CuttingProxy> proxy_;
};

INSTANTIATE_TEST_SUITE_P(Cuts, PostgresCutTest, ::testing::Values(Cut::before, Cut::after),
                         [](const auto& info) {
                           return info.param == Cut::before ? "Before" : "After";
                         });

TEST_P(PostgresCutTest, TicketIsLostTakenTwiceOrCalledReplayed) {
  cut_next();
  const auto request = ticket(wireguard_owner(1), 1);
  const auto result = accept(storage(), request);
  ASSERT_TRUE(result) << result.error().detail;
  EXPECT_EQ(result->outcome, AcceptanceOutcome::accepted);
  EXPECT_FALSE(result->client_existed);
  EXPECT_TRUE(result->has_bandwidth);
  ASSERT_TRUE(result->addresses);
  EXPECT_EQ(address(*result->addresses), "10.1.0.2 fd00::2");
  EXPECT_EQ(rows().text("SELECT count(*) || ' ' || sum(credited) FROM bandwidth"), "1 500000000");
  EXPECT_EQ(accept(storage(), request)->outcome, AcceptanceOutcome::replayed);
  EXPECT_EQ(address(*accept(storage(), ticket(wireguard_owner(2), 2))->addresses),
            "10.1.0.3 fd00::3");
  EXPECT_TRUE(storage().stats().healthy);
}

TEST_P(PostgresCutTest, OtherOwnersTicketBecomesOnesOwn) {
  ASSERT_TRUE(accept(storage(), ticket(wireguard_owner(1), 1)));
  cut_next();
  EXPECT_EQ(accept(storage(), ticket(wireguard_owner(2), 1))->outcome,
            AcceptanceOutcome::spent_by_other);
}

TEST_P(PostgresCutTest, RepeatedTicketBecomesANewOne) {
  ASSERT_TRUE(accept(storage(), ticket(wireguard_owner(1), 1)));
  cut_next();
  EXPECT_EQ(accept(storage(), ticket(wireguard_owner(1), 1))->outcome, AcceptanceOutcome::replayed);
}

TEST_P(PostgresCutTest, CompensationForgetsThatItNotedARemoval) {
  const auto request = ticket(wireguard_owner(1), 1);
  ASSERT_TRUE(accept(storage(), request));
  cut_next();
  EXPECT_TRUE(compensate(storage(), request)->removal_noted);
  EXPECT_EQ(rows().count("spent_credentials"), 0);
  EXPECT_EQ(rows().count("clients"), 0);
}

TEST_P(PostgresCutTest, UsageIsDebitedTwiceOrNotAtAll) {
  const auto id = accept(storage(), ticket(wireguard_owner(1), 1))->client_id;
  cut_next();
  const auto outcome = record_usage(
      storage(),
      {{.client_id = id, .before = {}, .after = {10, 20}, .bytes = 30, .last_seen = std::nullopt}});
  EXPECT_EQ(outcome.bytes, 30);
  EXPECT_EQ(outcome.peers, 1U);
  EXPECT_EQ(rows().integer("SELECT used FROM bandwidth"), 30);
}

TEST_P(PostgresCutTest, RemovedPeerNeverWas) {
  ASSERT_TRUE(accept(storage(), ticket(wireguard_owner(1), 1)));
  cut_next();
  const auto removed = remove_peer(storage(), wireguard_owner(1));
  EXPECT_TRUE(removed.existed);
  EXPECT_TRUE(removed.removal_noted);
  EXPECT_EQ(rows().count("clients"), 0);
}

TEST_P(PostgresCutTest, SessionIsRecordedTwice) {
  cut_next();
  storage().record_session({.lp_id = 7,
                            .client_ip = "192.0.2.1",
                            .started_at = now,
                            .completed_at = now,
                            .status = "success"});
  ASSERT_TRUE(eventually([&] { return proxy_->cuts() == 1; }));
  ASSERT_TRUE(accept(storage(), ticket(mixnet_owner(1), 1)));  // runs after it
  EXPECT_EQ(rows().count("lp_sessions"), 1);
}

TEST_F(PostgresOutageTest, ServerThatRestartsLosesOrDoublesARegistration) {
  open(url_);
  constexpr std::uint64_t threads = 8;
  const std::uint64_t each = long_tests() ? 1'000 : 60;
  std::atomic<std::uint64_t> answered = 0;
  std::vector<std::thread> clients;
  for (std::uint64_t i = 0; i < threads; ++i) {
    clients.emplace_back([&, i] {
      for (std::uint64_t n = 0; n < each; ++n) {
        const auto number = 10'000 * i + n;
        bool asked_again = false;
        while (true) {
          const auto result = accept(storage(), ticket(wireguard_owner(number), number));
          if (result) {
            EXPECT_TRUE(result->outcome == AcceptanceOutcome::accepted ||
                        (asked_again && result->outcome == AcceptanceOutcome::replayed));
            break;
          }
          // A machine that takes longer for a restart than calls are held.
          EXPECT_EQ(result.error().kind, Kind::unavailable) << result.error().detail;
          asked_again = true;
        }
        ++answered;
      }
    });
  }
  ASSERT_TRUE(eventually([&] { return answered > threads * each / 4; }));
  postgres_server().stop(lp::test::PostgresServer::Stop::immediate);
  postgres_server().start();
  ASSERT_TRUE(eventually([&] { return answered > threads * each / 2; }));
  postgres_server().stop(lp::test::PostgresServer::Stop::fast);
  postgres_server().start();
  for (auto& client : clients)
    client.join();
  auto rows = this->rows();
  EXPECT_EQ(rows.count("spent_credentials"), static_cast<std::int64_t>(threads * each));
  EXPECT_EQ(rows.count("wireguard_peers"), static_cast<std::int64_t>(threads * each));
  EXPECT_EQ(rows.text("SELECT min(credited) || ' ' || max(credited) FROM bandwidth"),
            "500000000 500000000");
  EXPECT_TRUE(storage().stats().healthy);
}

TEST_F(PostgresOutageTest, ServerThatIsAwayIsNotNoticedOrHoldsCallsForEver) {
  open(url_);
  ASSERT_TRUE(accept(storage(), ticket(wireguard_owner(1), 1)));
  postgres_server().stop(lp::test::PostgresServer::Stop::fast);
  // Without a call.
  EXPECT_TRUE(eventually([&] { return !storage().stats().healthy; }));
  EXPECT_THAT(storage().stats().unhealthy_reason, Not(testing::IsEmpty()));
  const auto refused = accept(storage(), ticket(wireguard_owner(2), 2));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Kind::unavailable);
  EXPECT_EQ(find_spent(storage(), bytes32(1)).error().kind, Kind::unavailable);
  postgres_server().start();
  EXPECT_TRUE(eventually([&] { return storage().stats().healthy; }));
  EXPECT_EQ(accept(storage(), ticket(wireguard_owner(2), 2))->outcome, AcceptanceOutcome::accepted);
  EXPECT_TRUE(find_spent(storage(), ticket(wireguard_owner(1), 1).nullifier)->has_value());
}

TEST_F(PostgresOutageTest, FrozenServerIsWaitedForForEver) {
  auto connection =
      postgres::Connection::open(postgres::Url::parse(url_).value(),
                                 {.application_name = "test", .statement_timeout_ms = 2'000});
  ASSERT_TRUE(connection) << connection.error().detail;
  const FrozenProcesses frozen({connection->query_integer("SELECT pg_backend_pid()").value()});
  const auto refused = connection->query("SELECT 1");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Kind::unavailable);
  EXPECT_EQ(refused.error().detail, "no answer from the database within 2.5 s");
  EXPECT_FALSE(connection->is_open());
}

TEST_F(PostgresOutageTest, FrozenServerHoldsCallsForEverOrLosesThem) {
  open(url_, {.statement_timeout = std::chrono::seconds(2)});
  ASSERT_TRUE(accept(storage(), ticket(wireguard_owner(1), 1)));
  auto rows = this->rows();
  const auto backends = rows.postgres().query(
      "SELECT pid FROM pg_stat_activity"
      " WHERE datname = current_database() AND application_name = 'lp-gateway'");
  ASSERT_EQ(backends->size(), 3U);
  {
    const FrozenProcesses frozen(
        {backends->integer(0, 0), backends->integer(1, 0), backends->integer(2, 0)});
    // The frozen session still has the lock on the instance's name, and what it may have done is
    // not known before it ends.
    const auto refused = accept(storage(), ticket(wireguard_owner(2), 2));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, Kind::unavailable);
    EXPECT_FALSE(storage().stats().healthy);
    const auto found = find_spent(storage(), ticket(wireguard_owner(1), 1).nullifier);
    ASSERT_TRUE(found) << found.error().detail;
    EXPECT_TRUE(found->has_value());
  }
  EXPECT_TRUE(eventually([&] { return storage().stats().healthy; }));
  EXPECT_TRUE(accept(storage(), ticket(wireguard_owner(2), 2)));
  EXPECT_EQ(accept(storage(), ticket(wireguard_owner(2), 2))->outcome, AcceptanceOutcome::replayed);
  EXPECT_EQ(rows.count("spent_credentials"), 2);
  EXPECT_EQ(rows.text("SELECT min(credited) || ' ' || max(credited) FROM bandwidth"),
            "500000000 500000000");
}

TEST_F(PostgresOutageTest, InstanceWritesWithoutTheLockOnItsName) {
  open(url_);
  auto rows = this->rows();
  // Somebody else starts under the name in the moment in which the session is lost.
  ASSERT_TRUE(eventually([&] {
    rows.execute(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()");
    return try_lock_instance(rows.postgres(), "a").value();
  }));
  const auto refused = accept(storage(), ticket(wireguard_owner(1), 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Kind::unavailable);
  EXPECT_THAT(refused.error().detail, HasSubstr("instance 'a' already runs"));
  EXPECT_EQ(rows.count("spent_credentials"), 0);
  unlock_instance(rows.postgres(), "a");
  EXPECT_TRUE(eventually([&] { return storage().stats().healthy; }));
  EXPECT_TRUE(accept(storage(), ticket(wireguard_owner(1), 1)));
}

TEST_F(PostgresOutageTest, PasswordAppearsInAnError) {
  rows().execute(
      "DO $$ BEGIN CREATE ROLE guarded LOGIN PASSWORD 'right';"
      " EXCEPTION WHEN duplicate_object THEN NULL; END $$");
  const std::string password = "wr0ng-p%40ss";
  const auto said = refusal(Kind::unavailable, tcp_url(server_port(), "guarded:" + password));
  EXPECT_THAT(said, HasSubstr("password authentication failed"));
  EXPECT_THAT(said, HasSubstr("postgresql://guarded@127.0.0.1:"));
  EXPECT_THAT(said, Not(HasSubstr("wr0ng")));
  // Nor where the URL is broken behind it, or the server is not there.
  for (const char* rest : {"@127.0.0.1:1/db", "@[::1/db", "@host:port:/db", "@/db?nonsense=1"}) {
    const auto refused = open_database("postgresql://lp:" + password + rest, {});
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().detail, Not(HasSubstr("wr0ng"))) << rest;
  }
}

TEST_F(PostgresOutageTest, DatabaseThatIsMissingIsMade) {
  const auto said = refusal(Kind::unavailable, postgres_server().url("nowhere"));
  EXPECT_THAT(said, HasSubstr("\"nowhere\" does not exist"));
}

TEST_F(PostgresOutageTest, NewerSchemaIsTouched) {
  rows().execute("UPDATE lp_schema SET version = 99");
  EXPECT_THAT(refusal(Kind::newer_schema, url_), HasSubstr("schema version 99"));
  EXPECT_EQ(rows().integer("SELECT version FROM lp_schema"), 99);
}

TEST_F(PostgresOutageTest, DatabaseOfAnotherProgramIsTouched) {
  rows().execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE wallets (id INT)");
  EXPECT_THAT(refusal(Kind::unavailable, url_), HasSubstr("another program"));
  EXPECT_EQ(rows().text("SELECT string_agg(relname, ' ') FROM pg_class"
                        " WHERE relnamespace = 'public'::regnamespace"),
            "wallets");
}

TEST_F(PostgresOutageTest, SchemaOfTheUrlIsNotTheOneThatIsUsed) {
  rows().execute("CREATE SCHEMA second");
  open(url_ + "&options=-csearch_path%3Dsecond");
  ASSERT_TRUE(accept(storage(), ticket(wireguard_owner(1), 1)));
  EXPECT_EQ(rows().count("second.spent_credentials"), 1);
  EXPECT_EQ(rows().count("spent_credentials"), 0);
  storage_.reset();
  EXPECT_THAT(refusal(Kind::unavailable, url_ + "&options=-csearch_path%3Dthird"),
              HasSubstr("search_path"));
}

TEST_F(PostgresOutageTest, InstancesThatMakeTheTablesTogetherFail) {
  rows().execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
  std::vector<std::thread> threads;
  for (const char* name : {"a", "b", "c", "d"}) {
    threads.emplace_back([&, name] {
      const auto storage = open_database(url_, {.instance = name});
      EXPECT_TRUE(storage) << storage.error().detail;
    });
  }
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(rows().count("instances"), 4);
  EXPECT_EQ(rows().integer("SELECT version FROM lp_schema"), postgres_schema().newest_version());
}

TEST_F(PostgresOutageTest, ReadOnlyServerIsTaken) {
  rows().execute("ALTER DATABASE " + name() + " SET default_transaction_read_only = on");
  EXPECT_THAT(refusal(Kind::unavailable, url_), HasSubstr("read-only"));
}

TEST_F(PostgresOutageTest, BadNamesArePassedOn) {
  for (const char* name : {"", "two words", "ümlaut",
                           "a-name-of-sixty-four-characters-which-is-one-more-than-is-allowed"}) {
    EXPECT_FALSE(is_instance_name(name)) << name;
  }
  EXPECT_TRUE(is_instance_name("berlin-1.example_A"));
  EXPECT_EQ(open_postgres({.url = url_, .instance = {.name = "two words"}}).error().kind,
            Kind::invalid);
}

}  // namespace
}  // namespace lp::gateway::storage::test
