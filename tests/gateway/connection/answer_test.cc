// From the request to the answer: how it may be cut up, what may surround it, and what is counted.
#include <array>

#include "lib/messages/registration_errors.h"
#include "lib/wire/format.h"
#include "tests/gateway/connection/fixture.h"

namespace lp::gateway::connection {
namespace {

using messages::RegistrationFailure;
using Mode = FakeRegistrar::Mode;

class AnswerTest : public ServerTest {
 protected:
  /// The first connection of the test, with its handshake done.
  void shake() {
    start();
    client_.emplace(client());
    connection_.emplace(shaken(*client_));
  }
  [[nodiscard]] Bytes request() { return client_->request(test::dvpn_request(clock.now())); }
  [[nodiscard]] std::optional<messages::RegistrationResponse> response() {
    const auto packet = connection_->receive_packet();
    if (!packet) return std::nullopt;
    return client_->response(*packet);
  }
  void expect_answered_successfully() {
    EXPECT_EQ(response(), FakeRegistrar::success().response);
    EXPECT_EQ(connection_->receive_until_closed(), Bytes());
    expect_sums();
    EXPECT_EQ(metric("lp_connections_total{result=\"success\"}"), 1);
    EXPECT_EQ(metric("lp_registration_success_total{mode=\"dvpn\"}"), 1);
  }
  void expect_closed_without_an_attempt() {
    EXPECT_TRUE(connection_->closed_without_a_byte());
    expect_sums();
    EXPECT_EQ(metric("lp_registration_attempts_total"), 0);
    EXPECT_EQ(metric("lp_connections_total{result=\"error\"}"), 1);
    EXPECT_TRUE(registrar.seen().empty());
  }

