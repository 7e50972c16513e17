// The real lp-gateway and a chain: what an operator sees of its keys, and can do about them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <thread>

#include "lib/crypto/random.h"
#include "lib/net/fetch.h"
#include "tests/gateway/app/gateway_process.h"
#include "tests/gateway/ecash/keys.h"
#include "tests/lib/net/scripted_server.h"

namespace lp::gateway::ecash {
namespace {

using app::operator+;
using lp::test::ScriptedServer;
using lp::test::TempDir;
using test::base64_of;
using test::new_key;
using test::TicketType;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class GatewayWithChain : public app::GatewayProcess {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }
  void SetUp() override { init(); }

  static ScriptedServer::Script having(const std::vector<Key>& keys) {
    return ScriptedServer::answer(ScriptedServer::response(test::answer_of(keys)));
  }
  static std::vector<std::string> chain_at(const std::string& url) {
    return {"--use-mock-ecash=false", "--ecash-contract=n1ecash", "--chain-url=" + url};
  }
  static std::vector<std::string> chain_at(const ScriptedServer& server) {
    return chain_at("http://127.0.0.1:" + std::to_string(server.port()));
  }
  net::FetchResponse get(const std::string& path) {
    auto response = net::get(net::Url::parse("http://" + ready_.http + path).value(),
                             {.deadline = std::chrono::minutes(1)});
    EXPECT_TRUE(response) << response.error().detail;
    return response.value_or(net::FetchResponse{});
  }
  /// Asks until the answer has that in it.
  net::FetchResponse readiness_with(const std::string& text) {
    while (true) {
      auto response = get("/readyz");
      if (response.body.find(text) != std::string::npos || testing::Test::HasFailure()) {
        return response;
      }
      std::this_thread::yield();
    }
  }
  std::string keys_until(const std::string& text) {
    while (true) {
      const auto finished = command({"keys", "list"});
      if (finished.output.find(text) != std::string::npos || finished.ended.code != 0) {
        return finished.output + finished.error_output;
      }
    }
  }
  void stop() {
    gateway_->send_signal(SIGTERM);
    EXPECT_EQ(gateway_->wait().code, 0) << gateway_->error_output();
  }

