// Stopping: what runs gets its answer if it comes in time, and nothing outlives the grace.
#include "lib/messages/registration_errors.h"
#include "tests/gateway/connection/fixture.h"

namespace lp::gateway::connection {
namespace {

using messages::RegistrationFailure;
using Mode = FakeRegistrar::Mode;

/// Longer than a test may last: where a test ends, it was not this that ended it.
constexpr std::chrono::hours ample{1};

class ShutdownTest : public ServerTest {
 protected:
  void start() {
    constexpr std::chrono::hours never{1};
    settings.deadlines = {never, never, never, never, never};
    ServerTest::start();
  }
  [[nodiscard]] bool refuses_connections() const {
    try {
      (void)connect();
      return false;
    } catch (const std::system_error& error) {
      return error.code() == std::errc::connection_refused;
    }
  }
};

TEST_F(ShutdownTest, ConnectionsThatHaveNotSentAnythingAreClosedAtOnce) {
  options.threads = 2;
  start();
  std::vector<test::RawConnection> silent;
  for (int i = 0; i < 8; ++i)
    silent.push_back(connect());
  wait_until([&] { return server->active_connections() == 8; });
  server->shut_down(ample);
  for (auto& connection : silent)
    EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_EQ(hello_failures("shutting_down"), 8);
  expect_sums();
  EXPECT_TRUE(refuses_connections());
}

TEST_F(ShutdownTest, ARegistrationThatIsAnsweredInTimeReachesItsClient) {
  registrar.set_mode(Mode::when_told);
  start();
  auto client = this->client();
  auto connection = shaken(client);
  ASSERT_TRUE(connection.send(client.request(test::dvpn_request(clock.now()))));
  registrar.wait_for_attempts(1);
  std::thread stopping([this] { server->shut_down(ample); });
  wait_until([this] { return refuses_connections(); });
  EXPECT_EQ(registrar.answer_all(), 1);
  const auto packet = connection.receive_packet();
  stopping.join();
  ASSERT_TRUE(packet);
  EXPECT_EQ(client.response(*packet), FakeRegistrar::success().response);
  expect_sums();
}

TEST_F(ShutdownTest, AHandshakeThatIsUnderWayMayEndInARegistration) {
  start();
  auto client = this->client();
  auto connection = connect();
  ASSERT_TRUE(connection.send(test::concatenate(client.client_hello(), client.message_1())));
  const auto message_2 = connection.receive_packet();
  ASSERT_TRUE(message_2);
  std::thread stopping([this] { server->shut_down(ample); });
  wait_until([this] { return refuses_connections(); });
  EXPECT_TRUE(connection.send(client.message_3(*message_2)));
  const auto response = test::register_at(connection, client, test::dvpn_request(clock.now()));
  stopping.join();
  ASSERT_TRUE(response);
  EXPECT_TRUE(response->success);
  expect_sums();
}

TEST_F(ShutdownTest, WhatIsNotDoneInTimeIsToldSoAndCounted) {
  registrar.set_mode(Mode::when_told);
  start();
  auto registering = this->client();
  auto registering_connection = shaken(registering);
  ASSERT_TRUE(registering_connection.send(registering.request(test::dvpn_request(clock.now()))));
  registrar.wait_for_attempts(1);
  auto shaking_connection = connect();
  ASSERT_TRUE(shaking_connection.send(client().client_hello()));
  auto half_a_hello = connect();
  ASSERT_TRUE(half_a_hello.send(ByteView(client().client_hello()).first(50)));
  auto without_request_client = this->client();
  auto without_request = shaken(without_request_client);
  wait_until([this] { return metric("lp_connection_bytes_received_total") > 1000; });

  server->shut_down(std::chrono::milliseconds(400));
  EXPECT_EQ(server->active_connections(), 0);
  const auto packet = registering_connection.receive_packet();
  ASSERT_TRUE(packet);
  EXPECT_EQ(registering.response(*packet).error, "Gateway shutting down");
  EXPECT_EQ(registration_failures(RegistrationFailure::shutting_down), 1);
  EXPECT_TRUE(shaking_connection.closed_without_a_byte());
  EXPECT_EQ(handshake_failures("shutting_down"), 1);
  EXPECT_TRUE(half_a_hello.closed_without_a_byte());
  EXPECT_EQ(hello_failures("shutting_down"), 1);
  EXPECT_TRUE(without_request.closed_without_a_byte());
  expect_sums();

  server.reset();
  EXPECT_EQ(registrar.answer_all(), 1);
}

TEST_F(ShutdownTest, NoGraceEndsEverythingAtOnce) {
  registrar.set_mode(Mode::when_told);
  start();
  auto client = this->client();
  auto connection = shaken(client);
  ASSERT_TRUE(connection.send(client.request(test::dvpn_request(clock.now()))));
  registrar.wait_for_attempts(1);
  server->shut_down(std::chrono::milliseconds(0));
  server->shut_down(std::chrono::milliseconds(0));
  EXPECT_TRUE(connection.receive_until_closed());
  expect_sums();
  EXPECT_EQ(registration_failures(RegistrationFailure::shutting_down), 1);
}

TEST_F(ShutdownTest, AStopAmidstRegistrationsLosesNoOutcome) {
  registrar.set_mode(Mode::from_a_thread);
  options.threads = 2;
  start();
  std::atomic<bool> stop = false;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      while (!stop) {
        try {
          auto client = this->client();
          auto connection = connect();
          if (!test::shake_hands(connection, client)) continue;
          (void)test::register_at(connection, client, test::dvpn_request(clock.now()));
        } catch (const std::exception&) {
          return;  // refused, or Busy in place of message 2: the gateway stops
        }
      }
    });
  }
  registrar.wait_for_attempts(50);
  server->shut_down(std::chrono::milliseconds(100));
  stop = true;
  for (std::thread& thread : clients)
    thread.join();
  expect_sums();
}

}  // namespace
}  // namespace lp::gateway::connection
