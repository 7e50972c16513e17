// Metering on a real database and a device whose counters the test moves: what is debited, when,
// and who leaves WireGuard for it.
#include "gateway/wireguard/metering.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <limits>

#include "gateway/storage/sqlite_storage.h"
#include "gateway/wireguard/client_removal.h"
#include "gateway/wireguard/reconciler.h"
#include "tests/gateway/storage/fixture.h"
#include "tests/gateway/wireguard/scripted_backend.h"

namespace lp::gateway::wireguard {
namespace {

using storage::test::Rows;
using storage::test::wait_for;
using test::numbered_key;
using namespace std::chrono_literals;

constexpr UnixSeconds now = storage::test::now;
constexpr std::int64_t ticket_bytes = 1'000'000;

bool long_tests() {
  const char* const value = std::getenv("LP_TEST_LONG");
  return value != nullptr && std::string_view(value) == "1";
}

class FakeWallClock final : public WallClock {
 public:
  [[nodiscard]] UnixSeconds now() const noexcept override { return time.load(); }
  std::atomic<UnixSeconds> time = wireguard::now;
};

class MeteringTest : public testing::Test {
 protected:
  MeteringTest() { open_storage(); }
  ~MeteringTest() override {
    script.release();
    if (reconciler) reconciler->shut_down();
    controller->shut_down();
    storage->shut_down();
    storage::test::expect_invariants(path());
  }

  void open_storage() {
    auto opened = storage::open_sqlite(
        {.path = path(), .ipv4_pool = "10.1.0.0/16", .ipv6_pool = "fd00::/112"});
    ASSERT_TRUE(opened) << opened.error().detail;
    storage = std::move(*opened);
  }
  /// Passes happen when the test asks for them, and on a recovery.
  void start(ReconcilerOptions options = {.interval = {.longest = 1h}}) {
    options.now = [this] { return monotonic; };
    reconciler = start_reconciler(*storage, *controller, leases, clock, std::move(options));
  }

  /// What a registration does: a ticket, then the peer.
  storage::AcceptanceResult register_peer(std::uint32_t number,
                                          std::int64_t amount = ticket_bytes) {
    auto request = storage::test::ticket(
        {storage::ClientKind::wireguard, numbered_key(number).bytes}, ++nullifier_);
    request.amount = amount;
    const auto accepted = storage::test::accept(*storage, request);
    EXPECT_TRUE(accepted) << accepted.error().detail;
    if (!accepted) return {};
    if (!accepted->has_bandwidth) return *accepted;
    PeerConfig peer{.public_key = numbered_key(number),
                    .addresses = *accepted->addresses,
                    .client_id = accepted->client_id};
    std::promise<bool> added;
    auto done = [&](auto result) { added.set_value(result.has_value()); };
    accepted->client_existed ? controller->add_peer(peer, done)
                             : controller->add_new_peer(peer, done);
    EXPECT_TRUE(added.get_future().get());
    return *accepted;
  }

  std::future<storage::StorageResult<ClientRemoval>> remove(std::uint32_t number) {
    auto promise = std::make_shared<std::promise<storage::StorageResult<ClientRemoval>>>();
    auto future = promise->get_future();
    remove_client(*storage, *controller, leases, numbered_key(number),
                  [promise](auto removal) { promise->set_value(std::move(removal)); });
    return future;
  }

  std::optional<storage::Peer> row(std::uint32_t number) {
    return wait_for<std::optional<storage::Peer>>(
               [&](auto done) { storage->find_peer(numbered_key(number), std::move(done)); })
        .value();
  }
  void expect_balance(std::uint32_t number, std::int64_t used, std::int64_t available) {
    const auto peer = row(number);
    ASSERT_TRUE(peer);
    EXPECT_EQ(peer->used, used);
    EXPECT_EQ(peer->available, available);
    EXPECT_EQ(peer->credited, used + available);
  }
  bool in_wireguard(std::uint32_t number) { return script.peers().contains(numbered_key(number)); }
  std::size_t noted() { return storage::test::removals(*storage).size(); }
  std::filesystem::path path() const { return directory.path() / "test.sqlite"; }

  storage::test::TemporaryDirectory directory;
  FakeWallClock clock;
  MonotonicTime monotonic{};
  std::unique_ptr<storage::Storage> storage;
  test::WireguardScript script;
  std::unique_ptr<Controller> controller =
      make_controller(script.backend(), {.deadline = 30s, .probe_interval = 1ms});
  Leases leases;
  std::unique_ptr<Reconciler> reconciler;

