// Registrations on a real database and a WireGuard backend whose answers the test decides.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <limits>

#include "gateway/metrics/metrics.h"
#include "gateway/registration/registrar.h"
#include "gateway/storage/sqlite_storage.h"
#include "gateway/wireguard/reconciler.h"
#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "tests/gateway/wireguard/scripted_backend.h"
#include "tests/support/process.h"

namespace lp::gateway::registration {
namespace {

using messages::RegistrationFailure;
using testing::HasSubstr;
using Kind = wireguard::WireguardError::Kind;

constexpr UnixSeconds start_time = 1'763'000'000;

class FakeWallClock final : public WallClock {
 public:
  [[nodiscard]] UnixSeconds now() const noexcept override { return time.load(); }
  std::atomic<UnixSeconds> time = start_time;
};

/// Answers as the test says, at once.
class ScriptedVerifier final : public ecash::Verifier {
 public:
  void verify(ecash::Ticket, UnixSeconds, ecash::VerifyDone done) override {
    if (failure) return done(std::unexpected(*failure));
    done(verified);
  }
  [[nodiscard]] bool is_mock() const override { return false; }
  [[nodiscard]] std::string not_ready_reason() const override { return {}; }

  ecash::Verified verified{.amount = 500'000'000, .expired = false};
  std::optional<RegistrationFailure> failure;
};

messages::RegistrationRequest dvpn(std::uint32_t key, std::uint8_t nullifier) {
  messages::RegistrationRequest request;
  request.wg_public_key = to_base64(test::numbered_key(key).bytes);
  request.credential.nullifier.fill(nullifier);
  request.credential.signature = Bytes(48, 0x55);
  request.credential.bandwidth_amount = 500'000'000;
  request.credential.expiry = start_time + 86'400;
  request.ticket_type = messages::TicketType::v1_wireguard_entry;
  request.mode = messages::Dvpn{};
  request.client_ip = messages::IpV4{{203, 0, 113, 7}};
  request.timestamp = start_time;
  return request;
}

messages::RegistrationRequest mixnet(std::uint8_t client, std::uint8_t nullifier) {
  auto request = dvpn(1, nullifier);
  messages::Mixnet mode;
  mode.client_id.fill(client);
  request.mode = mode;
  request.ticket_type = messages::TicketType::v1_mixnet_entry;
  return request;
}

class RegistrationTest : public testing::Test {
 protected:
  RegistrationTest() {
    EXPECT_TRUE(crypto::initialise());
    open_storage();
  }
  ~RegistrationTest() override {
    script.release();
    wireguard->shut_down();
    storage->shut_down();
  }

  void open_storage(const std::string& ipv4_pool = "10.1.0.0/16") {
    if (storage) storage->shut_down();
    auto opened =
        storage::open_sqlite({.path = dir / ("gateway" + std::to_string(++opened_) + ".sqlite"),
                              .ipv4_pool = ipv4_pool,
                              .ipv6_pool = "fd00::/112"});
    ASSERT_TRUE(opened) << opened.error().detail;
    storage = std::move(*opened);
    RegistrarOptions options;
    options.wireguard_public_key = test::numbered_key(1'000'000);
    options.announced_port = 51822;
    registrar = make_registrar(options, verifier, *storage, *wireguard, leases, clock, metrics);
  }

  std::future<Answer> submit(const messages::RegistrationRequest& request,
                             MonotonicTime deadline = MonotonicTime::max()) {
    return submit_bytes(messages::encode(request), deadline);
  }
  std::future<Answer> submit_bytes(const Bytes& plaintext,
                                   MonotonicTime deadline = MonotonicTime::max()) {
    auto promise = std::make_shared<std::promise<Answer>>();
    auto future = promise->get_future();
    registrar->submit({.plaintext = plaintext,
                       .local_address = messages::IpV4{{192, 0, 2, 1}},
                       .peer = messages::IpV4{{203, 0, 113, 7}},
                       .timestamp_tolerance_secs = 30,
                       .deadline = deadline},
                      [promise](Answer answer) { promise->set_value(std::move(answer)); });
    return future;
  }
  Answer answer(const messages::RegistrationRequest& request) { return submit(request).get(); }
  std::optional<RegistrationFailure> failure(const messages::RegistrationRequest& request) {
    const auto got = answer(request);
    EXPECT_EQ(got.response.success, !got.failure.has_value());
    if (got.failure) {
      EXPECT_EQ(got.response.error, std::string(messages::sentence(*got.failure)));
      EXPECT_FALSE(got.response.gateway_data);
      EXPECT_EQ(got.response.allocated_bandwidth, 0);
    }
    return got.failure;
  }
  void wait_until_idle() {
    while (registrar->in_flight() != 0)
      std::this_thread::yield();
  }

