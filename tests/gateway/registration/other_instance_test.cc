// A client whose peer is at another instance on the same database: it is told of that one, and this
// one's WireGuard is left alone. What the database says is decided by the test.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>
#include <utility>

#include "gateway/metrics/metrics.h"
#include "gateway/registration/registrar.h"
#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "tests/gateway/wireguard/scripted_backend.h"

namespace lp::gateway::registration {
namespace {

using messages::RegistrationFailure;

const storage::ServingInstance other{.name = "b",
                                     .wireguard_public_key = test::numbered_key(77),
                                     .announced_host = "2001:db8::77",
                                     .announced_port = 7'777};
const storage::AddressPair addresses{.ipv4 = {{10, 1, 0, 5}}, .ipv6 = {{0xfd, 5}}};

/// Answers as the test says; only registrations are asked for.
class AnsweringStorage final : public storage::Storage {
 public:
  storage::StorageResult<storage::AcceptanceResult> acceptance;
  std::optional<storage::SpentTicket> spent;
  int compensations = 0;

  void accept_ticket(storage::Acceptance, storage::Done<storage::AcceptanceResult> done) override {
    done(acceptance);
  }
  void find_spent(const messages::Nullifier&,
                  storage::Done<std::optional<storage::SpentTicket>> done) override {
    done(spent);
  }
  void compensate(const storage::Owner&, const messages::Nullifier&, UnixSeconds,
                  storage::Done<Compensated> done) override {
    ++compensations;
    done(Compensated{});
  }
  void list_peers(storage::PeerPage, storage::Done<std::vector<storage::Peer>> done) override {
    done(std::vector<storage::Peer>{});
  }
  void find_peer(const crypto::X25519Public&,
                 storage::Done<std::optional<storage::Peer>> done) override {
    done(std::nullopt);
  }
  void record_usage(std::vector<storage::PeerUsage>, UnixSeconds,
                    storage::Done<storage::UsageOutcome> done) override {
    done(storage::UsageOutcome{});
  }
  void remove_peer(const crypto::X25519Public&, storage::Done<storage::RemovedPeer> done) override {
    done(storage::RemovedPeer{});
  }
  void list_removals(storage::Done<std::vector<crypto::X25519Public>> done) override {
    done(std::vector<crypto::X25519Public>{});
  }
  void confirm_removals(std::vector<crypto::X25519Public>,
                        storage::Done<std::monostate> done) override {
    done(std::monostate{});
  }
  void record_session(storage::SessionRecord) override {}
  [[nodiscard]] storage::StorageStats stats() const override { return {}; }
  void shut_down() override {}
};

class OtherInstance : public testing::Test {
 protected:
  OtherInstance() {
    EXPECT_TRUE(crypto::initialise());
    storage_.acceptance = storage::AcceptanceResult{.client_id = 9,
                                                    .addresses = addresses,
                                                    .amount = 1'000,
                                                    .client_existed = true,
                                                    .served_by = other};
    RegistrarOptions options;
    options.wireguard_public_key = test::numbered_key(1);
    options.announced_address = messages::IpV4{{192, 0, 2, 1}};
    registrar_ =
        make_registrar(options, *verifier_, storage_, *wireguard_, leases_, clock_, metrics_);
  }
  ~OtherInstance() override { wireguard_->shut_down(); }

  Answer answer() {
    messages::RegistrationRequest request;
    request.wg_public_key = to_base64(test::numbered_key(2).bytes);
    request.credential.signature = Bytes(48, 0x55);
    request.credential.expiry = clock_.now() + 86'400;
    request.ticket_type = messages::TicketType::v1_wireguard_entry;
    request.mode = messages::Dvpn{};
    request.client_ip = messages::IpV4{{203, 0, 113, 7}};
    request.timestamp = clock_.now();
    std::promise<Answer> promise;
    registrar_->submit({.plaintext = messages::encode(request),
                        .local_address = messages::IpV4{{192, 0, 2, 9}},
                        .peer = messages::IpV4{{203, 0, 113, 7}}},
                       [&](Answer got) { promise.set_value(std::move(got)); });
    return promise.get_future().get();
  }

  void expect_sent_there(const Answer& got, std::int64_t amount) {
    ASSERT_TRUE(got.response.success) << got.response.error.value_or("");
    ASSERT_TRUE(got.response.gateway_data);
    const auto& data = *got.response.gateway_data;
    EXPECT_EQ(data.public_key, other.wireguard_public_key);
    EXPECT_EQ(messages::to_string(data.endpoint), "[2001:db8::77]:7777");
    EXPECT_EQ(data.private_ipv4, addresses.ipv4);
    EXPECT_EQ(data.private_ipv6, addresses.ipv6);
    EXPECT_EQ(got.response.allocated_bandwidth, amount);
    EXPECT_EQ(got.client_id, 9);
    EXPECT_EQ(script_.calls(), 0U);
    EXPECT_EQ(storage_.compensations, 0);
  }

  AnsweringStorage storage_;
  SystemWallClock clock_;
  metrics::Metrics metrics_;
  std::unique_ptr<ecash::Verifier> verifier_ = ecash::make_mock_verifier();
  test::WireguardScript script_;
  std::unique_ptr<wireguard::Controller> wireguard_ =
      wireguard::make_controller(script_.backend(), {.probe_interval = std::chrono::hours(1)});
  wireguard::Leases leases_;
  std::unique_ptr<Registrar> registrar_;
};

TEST_F(OtherInstance, ItsClientWithANewTicketIsAddedToThisWireguardOrToldOfIt) {
  expect_sent_there(answer(), 1'000);
  EXPECT_THAT(metrics_.text(), testing::HasSubstr("lp_bandwidth_allocated_bytes_total 1000\n"));
}

TEST_F(OtherInstance, ItsClientsRetryIsAnsweredWithThisEndpoint) {
  storage_.acceptance->outcome = storage::AcceptanceOutcome::replayed;
  expect_sent_there(answer(), 1'000);
  EXPECT_THAT(metrics_.text(), testing::HasSubstr("lp_bandwidth_allocated_bytes_total 0\n"));
}

TEST_F(OtherInstance, ItsClientsRetryWhileThisWireguardIsDownIsAnsweredWithThisEndpoint) {
  script_.fail_with(wireguard::WireguardError::Kind::unavailable);
  std::promise<void> failed;
  wireguard_->list_peers([&](auto) { failed.set_value(); });
  failed.get_future().wait();
  while (wireguard_->healthy())  // the answer comes first
    std::this_thread::yield();
  const auto calls = script_.calls();
  storage_.spent = storage::SpentTicket{
      .owner = {.kind = storage::ClientKind::wireguard, .key = test::numbered_key(2).bytes},
      .client_id = 9,
      .amount = 500,
      .addresses = addresses,
      .served_by = other};
  const auto got = answer();
  ASSERT_TRUE(got.response.success && got.response.gateway_data);
  EXPECT_EQ(got.response.gateway_data->public_key, other.wireguard_public_key);
  EXPECT_EQ(messages::to_string(got.response.gateway_data->endpoint), "[2001:db8::77]:7777");
  EXPECT_EQ(script_.calls(), calls);
}

TEST_F(OtherInstance, AnAddressThatIsNoneReachesAClient) {
  storage_.acceptance->served_by->announced_host = "gateway.example";
  const auto got = answer();
  EXPECT_EQ(got.failure, RegistrationFailure::storage_failed);
  EXPECT_FALSE(got.response.gateway_data);
  EXPECT_EQ(script_.calls(), 0U);
}

TEST_F(OtherInstance, ThisOnesClientIsSentElsewhere) {
  storage_.acceptance->served_by.reset();
  const auto got = answer();
  ASSERT_TRUE(got.response.success && got.response.gateway_data);
  EXPECT_EQ(got.response.gateway_data->public_key, test::numbered_key(1));
  EXPECT_EQ(messages::to_string(got.response.gateway_data->endpoint), "192.0.2.1:51822");
  EXPECT_EQ(script_.peers().size(), 1U);
}

}  // namespace
}  // namespace lp::gateway::registration