 private:
  std::uint64_t nullifier_ = 0;
};

TEST_F(MeteringTest, TrafficIsDebitedOnceHoweverOftenItIsRead) {
  register_peer(1);
  start();
  script.transfer(numbered_key(1), 300, 500, now + 7);
  EXPECT_EQ(reconciler->poll().metered.bytes, 800);
  expect_balance(1, 800, ticket_bytes - 800);
  EXPECT_EQ(row(1)->last_seen, now + 7);
  EXPECT_EQ(row(1)->counters, (storage::TransferCounters{300, 500}));
  EXPECT_EQ(reconciler->poll().metered.bytes, 0);
  EXPECT_EQ(reconciler->compare().metered.bytes, 0);
  script.transfer(numbered_key(1), 0, 50);
  EXPECT_EQ(reconciler->compare().metered.bytes, 50);
  expect_balance(1, 850, ticket_bytes - 850);
  EXPECT_EQ(row(1)->last_seen, now + 7);
}

TEST_F(MeteringTest, TrafficOfTheTimeWithoutAGatewayIsDebitedByTheNextOne) {
  register_peer(1);
  start();
  script.transfer(numbered_key(1), 100, 100);
  reconciler->poll();
  reconciler->shut_down();
  storage->shut_down();
  script.transfer(numbered_key(1), 1'000, 2'000);
  open_storage();
  start();
  expect_balance(1, 3'200, ticket_bytes - 3'200);
}

// The counters are stored with the debit: whatever a crash or a failure loses, it loses both.
TEST_F(MeteringTest, DebitThatWasNotCommittedIsMadeByTheNextPoll) {
  register_peer(1);
  start();
  script.transfer(numbered_key(1), 400, 0);
  {
    Rows rows(path());
    rows.execute(
        "CREATE TRIGGER fail BEFORE UPDATE ON bandwidth BEGIN"
        " SELECT raise(ABORT, 'scripted'); END");
  }
  const auto failed = reconciler->poll();
  EXPECT_EQ(failed.metered.result, Metered::Result::storage_failed);
  EXPECT_EQ(failed.metered.bytes, 0);
  EXPECT_EQ(row(1)->counters, storage::TransferCounters{});
  expect_balance(1, 0, ticket_bytes);
  Rows(path()).execute("DROP TRIGGER fail");
  script.transfer(numbered_key(1), 5, 0);
  EXPECT_EQ(reconciler->poll().metered.bytes, 405);
  expect_balance(1, 405, ticket_bytes - 405);
}

TEST_F(MeteringTest, CountersThatBeganAgainAreNotTakenForNegativeTraffic) {
  register_peer(1);
  start();
  script.transfer(numbered_key(1), 1'000, 9'000);
  reconciler->poll();
  // The device was made anew and somebody restored its peers: smaller in one direction only.
  script.set_peers(script.peers());
  script.transfer(numbered_key(1), 3'000, 10);
  const auto pass = reconciler->poll();
  EXPECT_EQ(pass.metered.resets, 1U);
  EXPECT_EQ(pass.metered.bytes, 3'010);
  expect_balance(1, 13'010, ticket_bytes - 13'010);
}

TEST_F(MeteringTest, PeerThatTheDeviceLostIsCountedFromZero) {
  register_peer(1);
  start();
  script.transfer(numbered_key(1), 1'000, 0);
  reconciler->poll();
  script.set_peers({});
  EXPECT_EQ(reconciler->compare().comparison.added, 1U);
  EXPECT_EQ(row(1)->counters, storage::TransferCounters{});
  // More than before the restart: a comparison of counters alone would not see it.
  script.transfer(numbered_key(1), 5'000, 0);
  reconciler->poll();
  expect_balance(1, 6'000, ticket_bytes - 6'000);
}

TEST_F(MeteringTest, SpentPeerLeavesWithANegativeBalanceAndReturnsWithATicket) {
  const auto first = register_peer(1);
  register_peer(2);
  start();
  script.transfer(numbered_key(1), ticket_bytes, 500);
  script.transfer(numbered_key(2), ticket_bytes - 1, 0);
  const auto pass = reconciler->poll();
  EXPECT_EQ(pass.metered.spent, 1U);
  EXPECT_EQ(pass.comparison.removed, 1U);
  EXPECT_FALSE(in_wireguard(1));
  EXPECT_TRUE(in_wireguard(2));
  EXPECT_EQ(noted(), 0U);
  expect_balance(1, ticket_bytes + 500, -500);
  EXPECT_EQ(reconciler->compare().comparison.added, 0U);
  EXPECT_FALSE(in_wireguard(1));

  const auto second = register_peer(1);
  EXPECT_EQ(second.client_id, first.client_id);
  EXPECT_EQ(second.addresses, first.addresses);
  EXPECT_TRUE(in_wireguard(1));
  expect_balance(1, ticket_bytes + 500, ticket_bytes - 500);
  // The device counts from zero again, and so does the row.
  script.transfer(numbered_key(1), 70, 0);
  reconciler->compare();
  expect_balance(1, ticket_bytes + 570, ticket_bytes - 570);
  EXPECT_TRUE(in_wireguard(1));
}

TEST_F(MeteringTest, TicketThatDoesNotCoverTheDebtBringsNobodyBack) {
  register_peer(1);
  start();
  script.transfer(numbered_key(1), 2 * ticket_bytes + 1, 0);
  reconciler->poll();
  expect_balance(1, 2 * ticket_bytes + 1, -ticket_bytes - 1);
  EXPECT_FALSE(register_peer(1).has_bandwidth);
  expect_balance(1, 2 * ticket_bytes + 1, -1);
  EXPECT_EQ(reconciler->compare().comparison.unknown, 0U);
  EXPECT_FALSE(in_wireguard(1));
  EXPECT_TRUE(register_peer(1).has_bandwidth);
  EXPECT_TRUE(in_wireguard(1));
}

TEST_F(MeteringTest, TrafficBetweenThePollAndTheRemovalIsDebited) {
  register_peer(1);
  start();
  script.transfer(numbered_key(1), ticket_bytes, 0);
  bool once = true;
  script.after_listing([&] {
    if (std::exchange(once, false)) script.transfer(numbered_key(1), 0, 77);
  });
  reconciler->poll();
  EXPECT_FALSE(in_wireguard(1));
  expect_balance(1, ticket_bytes + 77, -77);
}

TEST_F(MeteringTest, PeerThatLostItsBandwidthOtherwiseLeavesAsWell) {
  register_peer(1);
  start();
  Rows(path()).execute("UPDATE bandwidth SET available = 0, used = credited");
  EXPECT_EQ(reconciler->poll().metered.spent, 1U);
  EXPECT_FALSE(in_wireguard(1));
}

TEST_F(MeteringTest, RemovalWaitsWhileTheBackendIsDownAndIsDoneWithItsRecovery) {
  register_peer(1);
  std::promise<void> gone;
  std::atomic<bool> recovering = false;
  start({.interval = {.longest = 1h}, .after_each = [&](const Pass& pass) {
           if (recovering && pass.comparison.pending_removals == 0) {
             recovering = false;
             gone.set_value();
           }
         }});
  script.transfer(numbered_key(1), ticket_bytes, 0);
  // Down from the moment at which the counters have been read.
  script.after_listing([this] { script.fail_with(WireguardError::Kind::unavailable); });
  const auto pass = reconciler->poll();
  EXPECT_EQ(pass.metered.bytes, ticket_bytes);
  EXPECT_EQ(pass.comparison.pending_removals, 1U);
  EXPECT_EQ(noted(), 1U);
  EXPECT_TRUE(in_wireguard(1));
  EXPECT_EQ(reconciler->poll().metered.result, Metered::Result::wireguard_failed);
  EXPECT_EQ(reconciler->last().pending_removals, 1U);

  script.after_listing(nullptr);
  script.transfer(numbered_key(1), 0, 33);
  recovering = true;
  script.fail_with(std::nullopt);
  gone.get_future().wait();
  EXPECT_FALSE(in_wireguard(1));
  EXPECT_EQ(noted(), 0U);
  expect_balance(1, ticket_bytes + 33, -33);
}

TEST_F(MeteringTest, BackendThatHangsDuringAPollCostsNobodyAnything) {
  controller = make_controller(script.backend(), {.deadline = 20ms, .probe_interval = 1ms});
  register_peer(1);
  std::promise<std::int64_t> recovered;
  std::atomic<bool> hung = false;
  start({.interval = {.longest = 1h}, .after_each = [&](const Pass& pass) {
           if (hung.exchange(false) && pass.full) recovered.set_value(pass.metered.bytes);
         }});
  script.transfer(numbered_key(1), 500, 0);
  script.hold();
  EXPECT_EQ(reconciler->poll().metered.result, Metered::Result::wireguard_failed);
  // Registrations go on as far as the database is concerned.
  EXPECT_TRUE(storage::test::accept(*storage,
                                    storage::test::ticket(storage::test::mixnet_owner(9), 1'000)));
  while (controller->healthy())
    std::this_thread::yield();
  hung = true;
  script.release();
  EXPECT_EQ(recovered.get_future().get(), 500);
  expect_balance(1, 500, ticket_bytes - 500);
}

TEST_F(MeteringTest, NewClientDoesNotPayForTheFormerOneWithItsKey) {
  register_peer(1);
  start();
  script.transfer(numbered_key(1), 400, 0);
  reconciler->poll();
  script.transfer(numbered_key(1), 90, 0);
  // Removed while WireGuard does not hear of it, and registered anew.
  storage::test::remove_peer(*storage, {storage::ClientKind::wireguard, numbered_key(1).bytes});
  auto request =
      storage::test::ticket({storage::ClientKind::wireguard, numbered_key(1).bytes}, 500);
  request.amount = ticket_bytes;
  const auto accepted = storage::test::accept(*storage, request);
  ASSERT_TRUE(accepted);
  // A poll between the registration's transaction and its AddPeer.
  EXPECT_EQ(reconciler->poll().metered.bytes, 0);
  expect_balance(1, 0, ticket_bytes);
  std::promise<bool> added;
  controller->add_new_peer({.public_key = numbered_key(1),
                            .addresses = *accepted->addresses,
                            .client_id = accepted->client_id},
                           [&](auto result) { added.set_value(result.has_value()); });
  EXPECT_TRUE(added.get_future().get());
  script.transfer(numbered_key(1), 6, 0);
  reconciler->poll();
  expect_balance(1, 6, ticket_bytes - 6);
}

TEST_F(MeteringTest, ClientRemovedDuringAPollIsNotDebited) {
  register_peer(1);
  register_peer(2);
  start();
  script.transfer(numbered_key(1), 100, 0);
  script.transfer(numbered_key(2), 200, 0);
  bool once = true;
  script.after_listing([&] {
    if (!std::exchange(once, false)) return;
    storage::test::remove_peer(*storage, {storage::ClientKind::wireguard, numbered_key(1).bytes});
  });
  EXPECT_EQ(reconciler->poll().metered.bytes, 200);
  EXPECT_FALSE(row(1));
  EXPECT_FALSE(in_wireguard(1));
  expect_balance(2, 200, ticket_bytes - 200);
}

TEST_F(MeteringTest, DeviceThatCountsNonsenseBreaksNoOtherPeersDebit) {
  register_peer(1);
  register_peer(2);
  start();
  script.transfer(numbered_key(1), std::numeric_limits<std::uint64_t>::max(),
                  std::numeric_limits<std::uint64_t>::max(),
                  std::numeric_limits<std::uint64_t>::max());
  script.transfer(numbered_key(2), 10, 0);
  reconciler->poll();
  expect_balance(2, 10, ticket_bytes - 10);
  const auto nonsense = row(1);
  EXPECT_EQ(nonsense->used, std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(nonsense->last_seen, std::nullopt);
  EXPECT_FALSE(in_wireguard(1));
}

TEST_F(MeteringTest, RemovalByHandWaitsForTheRegistrationOfTheKey) {
  register_peer(1);
  auto registration =
      leases.try_acquire({.kind = LeaseKey::Kind::wireguard_key, .key = numbered_key(1).bytes});
  auto removal = remove(1);
  EXPECT_EQ(removal.wait_for(0s), std::future_status::timeout);
  EXPECT_TRUE(row(1));
  registration.reset();
  const auto result = removal.get();
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->existed);
  EXPECT_TRUE(result->confirmed);
  EXPECT_FALSE(row(1));
  EXPECT_FALSE(in_wireguard(1));
  EXPECT_EQ(noted(), 0U);
  EXPECT_FALSE(remove(1).get()->noted);
}

TEST_F(MeteringTest, RemovalByHandIsAnsweredByABackendThatHangsAndDoneLater) {
  controller = make_controller(script.backend(), {.deadline = 20ms, .probe_interval = 1ms});
  register_peer(1);
  std::promise<void> gone;
  std::atomic<bool> released = false;
  start({.interval = {.longest = 1h}, .after_each = [&](const Pass& pass) {
           if (pass.comparison.pending_removals == 0 && released.exchange(false)) gone.set_value();
         }});
  script.hold();
  const auto result = remove(1).get();
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->existed);
  EXPECT_TRUE(result->noted);
  EXPECT_FALSE(result->confirmed);
  EXPECT_NE(result->wireguard_error, "");
  EXPECT_EQ(noted(), 1U);
  released = true;
  script.release();
  gone.get_future().wait();
  EXPECT_FALSE(in_wireguard(1));
  EXPECT_EQ(noted(), 0U);
}

TEST_F(MeteringTest, RemovalByHandWithoutADatabaseSaysSoAndRemovesNobody) {
  register_peer(1);
  storage->shut_down();
  EXPECT_FALSE(remove(1).get());
  EXPECT_TRUE(in_wireguard(1));
}

TEST_F(MeteringTest, AThousandPeersAreDebitedAndTheSpentOnesLeave) {
  const std::uint32_t count = long_tests() ? 50'000 : 1'000;
  for (std::uint32_t i = 1; i <= count; ++i)
    register_peer(i);
  start();
  for (std::uint32_t i = 1; i <= count; ++i)
    script.transfer(numbered_key(i), i % 2 == 0 ? ticket_bytes : i, i);
  const auto transactions = storage->stats().transactions;
  const auto begun = std::chrono::steady_clock::now();
  const auto pass = reconciler->poll();
  const auto took = std::chrono::steady_clock::now() - begun;
  RecordProperty("poll_ms", std::to_string(took / 1ms));
  EXPECT_EQ(pass.metered.spent, count / 2);
  EXPECT_EQ(pass.comparison.removed, count / 2);
  EXPECT_EQ(script.peers().size(), count / 2);
  // 500 debits in each, and one that confirms.
  EXPECT_EQ(storage->stats().transactions - transactions, count / 500 + 1);
  Rows rows(path());
  EXPECT_EQ(rows.integer("SELECT count(*) FROM bandwidth WHERE used > 0"), count);
  EXPECT_EQ(rows.integer("SELECT count(*) FROM bandwidth WHERE available <= 0"), count / 2);
  EXPECT_EQ(rows.count("wireguard_removals"), 0);
  const auto idle_begun = std::chrono::steady_clock::now();
  EXPECT_EQ(reconciler->poll().metered.bytes, 0);
  const auto idle_took = std::chrono::steady_clock::now() - idle_begun;
  RecordProperty("idle_poll_ms", std::to_string(idle_took / 1ms));
}

TEST_F(MeteringTest, FastPeerIsPolledBeforeItRunsOut) {
  register_peer(1);
  register_peer(2);
  start({.interval = {.shortest = 1s, .longest = 30s}});
  EXPECT_EQ(reconciler->next_poll(), 30s);  // nothing is known of it
  monotonic += 10s;
  script.transfer(numbered_key(1), 100'000, 0);
  reconciler->poll();
  EXPECT_EQ(reconciler->next_poll(), 30s);  // 90 s left at 10 kB/s
  monotonic += 10s;
  script.transfer(numbered_key(1), 500'000, 0);
  reconciler->poll();
  EXPECT_EQ(reconciler->next_poll(), 4s);  // half of 8 s
  monotonic += 4s;
  script.transfer(numbered_key(1), 399'000, 0);
  reconciler->poll();
  EXPECT_EQ(reconciler->next_poll(), 1s);
  monotonic += 1s;
  script.transfer(numbered_key(1), 100'000, 0);
  reconciler->poll();
  EXPECT_FALSE(in_wireguard(1));
  EXPECT_EQ(reconciler->next_poll(), 30s);
}

TEST_F(MeteringTest, PollsFollowWithoutBeingAskedFor) {
  register_peer(1);
  std::promise<void> gone;
  std::atomic<int> passes = 0;
  ReconcilerOptions options{.interval = {.shortest = 1ms, .longest = 2ms},
                            .after_each = [&](const Pass& pass) {
                              ++passes;
                              if (pass.metered.spent == 1) gone.set_value();
                            }};
  reconciler = start_reconciler(*storage, *controller, leases, clock, std::move(options));
  script.transfer(numbered_key(1), ticket_bytes, 0);
  gone.get_future().wait();
  EXPECT_FALSE(in_wireguard(1));
  EXPECT_GE(passes, 2);
}

}  // namespace
}  // namespace lp::gateway::wireguard
