#include "gateway/wireguard/reconciler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <mutex>

#include "tests/gateway/wireguard/scripted_backend.h"

namespace lp::gateway::wireguard {
namespace {

using test::numbered_key;
using test::numbered_peer;
using testing::UnorderedElementsAre;

/// The three calls that a comparison makes, answered from memory.
class ListingStorage final : public storage::Storage {
 public:
  void accept_ticket(storage::Acceptance, storage::Done<storage::AcceptanceResult>) override {}
  void find_spent(const messages::Nullifier&,
                  storage::Done<std::optional<storage::SpentTicket>>) override {}
  void compensate(const storage::Owner&, const messages::Nullifier&, UnixSeconds,
                  storage::Done<Compensated>) override {}
  void list_peers(storage::PeerPage, storage::Done<std::vector<storage::Peer>> done) override {
    if (broken) {
      return done(std::unexpected(storage::StorageError{.kind = {}, .detail = "scripted"}));
    }
    std::vector<storage::Peer> peers;
    for (const auto number : active) {
      peers.push_back({.client_id = number,
                       .public_key = numbered_key(number),
                       .addresses = numbered_peer(number).addresses,
                       .available = 1'000'000,
                       .credited = 1'000'000,
                       .last_seen = std::nullopt});
    }
    done(peers);
    if (after_listing) after_listing();
  }
  void find_peer(const crypto::X25519Public&,
                 storage::Done<std::optional<storage::Peer>>) override {}
  void record_usage(std::vector<storage::PeerUsage> usage, UnixSeconds,
                    storage::Done<storage::UsageOutcome> done) override {
    done(storage::UsageOutcome{.peers = usage.size()});
  }
  void remove_peer(const crypto::X25519Public&, storage::Done<storage::RemovedPeer>) override {}
  void list_removals(storage::Done<std::vector<crypto::X25519Public>> done) override {
    std::vector<crypto::X25519Public> keys;
    for (const auto number : removals)
      keys.push_back(numbered_key(number));
    done(keys);
  }
  void confirm_removals(std::vector<crypto::X25519Public> keys,
                        storage::Done<std::monostate> done) override {
    for (const auto& key : keys)
      confirmed.push_back(load_be<std::uint32_t>(key.bytes.data()));
    done(std::monostate{});
  }
  void record_session(storage::SessionRecord) override {}
  [[nodiscard]] storage::StorageStats stats() const override { return {}; }
  void shut_down() override {}

  std::vector<std::uint32_t> active;
  std::vector<std::uint32_t> removals;
  std::vector<std::uint32_t> confirmed;
  bool broken = false;
  std::function<void()> after_listing;
};

class ReconcilerTest : public testing::Test {
 protected:
  std::unique_ptr<Reconciler> start(ReconcilerOptions options = {}) {
    return start_reconciler(storage, *controller, leases, clock, std::move(options));
  }
  void present(std::initializer_list<std::uint32_t> numbers) {
    std::map<crypto::X25519Public, PeerConfig> peers;
    for (const auto number : numbers)
      peers.emplace(numbered_key(number), numbered_peer(number));
    script.set_peers(std::move(peers));
  }
  std::vector<std::uint32_t> peers() {
    std::vector<std::uint32_t> numbers;
    for (const auto& [key, peer] : script.peers()) {
      numbers.push_back(load_be<std::uint32_t>(key.bytes.data()));
    }
    return numbers;
  }

