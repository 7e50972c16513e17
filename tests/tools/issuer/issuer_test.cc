// The authority with a clock that the test sets.
#include "tools/issuer/issuer.h"

#include <gmock/gmock.h>

#include <atomic>
#include <boost/json.hpp>
#include <future>
#include <set>
#include <stdexcept>
#include <thread>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "lib/ecash/withdrawal.h"
#include "lib/net/verification_keys.h"
#include "tests/support/process.h"
#include "tools/issuer/contract.h"
#include "tools/issuer/routes.h"
#include "tools/issuer/token.h"

namespace lp::issuer {
namespace {

using testing::HasSubstr;

class FakeClock final : public WallClock {
 public:
  [[nodiscard]] UnixSeconds now() const noexcept override { return now_; }
  void set(UnixSeconds now) { now_ = now; }

 private:
  std::atomic<UnixSeconds> now_ = 10'400;
};

class IssuerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }

  [[nodiscard]] Store made() const {
    Store store = *Store::open(dir_ / "issuer.sqlite");
    EXPECT_TRUE(store.set_authority({"lp1test", 1'000, 300}));
    EXPECT_TRUE(store.add_token(hash_token("t"), "", {.total = 100}, 1));
    return store;
  }
  [[nodiscard]] std::vector<net::ChainKey> keys() {
    return net::parse_verification_keys(contract_.verification_keys().value()).value();
  }
  [[nodiscard]] net::ChainKey key(UnixSeconds expiry) {
    for (const auto& key : keys()) {
      if (key.expiry == expiry && key.type == TicketType::v1_wireguard_entry) return key;
    }
    throw std::runtime_error("no such key");
  }
  [[nodiscard]] static std::string body(std::uint64_t epoch, const crypto::G1Encoding& point) {
    return boost::json::serialize(
        boost::json::object{{"epoch_id", epoch},
                            {"ticket_type", "V1WireguardEntry"},
                            {"blinded", boost::json::array{to_base64(point)}}});
  }

  lp::test::TempDir dir_;
  FakeClock clock_;
  Counters counters_;
  Issuer issuer_{made(), clock_, counters_};
  Contract contract_{*Store::open(dir_ / "issuer.sqlite"), clock_};
};

TEST_F(IssuerTest, TicketOfTheNextEpochOutlivesTheCurrentOne) {
  const auto next = key(12'000);
  const auto gateway = crypto::IdentityKeyPair::generate().identity;
  const auto withdrawal = ecash::Withdrawal::start(gateway, next.type, next.expiry);
  const auto signatures = issuer_.sign("t", body(next.epoch_id, withdrawal.blinded()));
  ASSERT_TRUE(signatures) << signatures.error().message;
  clock_.set(11'500);
  const ecash::VerificationKey verification(key(12'000).public_key);
  EXPECT_TRUE(withdrawal.finish((*signatures)[0], verification));
}

TEST_F(IssuerTest, KeysAreThoseOfTheTime) {
  const auto expiries = [this] {
    std::set<UnixSeconds> all;
    for (const auto& key : keys())
      all.insert(key.expiry);
    return all;
  };
  EXPECT_EQ(keys().size(), 8U);
  EXPECT_EQ(expiries(), (std::set<UnixSeconds>{11'000, 12'000}));
  clock_.set(11'000);
  EXPECT_EQ(expiries(), (std::set<UnixSeconds>{11'000, 12'000, 13'000}));
  clock_.set(11'299);
  EXPECT_EQ(expiries(), (std::set<UnixSeconds>{11'000, 12'000, 13'000}));
  clock_.set(11'300);
  EXPECT_EQ(expiries(), (std::set<UnixSeconds>{12'000, 13'000}));
}

TEST_F(IssuerTest, ExpiredEpochIsAConflictAndAGoneOneToo) {
  const auto current = key(11'000);
  const auto point = ecash::Withdrawal::start(crypto::IdentityKeyPair::generate().identity,
                                              current.type, current.expiry)
                         .blinded();
  ASSERT_TRUE(issuer_.sign("t", body(current.epoch_id, point)));
  clock_.set(11'000);
  const auto expired = issuer_.sign("t", body(current.epoch_id, point));
  ASSERT_FALSE(expired);
  EXPECT_EQ(expired.error().status, 409U);
  EXPECT_EQ(expired.error().code, "epoch_expired");
  clock_.set(20'000);
  ASSERT_TRUE(issuer_.rotate());
  clock_.set(20'300);
  const auto gone = issuer_.sign("t", body(current.epoch_id, point));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().status, 409U);
  EXPECT_EQ(gone.error().code, "epoch_unknown");
}

TEST_F(IssuerTest, ClockThatWasFarAheadCostsNoTicket) {
  const auto current = key(11'000);
  const auto gateway = crypto::IdentityKeyPair::generate().identity;
  const auto withdrawal = ecash::Withdrawal::start(gateway, current.type, current.expiry);
  const auto request = body(current.epoch_id, withdrawal.blinded());
  ASSERT_TRUE(issuer_.sign("t", request));  // the answer is lost
  for (const UnixSeconds ahead : {90'000'000U, 90'000'299U}) {
    clock_.set(ahead);
    EXPECT_EQ(key(11'000).public_key, current.public_key);  // a gateway would take absence for more
    EXPECT_EQ(issuer_.sign("t", request).error().code, "epoch_expired");
  }
  clock_.set(10'700);
  const auto signatures = issuer_.sign("t", request);
  ASSERT_TRUE(signatures) << signatures.error().message;
  EXPECT_TRUE(withdrawal.finish((*signatures)[0], ecash::VerificationKey(key(11'000).public_key)));
}

TEST_F(IssuerTest, KeysMadeByAnotherProcessAreShown) {
  EXPECT_EQ(keys().size(), 8U);
  {
    Store other = *Store::open(dir_ / "issuer.sqlite");
    ASSERT_EQ(other.add_epoch(10'400).value().expiry, 13'000U);
  }
  EXPECT_EQ(keys().size(), 12U);
}

TEST_F(IssuerTest, MetricsCountWhatWasChargedAndWhatWasRepeated) {
  const auto current = key(11'000);
  const auto point = ecash::Withdrawal::start(crypto::IdentityKeyPair::generate().identity,
                                              current.type, current.expiry)
                         .blinded();
  ASSERT_TRUE(issuer_.sign("t", body(current.epoch_id, point)));
  ASSERT_TRUE(issuer_.sign("t", body(current.epoch_id, point)));
  counters_.count_request("sign", 200);
  EXPECT_THAT(
      counters_.text(),
      testing::AllOf(HasSubstr("\nlp_issuer_requests_total{route=\"sign\",status=\"200\"} 1\n"),
                     HasSubstr("{ticket_type=\"V1WireguardEntry\",kind=\"charged\"} 1\n"),
                     HasSubstr("{ticket_type=\"V1WireguardEntry\",kind=\"repeated\"} 1\n"),
                     HasSubstr("{ticket_type=\"V1MixnetEntry\",kind=\"charged\"} 0\n")));
}

TEST_F(IssuerTest, RequestIsRefusedWithWhatIsWrongInIt) {
  struct Case {
    const char* body;
    const char* message;
  };
  for (const Case& c : {
           Case{"", "no JSON"},
           Case{"{", "no JSON"},
           Case{"[]", "no JSON object"},
           Case{"{}", "epoch_id is missing"},
           Case{R"({"epoch_id":-1})", "epoch_id is no whole number"},
           Case{R"({"epoch_id":1.0})", "epoch_id is no whole number"},
           Case{R"({"epoch_id":"1"})", "epoch_id is no whole number"},
           Case{R"({"epoch_id":18446744073709551615})", "epoch_id is no whole number"},
           Case{R"({"epoch_id":1})", "ticket_type is missing"},
           Case{R"({"epoch_id":1,"ticket_type":2})", "ticket_type is none of"},
           Case{R"({"epoch_id":1,"ticket_type":"V2"})", "ticket_type is none of"},
           Case{R"({"epoch_id":1,"ticket_type":"V1MixnetExit"})", "blinded is no list"},
           Case{R"({"epoch_id":1,"ticket_type":"V1MixnetExit","blinded":"a"})", "is no list"},
           Case{R"({"epoch_id":1,"ticket_type":"V1MixnetExit","blinded":[]})", "is empty"},
           Case{R"({"epoch_id":1,"ticket_type":"V1MixnetExit","blinded":[1]})", "blinded[0]"},
           Case{R"({"a":[[[[[[[[[[]]]]]]]]]]})", "no JSON"},
       }) {
    const auto refused = issuer_.sign("t", c.body);
    ASSERT_FALSE(refused) << c.body;
    EXPECT_EQ(refused.error().status, 400U) << c.body;
    EXPECT_THAT(refused.error().message, HasSubstr(c.message)) << c.body;
  }
}

TEST_F(IssuerTest, DatabaseThatFailsSignsNothing) {
  const auto current = key(11'000);
  const auto point = ecash::Withdrawal::start(crypto::IdentityKeyPair::generate().identity,
                                              current.type, current.expiry)
                         .blinded();
  {
    // Another process holds the lock for longer than anybody waits.
    auto blocker = sqlite::Connection::open(dir_ / "issuer.sqlite");
    ASSERT_TRUE(blocker);
    ASSERT_TRUE(blocker->execute("BEGIN IMMEDIATE"));
    const auto refused = issuer_.sign("t", body(current.epoch_id, point));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().status, 503U);
    EXPECT_THAT(refused.error().message, testing::Not(HasSubstr("lock")));
  }
  EXPECT_TRUE(issuer_.sign("t", body(current.epoch_id, point)));
}

/// The routes, with what they answer instead of a client.
class RoutesTest : public IssuerTest {
 protected:
  [[nodiscard]] http::Answer ask(std::string method, std::string target, std::string body = "") {
    std::promise<http::Answer> answered;
    routes_.handle({.method = std::move(method),
                    .target = std::move(target),
                    .authorization = "Bearer t",
                    .peer = messages::IpV4{{127, 0, 0, 1}},
                    .body = std::move(body)},
                   [&answered](http::Answer answer) { answered.set_value(std::move(answer)); });
    return answered.get_future().get();
  }
  /// Fills the queue of a worker, until the result is released.
  [[nodiscard]] std::promise<void> occupy(Worker& worker) {
    std::promise<void> release;
    std::shared_future<void> released = release.get_future().share();
    std::promise<void> begun;
    Worker::Job first = [&begun, released] {
      begun.set_value();
      released.wait();
    };
    EXPECT_TRUE(worker.post(first));
    begun.get_future().wait();
    Worker::Job second = [released] { released.wait(); };
    EXPECT_TRUE(worker.post(second));
    return release;
  }

  static constexpr const char* query =
      "/cosmwasm/wasm/v1/contract/lp1test/smart/eyJ2ZXJpZmljYXRpb25fa2V5cyI6e319";
  Worker answering_{"answering", 1};
  Worker signing_{"signing", 1};
  Routes routes_{"lp1test", {contract_, answering_}, {issuer_, signing_}, counters_};
};

TEST_F(RoutesTest, FullSigningQueueIsToldWithWhenToComeAgainAndHoldsUpNoQuery) {
  const auto point = ecash::Withdrawal::start(crypto::IdentityKeyPair::generate().identity,
                                              TicketType::v1_wireguard_entry, 11'000)
                         .blinded();
  const auto request = body(key(11'000).epoch_id, point);
  auto release = occupy(signing_);
  const auto busy = ask("POST", "/v1/sign", request);
  EXPECT_EQ(busy.status, 503U);
  EXPECT_EQ(busy.retry_after, std::chrono::seconds(1));
  EXPECT_THAT(busy.body, HasSubstr("\"busy\""));
  const auto shown = ask("GET", query);
  EXPECT_EQ(shown.status, 200U) << shown.body;
  EXPECT_EQ(net::parse_verification_keys(shown.body).value(), keys());
  release.set_value();
  // A place is free once the second of the two jobs has been taken up.
  http::Answer answer = busy;
  while (answer.status == 503) {
    answer = ask("POST", "/v1/sign", request);
    std::this_thread::yield();
  }
  EXPECT_EQ(answer.status, 200U) << answer.body;
}

TEST_F(RoutesTest, FullQueueOfQueriesIsToldWithWhenToComeAgain) {
  auto release = occupy(answering_);
  const auto busy = ask("GET", query);
  EXPECT_EQ(busy.status, 503U);
  EXPECT_EQ(busy.retry_after, std::chrono::seconds(1));
  release.set_value();
}

}  // namespace
}  // namespace lp::issuer
