// Two instances of one gateway on one PostgreSQL: a ticket is good once at both of them together,
// and whatever crashes, what was answered is there.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <functional>
#include <mutex>
#include <thread>

#include "lib/base/encoding.h"
#include "lib/messages/registration_errors.h"
#include "tests/lib/net/certificates.h"
#include "tests/support/postgres_server.h"
#include "tests/system/gateway_process.h"

namespace lp::test {
namespace {

using messages::RegistrationFailure;
using messages::sentence;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Answered = std::optional<messages::RegistrationResponse>;

constexpr std::int64_t gibibyte = 1'073'741'824;
constexpr std::string_view password = "not-to-be-seen";

class Postgres : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::installed()) GTEST_SKIP() << PostgresServer::not_installed;
    postgres_.emplace(PostgresServer::Options{.durable = long_run(),
                                              .access = {"local all guarded scram-sha-256"}});
    postgres_->create_database("gateway");
    postgres_->query("gateway", "CREATE ROLE guarded LOGIN PASSWORD '" + std::string(password) +
                                    "'; ALTER DATABASE gateway OWNER TO guarded");
  }

  std::string url(std::string_view with_password = password) const {
    auto url = postgres_->url("gateway", "guarded");
    return url.insert(url.find('@'), ":" + std::string(with_password));
  }
  GatewayProcess::Options options(const std::string& name, int number) const {
    return {.flags = {"--storage", url(), "--instance", name, "--wireguard-announced-address",
                      "192.0.2." + std::to_string(number), "--wireguard-announced-port",
                      std::to_string(50'000 + number), "--ipv4-pool", "10.0.0.0/14"}};
  }
  void start_both() {
    a_.emplace(options("a", 1));
    auto second = options("b", 2);
    second.identity_of = a_->data_dir();
    b_.emplace(second);
    ASSERT_EQ(a_->identity(), b_->identity());
  }
  /// After it was killed. Its name is free as soon as the server has noticed, which a busy machine
  /// may take longer for than the gateway waits.
  static void restart(GatewayProcess& gateway) {
    const auto limit = std::chrono::steady_clock::now() + patience;
    for (;;) {
      try {
        return gateway.start();
      } catch (const std::runtime_error& error) {
        const bool too_early = std::string_view(error.what()).contains("already runs");
        if (!too_early || std::chrono::steady_clock::now() > limit) throw;
      }
    }
  }
  GatewayProcess& instance(std::uint64_t number) { return number % 2 == 0 ? *a_ : *b_; }

  void wait_until_ready_is(int status) const {
    const auto wanted = "HTTP/1.1 " + std::to_string(status);
    const auto limit = std::chrono::steady_clock::now() + patience;
    while (!a_->ready_answer().starts_with(wanted) && std::chrono::steady_clock::now() < limit) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_THAT(a_->ready_answer(), StartsWith(wanted));
  }
  std::int64_t number(const std::string& sql) const {
    return std::stoll(postgres_->query("gateway", sql));
  }
  /// Nothing credited without its nullifier, no nullifier without its credit.
  void expect_credit_for(std::int64_t tickets) const {
    EXPECT_EQ(number("SELECT count(*) FROM spent_credentials"), tickets);
    EXPECT_EQ(number("SELECT count(*) FROM spent_credentials s JOIN bandwidth b ON b.client_id = "
                     "s.client_id"),
              tickets);
    EXPECT_EQ(number("SELECT coalesce(sum(credited), 0) FROM bandwidth"), tickets * gibibyte);
    EXPECT_EQ(number("SELECT count(*) FROM clients"),
              number("SELECT count(*) FROM wireguard_peers"));
    const auto checked =
        test::run({.program = program("lp-db-maint"), .args = {"check", "--storage", url()}});
    EXPECT_EQ(checked.ended.code, 0) << checked.output << checked.error_output;
    EXPECT_THAT(checked.output + checked.error_output, Not(HasSubstr(password)));
  }
  void expect_password_nowhere() {
    for (auto* gateway : {&*a_, &*b_}) {
      EXPECT_THAT(gateway->child().error_output(), Not(HasSubstr(password)));
      const auto status = test::run({.program = program("lp-gateway"),
                                     .args = {"status", "--data-dir", gateway->data_dir()}});
      EXPECT_EQ(status.ended.code, 0);
      EXPECT_THAT(status.output, AllOf(HasSubstr("guarded@"), Not(HasSubstr(password))));
      EXPECT_THAT(gateway->ready_answer(), Not(HasSubstr(password)));
    }
  }

  std::optional<PostgresServer> postgres_;
  std::optional<GatewayProcess> a_;
  std::optional<GatewayProcess> b_;
};

Answered register_at(const GatewayProcess& gateway, std::uint64_t key, std::uint64_t nullifier) {
  return register_once(gateway.port(), gateway.lp_key(), request(key, nullifier));
}

TEST_F(Postgres, OneNullifierUnderManyKeysAtTwoInstancesSucceedsTwiceOrNotAtAll) {
  start_both();
  const int all = rounds(5, 100);
  constexpr std::uint64_t keys = 64;
  for (int round = 0; round < all; ++round) {
    const auto nullifier = static_cast<std::uint64_t>(round);
    std::vector<Answered> answers(keys);
    std::barrier start(keys);
    std::vector<std::jthread> threads;
    threads.reserve(keys);
    for (std::uint64_t i = 0; i < keys; ++i) {
      threads.emplace_back([&, i] {
        start.arrive_and_wait();
        answers[i] = register_at(instance(i), nullifier * keys + i, nullifier);
      });
    }
    threads.clear();
    std::vector<std::uint64_t> winners;
    for (std::uint64_t i = 0; i < keys; ++i) {
      ASSERT_TRUE(answers[i]) << "round " << round;
      if (answers[i]->success) {
        winners.push_back(i);
      } else {
        EXPECT_EQ(answers[i]->error, sentence(RegistrationFailure::credential_already_spent));
      }
    }
    ASSERT_EQ(winners.size(), 1U) << "round " << round;
    // A retry, at the other instance and at the same, is told the same.
    const auto winner = winners.front();
    const auto& first = *answers[winner];
    ASSERT_TRUE(first.gateway_data);
    EXPECT_EQ(messages::to_string(first.gateway_data->endpoint),
              winner % 2 == 0 ? "192.0.2.1:50001" : "192.0.2.2:50002");
    for (const std::uint64_t other : {winner + 1, winner}) {
      const auto retry = register_at(instance(other), nullifier * keys + winner, nullifier);
      ASSERT_TRUE(retry && retry->success) << retry->error.value_or("");
      EXPECT_EQ(retry->gateway_data, first.gateway_data);
      EXPECT_EQ(retry->allocated_bandwidth, first.allocated_bandwidth);
    }
  }
  expect_credit_for(all);
  EXPECT_EQ(a_->metrics()["lp_wireguard_peers"] + b_->metrics()["lp_wireguard_peers"], all);
  // Another ticket at the other instance is credited, and makes no second peer there.
  const auto key = static_cast<std::uint64_t>(all) * keys;
  const auto at_a = register_at(*a_, key, key);
  const auto at_b = register_at(*b_, key, key + 1);
  ASSERT_TRUE(at_a && at_a->success && at_b && at_b->success);
  EXPECT_EQ(at_b->gateway_data, at_a->gateway_data);
  EXPECT_EQ(messages::to_string(at_b->gateway_data->endpoint), "192.0.2.1:50001");
  EXPECT_EQ(a_->metrics()["lp_wireguard_peers"] + b_->metrics()["lp_wireguard_peers"], all + 1);
  expect_credit_for(all + 2);
  expect_sums_agree(a_->idle_metrics());
  expect_sums_agree(b_->idle_metrics());
  expect_password_nowhere();
  EXPECT_EQ(a_->stop(), 0);
  EXPECT_EQ(b_->stop(), 0);
}

/// Clients at both instances, each with a ticket of its own, one after another until `end`. Whoever
/// was not told that it has succeeded is remembered.
class Storm {
 public:
  Storm(const GatewayProcess& a, const GatewayProcess& b, int clients, std::uint64_t first)
      : next_(first) {
    for (int i = 0; i < clients; ++i) {
      const GatewayProcess& gateway = i % 2 == 0 ? a : b;
      threads_.emplace_back([this, port = gateway.port(), key = gateway.lp_key()](
                                const std::stop_token& stop) { register_on(port, key, stop); });
    }
  }

  void wait_for_more(std::size_t answers) {
    std::unique_lock lock(mutex_);
    const auto enough = answered.size() + answers;
    changed_.wait(lock, [&] { return answered.size() >= enough; });
  }
  void end() { threads_.clear(); }
  [[nodiscard]] std::uint64_t next() const { return next_.load(); }

  // After `end`.
  std::map<std::uint64_t, messages::GatewayData> answered;
  std::vector<std::uint64_t> failed;
  std::vector<std::string> sentences;

 private:
  void register_on(std::uint16_t port, const crypto::X25519Public& key,
                   const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const std::uint64_t number = next_.fetch_add(1);
      const auto response = register_once(port, key, request(number, number));
      const std::lock_guard lock(mutex_);
      if (response && response->success && response->gateway_data) {
        answered.emplace(number, *response->gateway_data);
      } else {
        failed.push_back(number);
        if (response) sentences.push_back(response->error.value_or(""));
        // A gateway that is gone would be asked as fast as this loop runs.
        if (!response) return;
      }
      changed_.notify_all();
    }
  }

  std::atomic<std::uint64_t> next_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::jthread> threads_;
};

class PostgresStorm : public Postgres {
 protected:
  /// What was answered is there as it was answered, and what was not can be had with the same
  /// ticket, at the other instance too.
  void expect_all_good(const Storm& storm) {
    for (const auto& [number, data] : storm.answered) {
      if (number % 16 != 0) continue;  // the rest is counted by expect_credit_for
      const auto retry = register_at(instance(number / 16), number, number);
      ASSERT_TRUE(retry && retry->success) << number << retry->error.value_or("");
      EXPECT_EQ(retry->gateway_data, data) << number;
    }
    for (const auto number : storm.failed) {
      const auto retry = register_at(instance(number), number, number);
      ASSERT_TRUE(retry && retry->success) << number << retry->error.value_or("");
    }
    total_ += storm.answered.size() + storm.failed.size();
    ASSERT_EQ(total_, storm.next() - 1);
    expect_credit_for(static_cast<std::int64_t>(total_));
    for (const auto& text : storm.sentences) {
      EXPECT_THAT(text, testing::AnyOf(sentence(RegistrationFailure::storage_failed),
                                       sentence(RegistrationFailure::gateway_busy),
                                       sentence(RegistrationFailure::processing_timeout)));
    }
  }
  void storm(int all, const std::function<void()>& crash) {
    std::uint64_t first = 1;
    for (int round = 0; round < all; ++round) {
      Storm storm(*a_, *b_, 16, first);
      storm.wait_for_more(50);
      crash();
      storm.wait_for_more(50);
      storm.end();
      first = storm.next();
      expect_all_good(storm);
      if (HasFatalFailure()) return;
    }
  }

  std::size_t total_ = 0;
};

TEST_F(PostgresStorm, ADatabaseThatCrashesLosesOrDoublesARegistration) {
  start_both();
  int crashes = 0;
  storm(rounds(1, 10), [&] {
    postgres_->stop(PostgresServer::Stop::immediate);
    // Longer than a registration waits for it: some of them must fail.
    if (long_run() && ++crashes % 3 == 0) std::this_thread::sleep_for(std::chrono::seconds(7));
    postgres_->start();
  });
  expect_password_nowhere();
}

TEST_F(PostgresStorm, AGatewayThatIsKilledLosesOrDoublesARegistration) {
  start_both();
  storm(rounds(1, 10), [this] {
    a_->kill();
    restart(*a_);
  });
  // Its WireGuard, which is in memory, has its peers again.
  EXPECT_EQ(a_->metrics()["lp_wireguard_peers"],
            number("SELECT count(*) FROM wireguard_peers WHERE instance = 'a'"));
}

TEST_F(Postgres, ADatabaseThatIsGoneSpendsTicketsOrNeedsARestart) {
  start_both();
  const auto before = register_at(*a_, 1, 1);
  ASSERT_TRUE(before && before->success);
  EXPECT_THAT(a_->ready_answer(), StartsWith("HTTP/1.1 200"));
  postgres_->stop(PostgresServer::Stop::fast);
  wait_until_ready_is(503);  // although nobody registers
  const auto refused = register_at(*a_, 2, 2);
  ASSERT_TRUE(refused);
  EXPECT_FALSE(refused->success);
  EXPECT_EQ(refused->error, sentence(RegistrationFailure::storage_failed));
  EXPECT_THAT(a_->ready_answer(),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("storage: "), Not(HasSubstr(password))));
  EXPECT_EQ(a_->metrics()["lp_storage_up"], 0);
  EXPECT_TRUE(a_->running());
  postgres_->start();
  wait_until_ready_is(200);
  EXPECT_EQ(a_->metrics()["lp_storage_up"], 1);
  expect_credit_for(1);
  for (const std::uint64_t ticket : {2U, 3U}) {
    const auto again = register_at(instance(ticket), 2, ticket);
    ASSERT_TRUE(again && again->success) << again->error.value_or("");
  }
  const auto retry = register_at(*b_, 1, 1);
  ASSERT_TRUE(retry && retry->success);
  EXPECT_EQ(retry->gateway_data, before->gateway_data);
  expect_credit_for(3);
  expect_password_nowhere();
}

