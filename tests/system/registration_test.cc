// Registrations at a real lp-gateway, many at a time.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "lib/base/encoding.h"
#include "lib/messages/registration_errors.h"
#include "probes/client/lp_registration_client.h"
#include "tests/support/raw_client.h"
#include "tests/system/gateway_process.h"

namespace lp::test {
namespace {

using messages::RegistrationFailure;
using messages::sentence;
using testing::IsEmpty;

constexpr std::int64_t gibibyte = 1'073'741'824;

/// The one thing that must hold at the end of every test here.
void expect_sound(GatewayProcess& gateway) {
  EXPECT_TRUE(gateway.running());
  expect_sums_agree(gateway.idle_metrics());
  EXPECT_THAT(gateway.violations(), IsEmpty());
}

TEST(SystemRegistration, ParallelTicketsOfOneKeyMakeOnePeerWithTheSumOfTheirCredit) {
  GatewayProcess gateway;
  std::vector<messages::RegistrationRequest> requests;
  for (std::uint64_t i = 0; i < 64; ++i)
    requests.push_back(request(1, 100 + i));
  const auto responses = register_all(gateway, requests);
  std::set<std::string> addresses;
  for (const auto& response : responses) {
    ASSERT_TRUE(response && response->success);
    EXPECT_EQ(response->allocated_bandwidth, gibibyte);
    addresses.insert(to_string(messages::IpAddress(response->gateway_data->private_ipv4)) + " " +
                     to_string(messages::IpAddress(response->gateway_data->private_ipv6)));
  }
  EXPECT_EQ(addresses.size(), 1U);
  EXPECT_EQ(gateway.tables(),
            (Tables{.clients = 1, .peers = 1, .spent = 64, .credited = 64 * gibibyte}));
  EXPECT_EQ(gateway.metrics()["lp_wireguard_peers"], 1);
  expect_sound(gateway);
}

TEST(SystemRegistration, OneNullifierUnderManyKeysSucceedsExactlyOnce) {
  GatewayProcess gateway;
  const int all = rounds(5, 20);
  for (int round = 0; round < all; ++round) {
    std::vector<messages::RegistrationRequest> requests;
    const auto nullifier = static_cast<std::uint64_t>(round);
    for (std::uint64_t i = 0; i < 64; ++i)
      requests.push_back(request(nullifier * 64 + i, nullifier));
    int succeeded = 0;
    for (const auto& response : register_all(gateway, requests)) {
      ASSERT_TRUE(response);
      if (response->success) {
        ++succeeded;
      } else {
        EXPECT_EQ(response->error, sentence(RegistrationFailure::credential_already_spent));
      }
    }
    EXPECT_EQ(succeeded, 1) << "round " << round;
  }
  EXPECT_EQ(gateway.tables(),
            (Tables{.clients = all, .peers = all, .spent = all, .credited = all * gibibyte}));
  expect_sound(gateway);
}

TEST(SystemRegistration, ParallelMixnetClientsAreCountedByTheirOwnIds) {
  GatewayProcess gateway;
  std::vector<messages::RegistrationRequest> requests;
  for (std::uint64_t i = 0; i < 64; ++i) {
    auto mixnet = request(1, i);
    mixnet.ticket_type = messages::TicketType::v1_mixnet_entry;
    messages::Mixnet mode;
    mode.client_id.fill(static_cast<std::uint8_t>(i % 4));
    mixnet.mode = mode;
    requests.push_back(mixnet);
  }
  for (const auto& response : register_all(gateway, requests)) {
    ASSERT_TRUE(response && response->success);
    EXPECT_FALSE(response->gateway_data);
  }
  EXPECT_EQ(gateway.tables(), (Tables{.clients = 4, .spent = 64, .credited = 64 * gibibyte}));
  EXPECT_EQ(gateway.metrics()["lp_registration_mixnet_success"], 64);
  expect_sound(gateway);
}

TEST(SystemRegistration, LostResponseAndRetryGiveTheSameAnswer) {
  GatewayProcess gateway;
  // The client is gone before the answer.
  {
    RawConnection connection("127.0.0.1", gateway.port());
    RawClient client(gateway.lp_key(), now());
    ASSERT_TRUE(shake_hands(connection, client));
    ASSERT_TRUE(connection.send(client.request(request(1, 1))));
    connection.close(true);
  }
  // A retry at once, and one after the gateway has been started anew.
  const auto first = register_once(gateway.port(), gateway.lp_key(), request(1, 1));
  ASSERT_TRUE(first && first->success);
  expect_sound(gateway);
  EXPECT_EQ(gateway.stop(), 0);
  gateway.start();
  const auto second = register_once(gateway.port(), gateway.lp_key(), request(1, 1));
  ASSERT_TRUE(second && second->success);
  EXPECT_EQ(second->gateway_data, first->gateway_data);
  EXPECT_EQ(second->allocated_bandwidth, first->allocated_bandwidth);
  EXPECT_EQ(gateway.tables(), (Tables{.clients = 1, .peers = 1, .spent = 1, .credited = gibibyte}));
  EXPECT_EQ(gateway.metrics()["lp_wireguard_peers"], 1);
  expect_sound(gateway);
}

TEST(SystemRegistration, StatementsPerRegistrationStayBetweenThreeAndFive) {
  GatewayProcess gateway;
  const auto statements = [&] { return gateway.metrics()["lp_storage_statements_total"]; };
  const auto cost = [&](const messages::RegistrationRequest& wanted) {
    const double before = statements();
    const auto response = register_once(gateway.port(), gateway.lp_key(), wanted);
    EXPECT_TRUE(response && response->success);
    return statements() - before;
  };
  EXPECT_EQ(cost(request(1, 1)), 5);  // a new peer
  EXPECT_EQ(cost(request(1, 2)), 4);  // a further ticket of it
  auto mixnet = request(1, 3);
  mixnet.ticket_type = messages::TicketType::v1_mixnet_exit;
  mixnet.mode = messages::Mixnet{};
  EXPECT_EQ(cost(mixnet), 5);
  mixnet.credential.nullifier = numbered_nullifier(4);
  EXPECT_EQ(cost(mixnet), 3);
}

/// A gateway whose WireGuard does as the script says.
class FaultyWireguard : public testing::Test {
 protected:
  void script(const std::string& lines) {
    std::ofstream(dir_ / "script.new") << lines;
    std::filesystem::rename(dir_ / "script.new", dir_ / "script");
  }
  static std::string key(std::uint64_t number) {
    return to_base64(numbered_wireguard_key(number).bytes);
  }