  ListingStorage storage;
  test::WireguardScript script;
  std::unique_ptr<Controller> controller =
      make_controller(script.backend(), {.probe_interval = std::chrono::milliseconds(1)});
  Leases leases;
  SystemWallClock clock;
};

TEST_F(ReconcilerTest, PeersLostByARestartedWireguardComeBackAtStart) {
  storage.active = {1, 2, 3};
  present({2});
  auto subject = start();
  EXPECT_THAT(peers(), UnorderedElementsAre(1, 2, 3));
  EXPECT_EQ(subject->last().added, 2U);
  EXPECT_TRUE(subject->last().completed);
}

TEST_F(ReconcilerTest, PeerWithOtherAddressesIsSetRight) {
  storage.active = {1};
  auto stale = numbered_peer(1);
  stale.addresses.ipv4.octets[3] = 99;
  script.set_peers({{numbered_key(1), stale}});
  auto subject = start();
  EXPECT_EQ(script.peers().at(numbered_key(1)).addresses, numbered_peer(1).addresses);
}

TEST_F(ReconcilerTest, NotedRemovalIsCarriedOutAndConfirmed) {
  storage.removals = {7};
  present({7});
  auto subject = start();
  EXPECT_TRUE(peers().empty());
  EXPECT_THAT(storage.confirmed, UnorderedElementsAre(7));
  EXPECT_EQ(subject->last().pending_removals, 0U);
}

TEST_F(ReconcilerTest, RemovalThatWireguardRefusesStaysNoted) {
  storage.removals = {7};
  present({7});
  script.fail_with(WireguardError::Kind::refused);
  auto subject = start();
  EXPECT_TRUE(storage.confirmed.empty());
  EXPECT_EQ(subject->last().pending_removals, 1U);
  EXPECT_FALSE(subject->last().completed);
}

TEST_F(ReconcilerTest, KeyWithARegistrationInFlightIsLeftAlone) {
  storage.active = {1};
  storage.removals = {2};
  present({2});
  auto busy_add =
      leases.try_acquire({.kind = LeaseKey::Kind::wireguard_key, .key = numbered_key(1).bytes});
  auto busy_removal =
      leases.try_acquire({.kind = LeaseKey::Kind::wireguard_key, .key = numbered_key(2).bytes});
  auto subject = start();
  EXPECT_THAT(peers(), UnorderedElementsAre(2));
  EXPECT_TRUE(storage.confirmed.empty());
  busy_add.reset();
  busy_removal.reset();
  subject->compare();
  EXPECT_TRUE(script.peers().contains(numbered_key(1)));
  EXPECT_THAT(storage.confirmed, UnorderedElementsAre(2));
}

TEST_F(ReconcilerTest, PeerCompensatedBetweenListAndLeaseIsNotAdded) {
  storage.active = {1};
  storage.after_listing = [this] { storage.active.clear(); };
  auto subject = start();
  EXPECT_TRUE(peers().empty());
}

TEST_F(ReconcilerTest, PeerWithOtherSettingsIsSetRight) {
  storage.active = {1, 2};
  present({1, 2});
  script.spoil_settings(numbered_key(1));
  auto subject = start();
  EXPECT_EQ(subject->last().added, 1U);
  EXPECT_EQ(subject->compare().comparison.added, 0U);
}

TEST_F(ReconcilerTest, NobodyTakesOverAForeignPeerBySendingItsKey) {
  present({5});
  const auto others = script.peers();
  auto subject = start();
  // What a registration with that key does: add, and when that was refused, remove.
  auto ours = numbered_peer(5);
  ours.addresses.ipv4.octets[3] = 99;
  std::promise<WireguardResult<std::monostate>> added;
  controller->add_new_peer(ours, [&](auto result) { added.set_value(std::move(result)); });
  const auto result = added.get_future().get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, WireguardError::Kind::refused);
  storage.removals = {5};
  subject->compare();
  EXPECT_THAT(storage.confirmed, UnorderedElementsAre(5));
  EXPECT_EQ(script.peers().at(numbered_key(5)).addresses, others.at(numbered_key(5)).addresses);
  // Once it has gone the key is as good as any.
  storage.removals = {};
  present({});
  subject->compare();
  storage.active = {5};
  subject->compare();
  EXPECT_TRUE(script.peers().contains(numbered_key(5)));
}

TEST_F(ReconcilerTest, RemovalIsNotPutOffForEverByRegistrationsWithoutPause) {
  storage.removals = {7};
  present({7});
  auto subject = start({.interval = {.longest = std::chrono::hours(1)}});
  present({7});
  storage.confirmed.clear();
  // Held when the pass begins, given up while it waits.
  const LeaseKey key{.kind = LeaseKey::Kind::wireguard_key, .key = numbered_key(7).bytes};
  auto first = leases.try_acquire(key);
  std::thread releaser([&] { first.reset(); });
  subject->poll();
  releaser.join();
  EXPECT_THAT(storage.confirmed, UnorderedElementsAre(7));
}

TEST_F(ReconcilerTest, UnknownPeersAreRemovedOnlyFromAnInterfaceOfOurOwn) {
  present({5});
  {
    auto subject = start();
    EXPECT_THAT(peers(), UnorderedElementsAre(5));
    EXPECT_EQ(subject->last().unknown, 1U);
  }
  auto owner = start({.own_interface = true});
  EXPECT_TRUE(peers().empty());
}

TEST_F(ReconcilerTest, BrokenDatabaseRemovesNobody) {
  present({5});
  storage.broken = true;
  auto subject = start({.own_interface = true});
  EXPECT_THAT(peers(), UnorderedElementsAre(5));
  EXPECT_FALSE(subject->last().completed);
}

TEST_F(ReconcilerTest, RecoveryOfTheBackendComparesAtOnce) {
  script.fail_with(WireguardError::Kind::unavailable);
  std::promise<void> aligned;
  auto subject =
      start({.interval = {.longest = std::chrono::hours(1)}, .after_each = [&](const Pass&) {
               if (script.peers().contains(numbered_key(1))) aligned.set_value();
             }});
  EXPECT_FALSE(subject->last().completed);
  storage.active = {1};
  script.fail_with(std::nullopt);
  aligned.get_future().wait();
  EXPECT_TRUE(script.peers().contains(numbered_key(1)));
  subject->shut_down();
}

}  // namespace
}  // namespace lp::gateway::wireguard