  std::vector<storage::Peer> active_peers() {
    std::promise<std::vector<storage::Peer>> promise;
    storage->list_peers({}, [&](auto peers) { promise.set_value(peers.value()); });
    auto peers = promise.get_future().get();
    std::erase_if(peers, [](const auto& peer) { return !peer.belongs_into_wireguard(); });
    return peers;
  }
  std::size_t noted_removals() {
    std::promise<std::size_t> promise;
    storage->list_removals([&](auto keys) { promise.set_value(keys.value().size()); });
    return promise.get_future().get();
  }
  bool is_spent(std::uint8_t nullifier) {
    messages::Nullifier bytes;
    bytes.fill(nullifier);
    std::promise<bool> promise;
    storage->find_spent(bytes, [&](auto found) { promise.set_value(found.value().has_value()); });
    return promise.get_future().get();
  }
  void expect_untouched() {
    EXPECT_TRUE(active_peers().empty());
    EXPECT_EQ(script.calls(), 0U);
    EXPECT_FALSE(is_spent(1));
  }

  test::TempDir dir;
  int opened_ = 0;
  FakeWallClock clock;
  metrics::Metrics metrics;
  ScriptedVerifier verifier;
  test::WireguardScript script;
  std::unique_ptr<wireguard::Controller> wireguard = wireguard::make_controller(
      script.backend(),
      {.deadline = std::chrono::seconds(30), .probe_interval = std::chrono::milliseconds(1)});
  wireguard::Leases leases;
  std::unique_ptr<storage::Storage> storage;
  std::unique_ptr<Registrar> registrar;
};

TEST_F(RegistrationTest, DvpnAnswerCarriesWhatTheTunnelNeeds) {
  const auto got = answer(dvpn(7, 1));
  ASSERT_TRUE(got.response.success);
  ASSERT_TRUE(got.response.gateway_data);
  const auto& data = *got.response.gateway_data;
  EXPECT_EQ(data.public_key, test::numbered_key(1'000'000));
  EXPECT_EQ(messages::to_string(data.endpoint), "192.0.2.1:51822");
  EXPECT_EQ(got.response.allocated_bandwidth, 500'000'000);
  const auto peers = script.peers();
  ASSERT_EQ(peers.size(), 1U);
  EXPECT_EQ(peers.begin()->second.addresses.ipv4, data.private_ipv4);
  EXPECT_EQ(peers.begin()->second.addresses.ipv6, data.private_ipv6);
  EXPECT_THAT(metrics.text(), HasSubstr("lp_bandwidth_allocated_bytes_total 500000000"));
}

TEST_F(RegistrationTest, MixnetAnswerCarriesNoGatewayDataAndTouchesNoWireguard) {
  const auto got = answer(mixnet(9, 1));
  EXPECT_TRUE(got.response.success);
  EXPECT_TRUE(got.mixnet);
  EXPECT_FALSE(got.response.gateway_data);
  EXPECT_EQ(got.response.allocated_bandwidth, 500'000'000);
  EXPECT_EQ(script.calls(), 0U);
}

TEST_F(RegistrationTest, RefusedRequestLeavesDatabaseAndWireguardUntouched) {
  auto request = dvpn(7, 1);
  request.timestamp = start_time - 31;
  EXPECT_EQ(failure(request), RegistrationFailure::invalid_timestamp);
  request.timestamp = start_time + 31;
  EXPECT_EQ(failure(request), RegistrationFailure::invalid_timestamp);
  request.timestamp = std::numeric_limits<UnixSeconds>::max();
  EXPECT_EQ(failure(request), RegistrationFailure::invalid_timestamp);

  request = dvpn(7, 1);
  request.credential.expiry = std::uint64_t{1} << 63U;
  EXPECT_EQ(failure(request), RegistrationFailure::malformed_request);

  request = dvpn(7, 1);
  request.ticket_type = messages::TicketType::v1_mixnet_exit;
  EXPECT_EQ(failure(request), RegistrationFailure::ticket_type_mismatch);
  request = mixnet(9, 1);
  request.ticket_type = messages::TicketType::v1_wireguard_exit;
  EXPECT_EQ(failure(request), RegistrationFailure::ticket_type_mismatch);

  auto plaintext = messages::encode(dvpn(7, 1));
  plaintext.push_back(0);
  EXPECT_EQ(submit_bytes(plaintext).get().failure, RegistrationFailure::malformed_request);
  expect_untouched();
}

TEST_F(RegistrationTest, WireguardKeyThatCannotBeAPeerIsRefused) {
  const std::vector<std::string> bad_keys{
      "", "not base64", to_base64(ByteArray<32>{}), to_base64(ByteArray<31>{}),
      to_base64(test::numbered_key(1'000'000).bytes),
      // Order 8; and a second spelling of a good key, with unused bits set.
      "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=",
      "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ="};
  for (const auto& key : bad_keys) {
    auto request = dvpn(7, 1);
    request.wg_public_key = key;
    EXPECT_EQ(failure(request), RegistrationFailure::invalid_wireguard_key) << key;
  }
  expect_untouched();
}

TEST_F(RegistrationTest, RefusedCredentialIsCountedByItsReasonAndWritesNothing) {
  verifier.failure = RegistrationFailure::bad_signature;
  EXPECT_EQ(failure(dvpn(7, 1)), RegistrationFailure::bad_signature);
  expect_untouched();
  EXPECT_THAT(metrics.text(),
              HasSubstr("lp_credential_verification_failed{reason=\"bad_signature\"} 1"));
}

TEST_F(RegistrationTest, RetryAfterALostAnswerGetsTheSameAndNoSecondCredit) {
  const auto first = answer(dvpn(7, 1));
  const auto retry = answer(dvpn(7, 1));
  ASSERT_TRUE(retry.response.success);
  EXPECT_EQ(retry.response.gateway_data, first.response.gateway_data);
  EXPECT_EQ(retry.response.allocated_bandwidth, first.response.allocated_bandwidth);
  ASSERT_EQ(active_peers().size(), 1U);
  EXPECT_EQ(active_peers()[0].credited, 500'000'000);
  EXPECT_THAT(metrics.text(), HasSubstr("lp_bandwidth_allocated_bytes_total 500000000"));
}

TEST_F(RegistrationTest, RetryAfterTheExpiryIsStillAnsweredButANewTicketIsNot) {
  const auto first = answer(dvpn(7, 1));
  verifier.verified.expired = true;
  const auto retry = answer(dvpn(7, 1));
  ASSERT_TRUE(retry.response.success);
  EXPECT_EQ(retry.response.gateway_data, first.response.gateway_data);
  EXPECT_EQ(failure(dvpn(8, 1)), RegistrationFailure::credential_already_spent);
  EXPECT_EQ(failure(dvpn(7, 2)), RegistrationFailure::credential_expired);
}

TEST_F(RegistrationTest, TicketOfAnotherOwnerIsSpent) {
  EXPECT_FALSE(failure(dvpn(7, 1)));
  EXPECT_EQ(failure(dvpn(8, 1)), RegistrationFailure::credential_already_spent);
  EXPECT_EQ(failure(mixnet(9, 1)), RegistrationFailure::credential_already_spent);
  EXPECT_THAT(
      metrics.text(),
      HasSubstr("lp_credential_verification_failed{reason=\"credential_already_spent\"} 2"));
}

TEST_F(RegistrationTest, MixnetClientIdIsNotAWireguardKey) {
  auto wireguard_request = dvpn(7, 1);
  auto mixnet_request = mixnet(9, 1);
  std::get<messages::Mixnet>(mixnet_request.mode).client_id = test::numbered_key(7).bytes;
  EXPECT_FALSE(failure(wireguard_request));
  EXPECT_EQ(failure(mixnet_request), RegistrationFailure::credential_already_spent);
}

TEST_F(RegistrationTest, FurtherTicketAddsToTheBalanceAndKeepsTheAddresses) {
  const auto first = answer(dvpn(7, 1));
  const auto second = answer(dvpn(7, 2));
  EXPECT_EQ(second.response.gateway_data, first.response.gateway_data);
  EXPECT_EQ(second.response.allocated_bandwidth, 500'000'000);
  ASSERT_EQ(active_peers().size(), 1U);
  EXPECT_EQ(active_peers()[0].credited, 1'000'000'000);
}

TEST_F(RegistrationTest, PeerThatWireguardRefusesCostsNoTicket) {
  script.fail_add_with(Kind::refused);
  EXPECT_EQ(failure(dvpn(7, 1)), RegistrationFailure::wireguard_failed);
  wait_until_idle();
  EXPECT_TRUE(active_peers().empty());
  EXPECT_FALSE(is_spent(1));
  EXPECT_EQ(noted_removals(), 0U);
  EXPECT_THAT(metrics.text(), HasSubstr("lp_bandwidth_allocated_bytes_total 0"));
  script.fail_add_with(std::nullopt);
  EXPECT_FALSE(failure(dvpn(7, 1)));
  EXPECT_TRUE(script.peers().contains(test::numbered_key(7)));
}

TEST_F(RegistrationTest, FailureOnALivePeersKeyChangesNothing) {
  const auto first = answer(dvpn(7, 1));
  script.fail_add_with(Kind::refused);
  EXPECT_EQ(failure(dvpn(7, 2)), RegistrationFailure::wireguard_failed);
  wait_until_idle();
  EXPECT_TRUE(script.peers().contains(test::numbered_key(7)));
  ASSERT_EQ(active_peers().size(), 1U);
  EXPECT_EQ(active_peers()[0].credited, 500'000'000);
  EXPECT_EQ(active_peers()[0].addresses.ipv4, first.response.gateway_data->private_ipv4);
  EXPECT_FALSE(is_spent(2));
  EXPECT_EQ(noted_removals(), 0U);
}

TEST_F(RegistrationTest, DuplicateInFlightWaitsForTheFirstOnesOutcome) {
  script.hold();
  auto first = submit(dvpn(7, 1));
  script.wait_for_calls(1);
  auto same_owner = submit(dvpn(7, 1));
  auto other_owner = submit(dvpn(8, 1));
  EXPECT_EQ(same_owner.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  EXPECT_EQ(other_owner.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  script.release();
  EXPECT_TRUE(first.get().response.success);
  EXPECT_TRUE(same_owner.get().response.success);
  EXPECT_EQ(other_owner.get().failure, RegistrationFailure::credential_already_spent);
}

TEST_F(RegistrationTest, DuplicateInFlightGetsTheTicketThatTheFirstCouldNotUse) {
  script.hold();
  script.fail_add_with(Kind::refused);
  auto first = submit(dvpn(7, 1));
  script.wait_for_calls(1);
  auto other_owner = submit(dvpn(8, 1));
  script.release();
  EXPECT_EQ(first.get().failure, RegistrationFailure::wireguard_failed);
  // The other one reaches WireGuard too, so it was not told that the ticket is spent.
  EXPECT_EQ(other_owner.get().failure, RegistrationFailure::wireguard_failed);
}

TEST_F(RegistrationTest, BackendThatIsDownRefusesNewTicketsUnspentButAnswersRetries) {
  const auto first = answer(dvpn(7, 1));
  script.fail_with(Kind::unavailable);
  EXPECT_EQ(failure(dvpn(8, 2)), RegistrationFailure::wireguard_failed);
  wait_until_idle();
  while (wireguard->healthy())
    std::this_thread::yield();
  EXPECT_EQ(failure(dvpn(9, 3)), RegistrationFailure::wireguard_failed);
  EXPECT_FALSE(is_spent(2));
  EXPECT_FALSE(is_spent(3));
  const auto retry = answer(dvpn(7, 1));
  EXPECT_EQ(retry.response.gateway_data, first.response.gateway_data);
  EXPECT_FALSE(failure(mixnet(4, 4)));
}

TEST_F(RegistrationTest, RemovalThatCouldNotBeCarriedOutStaysNotedAndANewTicketLiftsIt) {
  script.fail_with(Kind::refused);
  EXPECT_EQ(failure(dvpn(7, 1)), RegistrationFailure::wireguard_failed);
  wait_until_idle();
  EXPECT_EQ(noted_removals(), 1U);
  script.fail_with(std::nullopt);
  EXPECT_FALSE(failure(dvpn(7, 1)));
  EXPECT_EQ(noted_removals(), 0U);
  auto reconciler =
      wireguard::start_reconciler(*storage, *wireguard, leases, clock, {.own_interface = true});
  EXPECT_TRUE(script.peers().contains(test::numbered_key(7)));
  reconciler->shut_down();
}

TEST_F(RegistrationTest, TicketOfARemovedClientIsSpentForItAndForOthers) {
  const auto first = answer(dvpn(7, 1));
  std::promise<bool> removed;
  storage->remove_peer(test::numbered_key(7),
                       [&](auto result) { removed.set_value(result.value().existed); });
  ASSERT_TRUE(removed.get_future().get());
  EXPECT_EQ(failure(dvpn(7, 1)), RegistrationFailure::credential_already_spent);
  EXPECT_EQ(failure(dvpn(8, 1)), RegistrationFailure::credential_already_spent);
  const auto anew = answer(dvpn(7, 2));
  ASSERT_TRUE(anew.response.success);
  EXPECT_NE(anew.client_id, first.client_id);
  EXPECT_EQ(script.peers().at(test::numbered_key(7)).addresses.ipv4,
            anew.response.gateway_data->private_ipv4);
}

TEST_F(RegistrationTest, TicketThatDoesNotCoverADebtIsCreditedAndBringsNobodyBack) {
  const auto first = answer(dvpn(7, 1));
  auto reconciler = wireguard::start_reconciler(*storage, *wireguard, leases, clock);
  script.transfer(test::numbered_key(7), 1'100'000'000, 0);
  reconciler->poll();
  EXPECT_TRUE(script.peers().empty());
  const auto second = answer(dvpn(7, 2));
  EXPECT_TRUE(second.response.success);
  EXPECT_EQ(second.response.gateway_data, first.response.gateway_data);
  EXPECT_EQ(second.response.allocated_bandwidth, 500'000'000);
  EXPECT_TRUE(script.peers().empty());
  EXPECT_TRUE(answer(dvpn(7, 3)).response.success);
  EXPECT_TRUE(script.peers().contains(test::numbered_key(7)));
  ASSERT_EQ(active_peers().size(), 1U);
  EXPECT_EQ(active_peers()[0].available, 400'000'000);
  reconciler->shut_down();
}

TEST_F(RegistrationTest, SpentPeerWhoseNewTicketFailsIsReadBeforeItLeaves) {
  EXPECT_FALSE(failure(dvpn(7, 1)));
  auto reconciler = wireguard::start_reconciler(*storage, *wireguard, leases, clock);
  script.transfer(test::numbered_key(7), 500'000'000, 0);
  // Found spent, and not removed, for the backend goes down; then a ticket that fails.
  script.after_listing([this] { script.fail_with(Kind::refused); });
  reconciler->poll();
  EXPECT_EQ(noted_removals(), 1U);
  script.after_listing(nullptr);
  script.transfer(test::numbered_key(7), 0, 44);
  EXPECT_EQ(failure(dvpn(7, 2)), RegistrationFailure::wireguard_failed);
  wait_until_idle();
  EXPECT_EQ(noted_removals(), 1U);
  script.fail_with(std::nullopt);
  EXPECT_EQ(reconciler->poll().metered.bytes, 44);
  EXPECT_TRUE(script.peers().empty());
  EXPECT_EQ(noted_removals(), 0U);
  reconciler->shut_down();
}

TEST_F(RegistrationTest, AttemptWhoseTimeIsOverSpendsNothing) {
  auto late = submit(dvpn(7, 1), std::chrono::steady_clock::now() - std::chrono::seconds(1));
  EXPECT_EQ(late.get().failure, RegistrationFailure::processing_timeout);
  wait_until_idle();
  expect_untouched();
}

TEST_F(RegistrationTest, ExhaustedPoolHasAnErrorOfItsOwnAndSpendsNothing) {
  open_storage("10.1.0.0/30");  // one address: .2
  EXPECT_FALSE(failure(dvpn(7, 1)));
  EXPECT_EQ(failure(dvpn(8, 2)), RegistrationFailure::address_pool_exhausted);
  EXPECT_FALSE(is_spent(2));
  EXPECT_FALSE(failure(dvpn(7, 3)));
  EXPECT_FALSE(failure(mixnet(4, 4)));
}

TEST_F(RegistrationTest, StorageThatHasShutDownIsSaidSo) {
  storage->shut_down();
  EXPECT_EQ(failure(dvpn(7, 1)), RegistrationFailure::shutting_down);
  EXPECT_EQ(script.calls(), 0U);
}

TEST_F(RegistrationTest, EveryAnswerHasASessionIdOfItsOwn) {
  const auto a = answer(dvpn(7, 1)).response.session_id;
  const auto b = answer(dvpn(7, 1)).response.session_id;
  const auto c = answer(dvpn(7, 1)).response.session_id;
  EXPECT_FALSE(a == b && b == c);
}

}  // namespace
}  // namespace lp::gateway::registration