class PostgresRefusal : public Postgres {
 protected:
  void SetUp() override {
    Postgres::SetUp();
    if (!IsSkipped()) init();
  }
  void init() {
    const auto made = test::run(
        {.program = program("lp-gateway"), .args = {"init", "--data-dir", dir_ / "gateway"}});
    ASSERT_EQ(made.ended.code, 0) << made.error_output;
  }
  /// The sentence with which it does not start.
  std::string refusal(int code, const std::string& storage) {
    const std::vector<std::string> args{"run",
                                        "--data-dir=" + (dir_ / "gateway").string(),
                                        "--use-mock-ecash",
                                        "--bind-address=127.0.0.1",
                                        "--control-port=0",
                                        "--http-address=127.0.0.1",
                                        "--http-port=0",
                                        "--instance=a",
                                        "--wireguard-announced-address=192.0.2.1",
                                        "--storage=" + storage};
    const auto finished = test::run({.program = program("lp-gateway"), .args = args});
    EXPECT_EQ(finished.ended.code, code) << finished.error_output;
    EXPECT_EQ(finished.output, "");
    EXPECT_THAT(finished.error_output, Not(HasSubstr(password)));
    return finished.error_output;
  }

  TempDir dir_;
};

TEST_F(PostgresRefusal, AServerThatSaysNoOrNothingIsNotNamedOrItsPasswordIs) {
  EXPECT_THAT(refusal(69, url("wrong-" + std::string(password))),
              AllOf(HasSubstr("guarded@"), HasSubstr("password authentication failed")));
  auto elsewhere = url();
  elsewhere.replace(elsewhere.find("/gateway"), 8, "/nowhere");
  EXPECT_THAT(refusal(69, elsewhere), HasSubstr("nowhere"));
  EXPECT_THAT(refusal(69, "postgresql://guarded:" + std::string(password) +
                              "@127.0.0.1:" + std::to_string(free_port()) + "/gateway"),
              AllOf(HasSubstr("guarded@127.0.0.1"), HasSubstr("refused")));
  EXPECT_THAT(refusal(78, "postgresql://guarded:" + std::string(password) + "@[::/gateway"),
              HasSubstr("--storage"));
}

