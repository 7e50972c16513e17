// From the request to the answer, as it goes when nothing is wrong with the client.
#include "lib/messages/registration_errors.h"
#include "tests/gateway/connection/fixture.h"

namespace lp::gateway::connection {
namespace {

using messages::RegistrationFailure;

class AnswerTest : public ServerTest {};

TEST_F(AnswerTest, AClientThatDoesEverythingRightIsAnswered) {
  start();
  auto client = this->client();
  auto connection = shaken(client);
  const auto request = test::dvpn_request(clock.now());
  const auto response = test::register_at(connection, client, request);

  ASSERT_TRUE(response);
  EXPECT_EQ(*response, FakeRegistrar::success().response);
  EXPECT_EQ(connection.receive_until_closed(), Bytes());
  ASSERT_EQ(registrar.seen().size(), 1);
  EXPECT_EQ(registrar.seen()[0].plaintext, messages::encode(request));
  EXPECT_EQ(registrar.seen()[0].local_address, messages::IpAddress(messages::IpV4{{127, 0, 0, 1}}));
  EXPECT_EQ(registrar.seen()[0].timestamp_tolerance_secs, 30);
  expect_sums();
  EXPECT_EQ(metric("lp_connections_total{result=\"success\"}"), 1);
  EXPECT_EQ(metric("lp_handshakes_success"), 1);
  EXPECT_EQ(metric("lp_registration_dvpn_success"), 1);
  EXPECT_EQ(metric("lp_registration_step_duration_seconds_count{step=\"response\"}"), 1);
}

}  // namespace
}  // namespace lp::gateway::connection
