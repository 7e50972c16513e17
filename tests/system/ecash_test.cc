// Real tickets through the real programs: lp-issuer signs, lp-probe withdraws and spends,
// lp-gateway verifies.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <boost/json.hpp>
#include <random>
#include <regex>
#include <thread>

#include "lib/base/encoding.h"
#include "lib/ecash/withdrawal.h"
#include "lib/messages/registration_errors.h"
#include "lib/net/fetch.h"
#include "lib/net/verification_keys.h"
#include "tests/support/raw_client.h"
#include "tests/system/gateway_process.h"

namespace lp::test {
namespace {

using messages::RegistrationFailure;
using messages::sentence;
using messages::TicketType;

constexpr std::int64_t worth = 500'000'000;

/// A running lp-issuer, which is the chain as well, and its token.
class IssuerProcess {
 public:
  IssuerProcess() : child_({.program = program("lp-issuer"), .args = {"run", "--ephemeral"}}) {
    const auto ready = child_.read_line().value_or("");
    std::smatch match;
    if (!std::regex_match(ready, match,
                          std::regex("ready http=(\\S+) contract=(\\S+) token=(\\S+)"))) {
      throw std::runtime_error("lp-issuer did not start: " + ready + child_.error_output());
    }
    url_ = "http://" + match[1].str();
    contract_ = match[2];
    token_ = match[3];
    write_file(dir_ / "token", token_ + "\n", 0600);
  }

  [[nodiscard]] const std::string& url() const { return url_; }
  [[nodiscard]] const std::string& contract() const { return contract_; }
  [[nodiscard]] std::string token_file() const { return (dir_ / "token").string(); }
  void kill() { (void)child_.kill(); }

  [[nodiscard]] std::vector<net::ChainKey> keys() const {
    return net::fetch_verification_keys(net::Url::parse(url_).value(), contract_).value();
  }

  /// Withdraws tickets for this gateway, one request for all.
  [[nodiscard]] std::vector<messages::Credential> withdraw(const crypto::Identity& gateway,
                                                           TicketType type,
                                                           std::size_t count) const {
    const auto key = newest_key(type);
    const ecash::VerificationKey verification_key(key.public_key);
    std::vector<ecash::Withdrawal> withdrawals;
    boost::json::array blinded;
    for (std::size_t i = 0; i < count; ++i) {
      withdrawals.push_back(ecash::Withdrawal::start(gateway, type, key.expiry));
      blinded.emplace_back(to_base64(withdrawals.back().blinded()));
    }
    const auto body = boost::json::serialize(
        boost::json::object{{"epoch_id", key.epoch_id},
                            {"ticket_type", std::string(messages::name(type))},
                            {"blinded", blinded}});
    const auto answer =
        net::post_json(net::Url::parse(url_ + "/v1/sign").value(), body, {.bearer_token = token_});
    const auto signatures = boost::json::parse(answer.value().body).at("signatures").as_array();
    std::vector<messages::Credential> credentials;
    for (std::size_t i = 0; i < count; ++i) {
      const auto signature = from_base64(std::string_view(signatures.at(i).as_string()));
      credentials.push_back(withdrawals[i].finish(signature.value(), verification_key).value());
    }
    return credentials;
  }

 private:
  [[nodiscard]] net::ChainKey newest_key(TicketType type) const {
    std::optional<net::ChainKey> newest;
    for (const auto& key : keys()) {
      if (key.type == type && (!newest || key.expiry > newest->expiry)) newest = key;
    }
    // The issuer signs for the present epoch and the next; the present one is surely among them.
    for (const auto& key : keys()) {
      if (key.type == type && key.expiry < newest->expiry) newest = key;
    }
    return *newest;
  }

