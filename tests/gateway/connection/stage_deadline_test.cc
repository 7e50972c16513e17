// Deadlines: each stage has its own, and nothing a client sends renews one.
#include "lib/messages/registration_errors.h"
#include "tests/gateway/connection/fixture.h"

namespace lp::gateway::connection {
namespace {

using messages::RegistrationFailure;
using Mode = FakeRegistrar::Mode;

constexpr std::chrono::milliseconds soon{150};

class DeadlineTest : public ServerTest {
 protected:
  DeadlineTest() {
    // All but the one a test is about are longer than a test may last.
    constexpr std::chrono::hours never{1};
    settings.deadlines = {never, never, never, never, never};
  }
};

TEST_F(DeadlineTest, ASilentClientIsCutAtTheHelloDeadline) {
  settings.deadlines.hello = soon;
  start();
  auto connection = connect();
  EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_EQ(hello_failures("timeout"), 1);
  expect_sums();
}

TEST_F(DeadlineTest, AClientThatStopsAfterItsHelloIsCutAtTheHandshakeDeadline) {
  settings.deadlines.handshake = soon;
  start();
  auto connection = connect();
  ASSERT_TRUE(connection.send(client().client_hello()));
  EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_EQ(handshake_failures("timeout"), 1);
  expect_sums();
}

TEST_F(DeadlineTest, AClientThatStopsAfterMessage2IsCutAtTheHandshakeDeadline) {
  settings.deadlines.handshake = soon;
  start();
  auto client = this->client();
  auto connection = connect();
  ASSERT_TRUE(connection.send(test::concatenate(client.client_hello(), client.message_1())));
  ASSERT_TRUE(connection.receive_packet());
  EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_EQ(handshake_failures("timeout"), 1);
  expect_sums();
}

TEST_F(DeadlineTest, AClientThatSendsNoRequestIsCutAtTheRequestDeadline) {
  settings.deadlines.request = soon;
  start();
  auto client = this->client();
  auto connection = shaken(client);
  EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_EQ(metric("lp_registration_attempts_total"), 0);
  expect_sums();
  EXPECT_EQ(metric("lp_connections_total{result=\"error\"}"), 1);
}

TEST_F(DeadlineTest, DroppedPacketsDoNotRenewTheRequestDeadline) {
  settings.deadlines.request = soon;
  start();
  auto client = this->client();
  auto connection = shaken(client);
  const auto foreign = wire::make_frame({.session_id = client.machine().lp_id() + 1,
                                         .counter = 2,
                                         .type = wire::MessageType::encrypted_data},
                                        Bytes(64, 0));
  for (int i = 0; i < 16; ++i)
    ASSERT_TRUE(connection.send(foreign));
  EXPECT_TRUE(connection.closed_without_a_byte());
  expect_sums();
}

/// Sends a byte every few milliseconds until the connection is cut. Returns how many it took.
std::size_t trickle(test::RawConnection& connection, ByteView bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size() && connection.silent() && connection.send(bytes.subspan(sent, 1))) {
    ++sent;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return sent;
}

TEST_F(DeadlineTest, ATrickleOfBytesDoesNotRenewTheHelloDeadline) {
  settings.deadlines.hello = soon;
  start();
  auto connection = connect();
  EXPECT_LT(trickle(connection, client().client_hello()), wire::client_hello_packet_size);
  EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_EQ(hello_failures("timeout"), 1);
  expect_sums();
}

TEST_F(DeadlineTest, ATrickleOfBytesDoesNotRenewTheRequestDeadline) {
  settings.deadlines.request = soon;
  start();
  auto client = this->client();
  auto connection = shaken(client);
  const auto request = client.request(test::dvpn_request(clock.now()));
  EXPECT_LT(trickle(connection, request), request.size());
  EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_TRUE(registrar.seen().empty());
  expect_sums();
}

TEST_F(DeadlineTest, AStageDoesNotInheritTheTimeOfTheOneBefore) {
  settings.deadlines.handshake = soon;
  start();
  auto client = this->client();
  auto connection = connect();
  std::this_thread::sleep_for(2 * soon);
  // In one segment: the gateway need not wait for anything between the stage's begin and message 2.
  ASSERT_TRUE(connection.send(test::concatenate(client.client_hello(), client.message_1())));
  EXPECT_TRUE(connection.receive_packet());
}

TEST_F(DeadlineTest, ARegistrationThatTakesTooLongIsAnsweredAndCountedOnce) {
  settings.deadlines.processing = soon;
  registrar.set_mode(Mode::when_told);
  start();
  auto client = this->client();
  auto connection = shaken(client);
  const auto response = test::register_at(connection, client, test::dvpn_request(clock.now()));
  ASSERT_TRUE(response);
  EXPECT_FALSE(response->success);
  EXPECT_EQ(response->error, "Registration timed out, try again");
  EXPECT_EQ(connection.receive_until_closed(), Bytes());
  expect_sums();
  EXPECT_EQ(registration_failures(RegistrationFailure::processing_timeout), 1);

  // The registration goes on, and its late answer changes nothing any more.
  EXPECT_EQ(registrar.answer_all(), 1);
  expect_sums();
  EXPECT_EQ(sum("lp_registration_success_total"), 0);
}

TEST_F(DeadlineTest, AnAnswerThatComesAfterTheServerIsGoneIsHarmless) {
  settings.deadlines.processing = soon;
  registrar.set_mode(Mode::when_told);
  start();
  auto client = this->client();
  auto connection = shaken(client);
  ASSERT_TRUE(test::register_at(connection, client, test::dvpn_request(clock.now())));
  server.reset();
  EXPECT_EQ(registrar.answer_all(), 1);
}

/// Whoever goes on sending after the request is listened to for the answer's sake, but not for
/// long.
TEST_F(DeadlineTest, AClientThatNeverStopsSendingIsCutAtTheWriteDeadline) {
  settings.deadlines.write = soon;
  start();
  auto client = this->client();
  auto connection = shaken(client);
  const auto request = client.request(test::dvpn_request(clock.now()));
  ASSERT_TRUE(connection.send(test::concatenate(request, Bytes(50, 0xee))));
  ASSERT_TRUE(connection.receive_packet());
  wait_until_idle();
  expect_sums();
  EXPECT_EQ(metric("lp_connections_total{result=\"success\"}"), 1);
}

TEST_F(DeadlineTest, HonestClientsAreServedWhileManyWaitForTheirDeadline) {
  settings.max_connections_per_address = 0;
  settings.deadlines.hello = std::chrono::seconds(2);
  start();
  std::vector<test::RawConnection> idle;
  for (int i = 0; i < 400; ++i)
    idle.push_back(connect());
  for (int i = 0; i < 10; ++i) {
    auto client = this->client();
    auto connection = shaken(client);
    const auto response = test::register_at(connection, client, test::dvpn_request(clock.now()));
    ASSERT_TRUE(response);
    EXPECT_TRUE(response->success);
  }
  for (auto& connection : idle)
    EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_EQ(hello_failures("timeout"), 400);
  expect_sums();
}

}  // namespace
}  // namespace lp::gateway::connection
