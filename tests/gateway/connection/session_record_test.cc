// lp_sessions: what is recorded of a connection, where it is asked for.
#include "lib/messages/registration_errors.h"
#include "tests/gateway/connection/fixture.h"

namespace lp::gateway::connection {
namespace {

using messages::RegistrationFailure;

class SessionRecordTest : public ServerTest {
 protected:
  SessionRecordTest() { options.record_sessions = true; }

  /// A registration that ends with `answer`, and the status that is recorded.
  [[nodiscard]] std::string status_after(registration::Answer answer) {
    registrar.set_answer(std::move(answer));
    auto client = this->client();
    auto connection = shaken(client);
    EXPECT_TRUE(test::register_at(connection, client, test::dvpn_request(clock.now())));
    wait_until_idle();
    return storage.records().back().status;
  }
};

TEST_F(SessionRecordTest, ASuccessIsRecordedWithWhatIdentifiesIt) {
  start();
  const UnixSeconds started = clock.now();
  auto client = this->client();
  auto connection = shaken(client);
  clock.set(started + 2);
  ASSERT_TRUE(test::register_at(connection, client, test::dvpn_request(started)));
  wait_until_idle();

  const auto records = storage.records();
  ASSERT_EQ(records.size(), 2);
  for (const auto& record : records) {
    EXPECT_EQ(record.lp_id, client.machine().lp_id());
    EXPECT_EQ(record.client_ip, "127.0.0.1");
    EXPECT_EQ(record.started_at, started);
  }
  EXPECT_EQ(records[0].status, "in_progress");
  EXPECT_EQ(records[0].completed_at, std::nullopt);
  EXPECT_EQ(records[1].status, "success");
  EXPECT_EQ(records[1].completed_at, started + 2);
  EXPECT_EQ(records[1].session_id, FakeRegistrar::success().response.session_id);
  EXPECT_EQ(records[1].client_id, FakeRegistrar::success().client_id);
}

TEST_F(SessionRecordTest, EveryEndHasItsStatus) {
  settings.deadlines.request = std::chrono::milliseconds(50);
  start();
  EXPECT_EQ(status_after(FakeRegistrar::failure(RegistrationFailure::credential_already_spent)),
            "credential_rejected");
  EXPECT_EQ(status_after(FakeRegistrar::failure(RegistrationFailure::wireguard_failed)),
            "registration_failed");
  {
    auto connection = connect();
    ASSERT_TRUE(connection.send(client().client_hello()));
    connection.shut_down_sending();
    ASSERT_TRUE(connection.closed_without_a_byte());
    EXPECT_EQ(storage.records().back().status, "handshake_failed");
  }
  {
    auto client = this->client();
    auto connection = shaken(client);
    ASSERT_TRUE(connection.closed_without_a_byte());
    EXPECT_EQ(storage.records().back().status, "timeout");
  }
}

TEST_F(SessionRecordTest, AHelloThatIsRefusedLeavesNoRecord) {
  start();
  auto connection = connect();
  connection.shut_down_sending();
  ASSERT_TRUE(connection.closed_without_a_byte());
  EXPECT_TRUE(storage.records().empty());
}

TEST_F(SessionRecordTest, NothingIsRecordedUnlessAskedFor) {
  options.record_sessions = false;
  start();
  EXPECT_NO_THROW({
    auto client = this->client();
    auto connection = shaken(client);
    EXPECT_TRUE(test::register_at(connection, client, test::dvpn_request(clock.now())));
  });
  wait_until_idle();
  EXPECT_TRUE(storage.records().empty());
}

}  // namespace
}  // namespace lp::gateway::connection