  TempDir dir_;
  Child child_;
  std::string url_;
  std::string contract_;
  std::string token_;
};

class SystemEcash : public testing::Test {
 protected:
  [[nodiscard]] crypto::Identity identity() const {
    return crypto::Identity::from_base58(gateway.identity()).value();
  }
  [[nodiscard]] messages::RegistrationRequest spend(const messages::Credential& credential,
                                                    std::uint64_t key) const {
    auto wanted = request(key, 0);
    wanted.credential = credential;
    return wanted;
  }
  [[nodiscard]] std::optional<messages::RegistrationResponse> send(
      const messages::RegistrationRequest& wanted) const {
    return register_once(gateway.port(), gateway.lp_key(), wanted);
  }
  [[nodiscard]] ChildOptions probe(std::vector<std::string> args) const {
    args.insert(args.begin(), {"--wallet", (dir_ / "wallet.sqlite").string(), "--chain-url",
                               issuer.url(), "--ecash-contract", issuer.contract(), "--issuer",
                               issuer.url(), "--issuer-token-file", issuer.token_file()});
    return {.program = program("lp-probe"),
            .args = std::move(args),
            .environment = {{"HOME", dir_.path().string()}, {"XDG_CONFIG_HOME", std::nullopt}}};
  }
  void expect_sound() {
    expect_sums_agree(gateway.idle_metrics());
    EXPECT_THAT(gateway.violations(), testing::IsEmpty());
  }
  void wait_for_keys() {
    const auto limit = std::chrono::steady_clock::now() + patience;
    const auto credential = issuer.withdraw(identity(), TicketType::v1_mixnet_exit, 1).front();
    auto wanted = spend(credential, 999'999);
    wanted.ticket_type = TicketType::v1_mixnet_exit;
    wanted.mode = messages::Mixnet{};
    for (;;) {
      const auto response = send(wanted);
      if (response && response->success) return;
      ASSERT_LT(std::chrono::steady_clock::now(), limit) << response->error.value_or("");
    }
  }

  TempDir dir_;
  IssuerProcess issuer;
  GatewayProcess gateway{{.flags = {"--chain-url", issuer.url(), "--ecash-contract",
                                    issuer.contract(), "--max-connections-per-address", "0"},
                          .mock_ecash = false}};
};

TEST_F(SystemEcash, ProbeWithdrawsAndSpendsAndTheGatewayCreditsWhatTheTicketIsWorth) {
  for (const std::string mode : {"dvpn", "mixnet"}) {
    const auto probed = run(probe({gateway.target(), "--mode", mode, "--only-lp-registration"}));
    EXPECT_EQ(probed.ended.code, 0) << probed.output << probed.error_output;
  }
  const auto metrics = gateway.idle_metrics();
  EXPECT_EQ(metrics["lp_mock_ecash"], 0);
  EXPECT_EQ(metrics["lp_credential_verification_success"], 2);
  EXPECT_EQ(metrics["lp_registration_dvpn_success"], 1);
  EXPECT_EQ(metrics["lp_registration_mixnet_success"], 1);
  EXPECT_EQ(gateway.tables(),
            (Tables{.clients = 2, .peers = 1, .spent = 2, .credited = worth + 200'000'000}));
  expect_sound();
}

TEST_F(SystemEcash, SpentTicketIsRefusedToAnotherKeyAndAnsweredToItsOwn) {
  const auto credential = issuer.withdraw(identity(), TicketType::v1_wireguard_entry, 1).front();
  const auto first = send(spend(credential, 1));
  ASSERT_TRUE(first && first->success) << first->error.value_or("");
  EXPECT_EQ(first->allocated_bandwidth, worth);
  const auto other = send(spend(credential, 2));
  ASSERT_TRUE(other);
  EXPECT_EQ(other->error, sentence(RegistrationFailure::credential_already_spent));
  const auto retry = send(spend(credential, 1));
  ASSERT_TRUE(retry && retry->success);
  EXPECT_EQ(retry->gateway_data, first->gateway_data);
  EXPECT_EQ(gateway.tables(), (Tables{.clients = 1, .peers = 1, .spent = 1, .credited = worth}));
  expect_sound();
}

TEST_F(SystemEcash, TicketThatIsNotWhatItSaysIsRefusedByNameAndWritesNothing) {
  const auto good = issuer.withdraw(identity(), TicketType::v1_wireguard_entry, 1).front();
  wait_for_keys();
  const auto before = gateway.tables();
  const auto refused = [&](const messages::RegistrationRequest& wanted) {
    const auto response = send(wanted);
    EXPECT_TRUE(response && !response->success);
    return response->error.value_or("");
  };
  auto wanted = spend(good, 1);
  wanted.credential.bandwidth_amount += 1;
  EXPECT_EQ(refused(wanted), sentence(RegistrationFailure::wrong_amount));
  wanted = spend(good, 1);
  wanted.ticket_type = TicketType::v1_wireguard_exit;
  EXPECT_EQ(refused(wanted), sentence(RegistrationFailure::bad_signature));
  wanted = spend(good, 1);
  wanted.ticket_type = TicketType::v1_mixnet_entry;
  EXPECT_EQ(refused(wanted), sentence(RegistrationFailure::ticket_type_mismatch));
  wanted = spend(good, 1);
  wanted.credential.nullifier[0] ^= 1;
  EXPECT_EQ(refused(wanted), sentence(RegistrationFailure::bad_signature));
  wanted = spend(good, 1);
  wanted.credential.expiry += 1;
  EXPECT_EQ(refused(wanted), sentence(RegistrationFailure::unknown_verification_key));
  for (const std::size_t size : {0U, 47U, 49U}) {
    wanted = spend(good, 1);
    wanted.credential.signature.resize(size);
    EXPECT_EQ(refused(wanted), sentence(RegistrationFailure::bad_signature));
  }
  wanted = spend(good, 1);
  wanted.credential.signature.assign(48, 0);
  wanted.credential.signature[0] = 0xc0;  // the point at infinity
  EXPECT_EQ(refused(wanted), sentence(RegistrationFailure::bad_signature));
  // Another gateway's ticket.
  const auto stranger = crypto::IdentityKeyPair::generate().identity;
  wanted = spend(issuer.withdraw(stranger, TicketType::v1_wireguard_entry, 1).front(), 1);
  EXPECT_EQ(refused(wanted), sentence(RegistrationFailure::bad_signature));
  EXPECT_EQ(gateway.tables(), before);
  // The ticket itself is as good as before.
  const auto response = send(spend(good, 1));
  EXPECT_TRUE(response && response->success);
  expect_sound();
}

TEST_F(SystemEcash, OneTicketUnderManyKeysIsTakenExactlyOnce) {
  const int all = rounds(5, 200);
  for (int round = 0; round < all; ++round) {
    const auto credential = issuer.withdraw(identity(), TicketType::v1_wireguard_exit, 1).front();
    std::vector<messages::RegistrationRequest> requests;
    for (std::uint64_t i = 0; i < 64; ++i) {
      requests.push_back(spend(credential, static_cast<std::uint64_t>(round) * 64 + i));
      requests.back().ticket_type = TicketType::v1_wireguard_exit;
    }
    int succeeded = 0;
    for (const auto& response : register_all(gateway, requests)) {
      ASSERT_TRUE(response);
      if (response->success) {
        ++succeeded;
      } else {
        EXPECT_EQ(response->error, sentence(RegistrationFailure::credential_already_spent));
      }
    }
    ASSERT_EQ(succeeded, 1) << "round " << round;
  }
  EXPECT_EQ(gateway.tables(),
            (Tables{.clients = all, .peers = all, .spent = all, .credited = all * worth}));
  expect_sound();
}

TEST_F(SystemEcash, ChainThatIsGoneDoesNotStopTicketsUnderKnownKeys) {
  const auto credentials = issuer.withdraw(identity(), TicketType::v1_wireguard_entry, 2);
  const auto first = send(spend(credentials[0], 1));
  ASSERT_TRUE(first && first->success);
  issuer.kill();
  EXPECT_EQ(gateway.stop(), 0);
  gateway.start();  // from the keys on disk
  const auto second = send(spend(credentials[1], 2));
  EXPECT_TRUE(second && second->success) << second->error.value_or("");
  expect_sound();
}

TEST_F(SystemEcash, GatewayKilledWhileTicketsAreSpentLosesNoneAndCountsNoneTwice) {
  std::mt19937 random(7);  // NOLINT(bugprone-random-generator-seed): the same moments in each run
  std::uniform_int_distribution<int> milliseconds(1, 60);
  std::int64_t spent = 0;
  for (int round = 0; round < rounds(4, 50); ++round) {
    const auto credentials = issuer.withdraw(identity(), TicketType::v1_wireguard_entry, 16);
    std::vector<messages::RegistrationRequest> requests;
    for (std::size_t i = 0; i < credentials.size(); ++i) {
      requests.push_back(spend(credentials[i], static_cast<std::uint64_t>(round) * 16 + i));
    }
    std::vector<std::optional<messages::RegistrationResponse>> responses;
    {
      std::jthread storm([&] { responses = register_all(gateway, requests); });
      const auto until =
          std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds(random));
      while (std::chrono::steady_clock::now() < until)
        std::this_thread::yield();
      gateway.kill();
    }
    gateway.start();
    // Every ticket is good for exactly one credit, whether or not it was answered before.
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const auto again = send(requests[i]);
      ASSERT_TRUE(again && again->success) << again->error.value_or("");
      if (responses[i] && responses[i]->success) {
        EXPECT_EQ(again->gateway_data, responses[i]->gateway_data);
      }
    }
    spent += static_cast<std::int64_t>(requests.size());
    ASSERT_EQ(
        gateway.tables(),
        (Tables{.clients = spent, .peers = spent, .spent = spent, .credited = spent * worth}));
  }
  expect_sound();
}

}  // namespace
}  // namespace lp::test