  std::optional<test::RawClient> client_;
  std::optional<test::RawConnection> connection_;
};

TEST_F(AnswerTest, AClientThatDoesEverythingRightIsAnswered) {
  const MonotonicTime before = std::chrono::steady_clock::now();
  start();
  client_.emplace(client());
  connection_.emplace(connect("127.0.0.3"));
  ASSERT_TRUE(test::shake_hands(*connection_, *client_));
  const auto request = test::dvpn_request(clock.now());
  ASSERT_TRUE(connection_->send(client_->request(request)));
  expect_answered_successfully();

  ASSERT_EQ(registrar.seen().size(), 1);
  EXPECT_EQ(registrar.seen()[0].plaintext, messages::encode(request));
  EXPECT_EQ(registrar.seen()[0].local_address, messages::IpAddress(messages::IpV4{{127, 0, 0, 1}}));
  EXPECT_EQ(registrar.seen()[0].peer, messages::IpAddress(messages::IpV4{{127, 0, 0, 3}}));
  EXPECT_EQ(registrar.seen()[0].timestamp_tolerance_secs, 30);
  EXPECT_GT(registrar.seen()[0].deadline, before + settings.deadlines.processing);
  EXPECT_LT(registrar.seen()[0].deadline, MonotonicTime::max());
  EXPECT_EQ(metric("lp_handshakes_success"), 1);
  EXPECT_EQ(metric("lp_registration_dvpn_success"), 1);
  EXPECT_EQ(metric("lp_registration_step_duration_seconds_count{step=\"response\"}"), 1);
}

TEST_F(AnswerTest, BytesAreCountedInBothDirections) {
  shake();
  const auto request = this->request();
  ASSERT_TRUE(connection_->send(request));
  const auto packet = connection_->receive_packet();
  ASSERT_TRUE(packet);
  wait_until_idle();
  EXPECT_EQ(metric("lp_connection_bytes_received_total"),
            102 + 86 + 102 + static_cast<double>(request.size()));
  EXPECT_EQ(metric("lp_connection_bytes_sent_total"), 86 + 4 + static_cast<double>(packet->size()));
}

TEST_F(AnswerTest, AnAnswerFromAnotherThreadReachesItsClient) {
  registrar.set_mode(Mode::from_a_thread);
  shake();
  ASSERT_TRUE(connection_->send(request()));
  expect_answered_successfully();
}

TEST_F(AnswerTest, Message3AndRequestInOneSegmentAreBothTaken) {
  start();
  client_.emplace(client());
  connection_.emplace(connect());
  ASSERT_TRUE(connection_->send(test::concatenate(client_->client_hello(), client_->message_1())));
  const auto message_2 = connection_->receive_packet();
  ASSERT_TRUE(message_2);
  const auto message_3 = client_->message_3(*message_2);
  ASSERT_TRUE(connection_->send(test::concatenate(message_3, request())));
  expect_answered_successfully();
}

TEST_F(AnswerTest, AClientThatSendsByteByByteIsAnswered) {
  start();
  client_.emplace(client());
  connection_.emplace(connect());
  ASSERT_TRUE(connection_->send_byte_by_byte(client_->client_hello()));
  ASSERT_TRUE(connection_->send_byte_by_byte(client_->message_1()));
  const auto message_2 = connection_->receive_packet();
  ASSERT_TRUE(message_2);
  ASSERT_TRUE(connection_->send_byte_by_byte(client_->message_3(*message_2)));
  ASSERT_TRUE(connection_->send_byte_by_byte(request()));
  expect_answered_successfully();
}

TEST_F(AnswerTest, AClientThatShutsDownItsSendingSideIsAnswered) {
  registrar.set_mode(Mode::when_told);
  shake();
  ASSERT_TRUE(connection_->send(request()));
  connection_->shut_down_sending();
  registrar.wait_for_attempts(1);
  registrar.answer_all();
  expect_answered_successfully();
}

/// A close with input unread sends a reset, for which the client may lose the answer.
TEST_F(AnswerTest, InputAfterTheRequestDoesNotCostTheClientItsAnswer) {
  registrar.set_mode(Mode::when_told);
  shake();
  ASSERT_TRUE(connection_->send(test::concatenate(request(), Bytes(50, 0xee))));
  registrar.wait_for_attempts(1);
  ASSERT_TRUE(connection_->send(Bytes(100'000, 0xee)));
  registrar.answer_all();
  // Still sending when the gateway has already answered.
  wait_until([&] { return !connection_->silent(); });
  ASSERT_TRUE(connection_->send(Bytes(100'000, 0xee)));
  EXPECT_EQ(response(), FakeRegistrar::success().response);
  connection_->shut_down_sending();
  EXPECT_TRUE(connection_->closed_without_a_byte());
  expect_sums();
  EXPECT_EQ(metric("lp_connections_total{result=\"success\"}"), 1);
}

TEST_F(AnswerTest, OnlyTheFirstRequestIsAnAttempt) {
  shake();
  const auto first = request();
  ASSERT_TRUE(connection_->send(test::concatenate(first, request())));
  connection_->shut_down_sending();
  EXPECT_EQ(response(), FakeRegistrar::success().response);
  EXPECT_EQ(connection_->receive_until_closed(), Bytes());
  EXPECT_EQ(registrar.seen().size(), 1);
  expect_sums();
}

TEST_F(AnswerTest, ARefusedRegistrationIsAnsweredAndTheConnectionIsASuccess) {
  registrar.set_answer(FakeRegistrar::failure(RegistrationFailure::credential_already_spent));
  shake();
  ASSERT_TRUE(connection_->send(request()));
  const auto refusal = response();
  ASSERT_TRUE(refusal);
  EXPECT_FALSE(refusal->success);
  EXPECT_EQ(refusal->error, "Credential already spent");
  expect_sums();
  EXPECT_EQ(registration_failures(RegistrationFailure::credential_already_spent), 1);
  EXPECT_EQ(metric("lp_connections_total{result=\"success\"}"), 1);
}

TEST_F(AnswerTest, AMixnetRegistrationIsCountedAsOne) {
  auto answer = FakeRegistrar::success();
  answer.mixnet = true;
  registrar.set_answer(answer);
  shake();
  ASSERT_TRUE(connection_->send(request()));
  ASSERT_TRUE(response());
  expect_sums();
  EXPECT_EQ(metric("lp_registration_success_total{mode=\"mixnet\"}"), 1);
  EXPECT_EQ(metric("lp_registration_mixnet_success"), 1);
}

TEST_F(AnswerTest, TheLargestRequestIsTakenAndOneByteMoreIsNot) {
  constexpr std::size_t overhead = wire::min_packet_size + wire::aead_tag_size;
  shake();
  ASSERT_TRUE(connection_->send(client_->encrypt(Bytes(8192 - overhead, 1))));
  ASSERT_TRUE(response());
  ASSERT_EQ(registrar.seen().size(), 1);
  EXPECT_EQ(registrar.seen()[0].plaintext, Bytes(8192 - overhead, 1));

  auto client = this->client();
  auto connection = shaken(client);
  ASSERT_TRUE(connection.send(client.encrypt(Bytes(8193 - overhead, 1))));
  EXPECT_TRUE(connection.closed_without_a_byte());
  EXPECT_EQ(registrar.seen().size(), 1);
  expect_sums();
}

TEST_F(AnswerTest, AnEmptyRequestIsAnAttempt) {
  registrar.set_answer(FakeRegistrar::failure(RegistrationFailure::malformed_request));
  shake();
  ASSERT_TRUE(connection_->send(client_->encrypt({})));
  EXPECT_TRUE(response());
  expect_sums();
  EXPECT_EQ(registration_failures(RegistrationFailure::malformed_request), 1);
}

TEST_F(AnswerTest, SixteenForeignPacketsBeforeTheRequestAreDropped) {
  shake();
  auto foreign = wire::make_frame({.session_id = client_->machine().lp_id() + 1,
                                   .counter = 2,
                                   .type = wire::MessageType::encrypted_data},
                                  Bytes(64, 0));
  for (int i = 0; i < 16; ++i)
    ASSERT_TRUE(connection_->send(foreign));
  ASSERT_TRUE(connection_->send(request()));
  expect_answered_successfully();
}

TEST_F(AnswerTest, ASeventeenthForeignPacketEndsTheConnection) {
  shake();
  auto foreign = wire::make_frame({.session_id = client_->machine().lp_id() + 1,
                                   .counter = 2,
                                   .type = wire::MessageType::encrypted_data},
                                  Bytes(64, 0));
  for (int i = 0; i < 17; ++i)
    ASSERT_TRUE(connection_->send(foreign));
  expect_closed_without_an_attempt();
}

TEST_F(AnswerTest, AForgedRequestEndsTheConnection) {
  shake();
  auto forged = request();
  forged[forged.size() - wire::trailer_size - 1] ^= 1;
  ASSERT_TRUE(connection_->send(forged));
  expect_closed_without_an_attempt();
}

TEST_F(AnswerTest, AHandshakePacketInsteadOfTheRequestEndsTheConnection) {
  shake();
  ASSERT_TRUE(connection_->send(wire::make_frame({.session_id = client_->machine().lp_id(),
                                                  .counter = 2,
                                                  .type = wire::MessageType::handshake},
                                                 Bytes(64, 0))));
  expect_closed_without_an_attempt();
}

TEST_F(AnswerTest, AClientThatSendsNoRequestIsNoAttempt) {
  shake();
  connection_->shut_down_sending();
  expect_closed_without_an_attempt();
}

TEST_F(AnswerTest, AClientThatIsGoneDoesNotCancelItsRegistration) {
  registrar.set_mode(Mode::when_told);
  shake();
  ASSERT_TRUE(connection_->send(request()));
  registrar.wait_for_attempts(1);
  connection_->close(/*reset=*/true);
  EXPECT_EQ(registrar.answer_all(), 1);
  expect_sums();
  EXPECT_EQ(metric("lp_registration_success_total{mode=\"dvpn\"}"), 1);
  EXPECT_EQ(metric("lp_connections_total{result=\"error\"}"), 1);
}

TEST_F(AnswerTest, AJumpOfTheWallClockChangesNothingOnceTheHelloIsTaken) {
  registrar.set_mode(Mode::when_told);
  shake();
  clock.set(clock.now() + 1'000'000);
  ASSERT_TRUE(connection_->send(request()));
  registrar.wait_for_attempts(1);
  clock.set(0);
  registrar.answer_all();
  expect_answered_successfully();
}

TEST_F(AnswerTest, ManyClientsOfManyThreadsEachGetTheirAnswer) {
  options.threads = 4;
  settings.max_connections_per_address = 0;
  registrar.set_mode(Mode::from_a_thread);
  start();
  constexpr int client_threads = 8;
  constexpr int rounds = 16;
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < client_threads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < rounds; ++round) {
        auto client = this->client();
        auto connection = connect();
        if (!test::shake_hands(connection, client)) continue;
        const auto response =
            test::register_at(connection, client, test::dvpn_request(clock.now()));
        if (response && response->success) ++answered;
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(answered, client_threads * rounds);
  expect_sums();
  EXPECT_EQ(metric("lp_registration_attempts_total"), client_threads * rounds);
}

}  // namespace
}  // namespace lp::gateway::connection
