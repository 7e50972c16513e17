// The authority with a clock that the test sets.
#include "tools/issuer/issuer.h"

#include <gmock/gmock.h>

#include <atomic>
#include <boost/json.hpp>
#include <set>
#include <stdexcept>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "lib/ecash/withdrawal.h"
#include "lib/net/verification_keys.h"
#include "tests/support/process.h"
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
    return net::parse_verification_keys(issuer_.verification_keys().value()).value();
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
  const auto gone = issuer_.sign("t", body(current.epoch_id, point));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().status, 409U);
  EXPECT_EQ(gone.error().code, "epoch_unknown");
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

}  // namespace
}  // namespace lp::issuer