  const UnixSeconds expiry_ = SystemWallClock().now() + 86'400;
  const Key a_ = new_key(TicketType::v1_wireguard_entry, expiry_, 7);
  const Key b_ = new_key(TicketType::v1_mixnet_exit, expiry_, 7);
};

TEST_F(GatewayWithChain, KeysAreFetchedListedAndThereAfterARestartWithoutAChain) {
  auto server = std::make_unique<ScriptedServer>(having({a_, b_}));
  const auto flags = chain_at(*server);
  start(flags);
  EXPECT_EQ(readiness_with("ready").status, 200u);
  EXPECT_EQ(get("/readyz").body, "ready\n");
  EXPECT_THAT(get("/metrics").body, AllOf(HasSubstr("lp_ecash_keys{state=\"trusted\"} 2\n"),
                                          HasSubstr("lp_mock_ecash 0\n")));
  const auto list = command({"keys", "list"});
  EXPECT_EQ(list.ended.code, 0);
  EXPECT_THAT(list.output, AllOf(HasSubstr("trusted  V1WireguardEntry"), HasSubstr(base64_of(a_)),
                                 HasSubstr("trusted  V1MixnetExit"), HasSubstr(base64_of(b_)),
                                 Not(HasSubstr("failed"))));
  EXPECT_THAT(command({"keys", "list", "--json"}).output,
              AllOf(StartsWith("{\"ok\":true,"), HasSubstr("\"state\":\"trusted\""),
                    HasSubstr("\"epoch_id\":7")));
  stop();
  EXPECT_THAT(command({"keys", "list"}).output, HasSubstr(base64_of(a_)));  // from the cache

  server.reset();
  start(flags);
  const auto response = readiness_with("could not be refreshed");
  EXPECT_EQ(response.status, 200u);
  EXPECT_THAT(response.body, StartsWith("ready\necash: "));
  EXPECT_THAT(keys_until("failed"), HasSubstr(base64_of(b_)));
  EXPECT_THAT(status("warnings"), HasSubstr("could not be refreshed"));
  stop();
}

TEST_F(GatewayWithChain, FirstStartWithoutTheChainServesAndIsNotReadyUntilItAnswers) {
  ScriptedServer server(ScriptedServer::answer(ScriptedServer::response("", "502 Bad Gateway")));
  start(chain_at(server));
  const auto response = readiness_with("502");
  EXPECT_EQ(response.status, 503u);
  EXPECT_THAT(response.body, StartsWith("ecash: no verification key"));
  EXPECT_EQ(command({"keys", "list"}).ended.code, 0);
  server.set_script(having({a_}));
  gateway_->send_signal(SIGHUP);
  EXPECT_EQ(readiness_with("ready\n").status, 200u);
  stop();
}

TEST_F(GatewayWithChain, OfferedKeyIsAcceptedByNameWithAndWithoutAGateway) {
  const Key second = new_key(a_.type, a_.expiry, 8);
  const Key third = new_key(a_.type, a_.expiry, 9);
  ScriptedServer server(having({a_}));
  const auto flags = chain_at(server);
  start(flags);
  keys_until("trusted ");
  server.set_script(having({second}));
  gateway_->send_signal(SIGHUP);
  EXPECT_THAT(keys_until("offered "),
              AllOf(HasSubstr(base64_of(a_)), HasSubstr(base64_of(second))));
  EXPECT_THAT(get("/readyz").body, HasSubstr("ready\necash: the chain offers keys"));
  EXPECT_TRUE(gateway_->wait_for_error_line("ALARM"));

  const auto nobodys = command({"keys", "accept", base64_of(third)});
  EXPECT_EQ(nobodys.ended.code, 69);
  EXPECT_THAT(nobodys.error_output, HasSubstr("none of the keys"));
  EXPECT_EQ(command({"keys", "accept", "../../etc/passwd!"}).ended.code, 64);
  EXPECT_EQ(command({"keys", "accept"}).ended.code, 64);
  EXPECT_EQ(command({"keys"}).ended.code, 64);
  EXPECT_EQ(command({"keys", "accept", base64_of(second).substr(0, 16)}).ended.code, 0);
  EXPECT_THAT(command({"keys", "list"}).output,
              AllOf(HasSubstr("trusted  V1WireguardEntry"), Not(HasSubstr("offered ")),
                    Not(HasSubstr(base64_of(a_)))));
  EXPECT_EQ(get("/readyz").body, "ready\n");

  server.set_script(having({third}));
  gateway_->send_signal(SIGHUP);
  keys_until("offered ");
  stop();
  EXPECT_EQ(command({"keys", "accept", base64_of(a_)}).ended.code, 69);
  EXPECT_EQ(command({"keys", "accept", base64_of(third)}).ended.code, 0);
  start(flags);
  EXPECT_THAT(command({"keys", "list"}).output,
              AllOf(HasSubstr(base64_of(third)), Not(HasSubstr("offered "))));
  stop();
}

TEST_F(GatewayWithChain, GatewayWithMockEcashHasNoKeys) {
  start();
  const auto list = command({"keys", "list"});
  EXPECT_EQ(list.ended.code, 69);
  EXPECT_THAT(list.error_output, HasSubstr("verifies no tickets"));
  stop();
  EXPECT_EQ(command({"keys", "list"}).ended.code, 69);
  EXPECT_EQ(command({"keys", "accept", base64_of(a_)}).ended.code, 69);
}

TEST_F(GatewayWithChain, ChainWithATrustFileOfItsOwnIsAsked) {
  const lp::test::CertificateAuthority authority;
  lp::test::write_file(in_data_dir("chain.pem"), authority.pem());
  const ScriptedServer server(having({a_}), authority.issue("DNS:localhost"));
  const auto flags = chain_at("https://localhost:" + std::to_string(server.port()));
  start(flags);
  EXPECT_THAT(readiness_with("localhost").body, HasSubstr("certificate"));
  stop();
  start(flags + std::vector<std::string>{"--chain-ca-file=chain.pem"});
  EXPECT_EQ(readiness_with("ready\n").status, 200u);
  stop();
}

TEST_F(GatewayWithChain, ChainOverHttpThatIsNotOnThisMachineIsRefusedUnlessAllowed) {
  const auto flags = chain_at("http://chain.invalid");
  const auto refused = lp::test::run(run_options(flags));
  EXPECT_EQ(refused.ended.code, 78);
  EXPECT_THAT(refused.error_output, HasSubstr("--allow-insecure-chain"));
  EXPECT_EQ(refused.output, "");
  start(flags + std::vector<std::string>{"--allow-insecure-chain"});
  stop();
}

TEST_F(GatewayWithChain, DamagedCacheKeepsItFromStarting) {
  const ScriptedServer server(having({a_}));
  lp::test::write_file(in_data_dir("ecash-keys.json"), "{\"version\":1", 0600);
  const auto refused = lp::test::run(run_options(chain_at(server)));
  EXPECT_EQ(refused.ended.code, 78);
  EXPECT_THAT(refused.error_output, AllOf(HasSubstr("ecash-keys.json"), HasSubstr("remove it")));
  EXPECT_EQ(refused.output, "");
  EXPECT_EQ(command({"keys", "list"}).ended.code, 78);
}

// Its deadline of five seconds is not the gateway's to wait for.
TEST_F(GatewayWithChain, FetchThatHangsDoesNotHoldUpTheEnd) {
  const ScriptedServer server([](ScriptedServer::Connection& connection) { connection.hang(); });
  start(chain_at(server));
  server.wait_for_connections(1);
  stop();
}

}  // namespace
}  // namespace lp::gateway::ecash