  TempDir dir_;
  GatewayProcess gateway{
      {.program = "lp-gateway-faulty",
       .environment = {{"LP_TEST_WIREGUARD_SCRIPT", (dir_ / "script").string()}}}};
};

TEST_F(FaultyWireguard, OfTwoRegistrationsOfOneKeyTheFailingOneLeavesTheOthersCredit) {
  const int all = rounds(10, 100);
  for (int round = 0; round < all; ++round) {
    const auto number = static_cast<std::uint64_t>(round);
    // The first add of this key fails, whichever of the two it belongs to.
    script("add " + key(number) + " fail 1\n");
    const auto responses =
        register_all(gateway, {request(number, 2 * number), request(number, 2 * number + 1)});
    ASSERT_TRUE(responses[0] && responses[1]);
    EXPECT_NE(responses[0]->success, responses[1]->success);
    const auto& failed = responses[0]->success ? responses[1] : responses[0];
    EXPECT_EQ(failed->error, sentence(RegistrationFailure::wireguard_failed));
    EXPECT_NE(gateway.is_spent(numbered_nullifier(2 * number)),
              gateway.is_spent(numbered_nullifier(2 * number + 1)));
  }
  EXPECT_EQ(gateway.tables(),
            (Tables{.clients = all, .peers = all, .spent = all, .credited = all * gibibyte}));
  EXPECT_EQ(gateway.metrics()["lp_wireguard_peers"], all);
  expect_sound(gateway);
}

TEST_F(FaultyWireguard, FailedRegistrationOfALivePeersKeyChangesNothing) {
  const auto first = register_once(gateway.port(), gateway.lp_key(), request(1, 1));
  ASSERT_TRUE(first && first->success);
  const auto before = gateway.tables();
  script("add * fail\n");
  const auto failed = register_once(gateway.port(), gateway.lp_key(), request(1, 2));
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error, sentence(RegistrationFailure::wireguard_failed));
  EXPECT_EQ(gateway.tables(), before);
  EXPECT_EQ(gateway.metrics()["lp_wireguard_peers"], 1);
  script("");
  // Neither ticket was lost: the second is still good, the first still answered.
  const auto again = register_once(gateway.port(), gateway.lp_key(), request(1, 2));
  EXPECT_TRUE(again && again->success);
  const auto retry = register_once(gateway.port(), gateway.lp_key(), request(1, 1));
  ASSERT_TRUE(retry && retry->success);
  EXPECT_EQ(retry->gateway_data, first->gateway_data);
  expect_sound(gateway);
}

TEST_F(FaultyWireguard, HangingBackendIsAnsweredAndLosesNoTicket) {
  script("add * hang-4000 1\n");
  const auto slow = register_once(gateway.port(), gateway.lp_key(), request(1, 1));
  ASSERT_TRUE(slow);
  EXPECT_EQ(slow->error, sentence(RegistrationFailure::wireguard_failed));
  // The late peer is taken off again: noted in the database, done when the backend is back.
  std::optional<messages::RegistrationResponse> other;
  const auto limit = std::chrono::steady_clock::now() + patience;
  do {
    other = register_once(gateway.port(), gateway.lp_key(), request(2, 2));
    ASSERT_TRUE(other);
  } while (!other->success && std::chrono::steady_clock::now() < limit);
  EXPECT_TRUE(other->success);
  while (gateway.tables().removals != 0 && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
  }
  EXPECT_EQ(gateway.tables(), (Tables{.clients = 1, .peers = 1, .spent = 1, .credited = gibibyte}));
  EXPECT_EQ(gateway.metrics()["lp_wireguard_peers"], 1);
  expect_sound(gateway);
}

TEST(SystemRegistration, ProbeAndGatewayAgreeInBothModes) {
  GatewayProcess gateway;
  for (const std::string mode : {"dvpn", "mixnet"}) {
    const auto probed = run(
        {.program = program("lp-probe"),
         .args = {gateway.target(), "--use-mock-ecash", "--mode", mode, "--only-lp-registration"}});
    EXPECT_EQ(probed.ended.code, 0) << probed.output << probed.error_output;
  }
  const auto metrics = gateway.idle_metrics();
  EXPECT_EQ(metrics["lp_registration_success_total{mode=\"dvpn\"}"], 1);
  EXPECT_EQ(metrics["lp_registration_success_total{mode=\"mixnet\"}"], 1);
  expect_sound(gateway);
}

}  // namespace
}  // namespace lp::test