class PostgresTls : public PostgresRefusal {
 protected:
  void SetUp() override {
    if (!PostgresServer::installed()) GTEST_SKIP() << PostgresServer::not_installed;
    const auto issued = authority_.issue("IP:127.0.0.1");
    postgres_.emplace(PostgresServer::Options{
        .tcp = true,
        .tls = PostgresServer::Tls{.certificate = issued.certificate, .key = issued.key},
        .access = {"hostnossl all all all reject"}});
    postgres_->create_database("gateway");
    init();
  }
  std::string url_with(const std::string& parameters) const {
    return postgres_->tcp_url("gateway") + "?" + parameters;
  }
  std::string verified_by(const CertificateAuthority& authority) const {
    write_file(dir_ / "root.pem", authority.pem());
    return "sslmode=verify-full&sslrootcert=" + (dir_ / "root.pem").string();
  }

  CertificateAuthority authority_;
};

TEST_F(PostgresTls, AnImpostorIsTakenForTheDatabase) {
  EXPECT_THAT(refusal(69, url_with("sslmode=disable")), HasSubstr("no encryption"));
  EXPECT_THAT(refusal(69, url_with(verified_by(CertificateAuthority()))), HasSubstr("SSL error"));
  auto other_name = url_with(verified_by(authority_));
  other_name.replace(other_name.find("@127.0.0.1"), 10, "@localhost");
  EXPECT_THAT(refusal(69, other_name), HasSubstr("does not match host name"));

  GatewayProcess gateway({.flags = {"--storage", url_with(verified_by(authority_)), "--instance",
                                    "a", "--wireguard-announced-address", "192.0.2.1"}});
  EXPECT_EQ(number("SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE "
                   "s.ssl AND a.application_name = 'lp-gateway'"),
            number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lp-gateway'"));
  EXPECT_EQ(gateway.stop(), 0);
}

TEST_F(PostgresRefusal, ANameIsTakenTwice) {
  GatewayProcess first(options("a", 1));
  EXPECT_THAT(refusal(69, url()), HasSubstr("instance 'a' already runs"));
  GatewayProcess second(options("b", 2));
  first.kill();
  restart(first);
}

}  // namespace
}  // namespace lp::test
