// Metering and removal of peers, as far as the database has a part in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/gateway/storage/storage_test.h"

namespace lp::gateway::storage::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr auto most = std::numeric_limits<std::int64_t>::max();

class UsageTest : public StorageTest {
 protected:
  ClientRowId registered(std::uint64_t owner, std::uint64_t nullifier) {
    const auto accepted = accept(storage(), ticket(wireguard_owner(owner), nullifier));
    EXPECT_TRUE(accepted);
    return accepted->client_id;
  }
  static PeerUsage usage(ClientRowId id, TransferCounters before, TransferCounters after) {
    return {.client_id = id,
            .before = before,
            .after = after,
            .bytes = after.rx - before.rx + after.tx - before.tx,
            .last_seen = std::nullopt};
  }
  Peer peer(std::uint64_t owner) {
    const auto found = wait_for<std::optional<Peer>>(
        [&](auto done) { storage().find_peer({wireguard_owner(owner).key}, std::move(done)); });
    EXPECT_TRUE(found && *found);
    return found.value().value_or(Peer());
  }
};

INSTANTIATE_TEST_SUITE_P(Databases, UsageTest, both_databases, database_name);

TEST_P(UsageTest, DebitIsMadeTwice) {
  const auto id = registered(1, 1);
  const auto reading = usage(id, {}, {100, 200});
  EXPECT_EQ(record_usage(storage(), {reading}).bytes, 300);
  const auto again = record_usage(storage(), {reading, usage(id, {100, 200}, {101, 200})});
  EXPECT_EQ(again.skipped, 1U);
  EXPECT_EQ(again.bytes, 1);
  EXPECT_EQ(peer(1).used, 301);
  EXPECT_EQ(peer(1).available, ticket_amount - 301);
}

TEST_P(UsageTest, DebitIsOfAFormerClient) {
  const auto id = registered(1, 1);
  remove_peer(storage(), wireguard_owner(1));
  EXPECT_NE(registered(1, 2), id);
  EXPECT_EQ(record_usage(storage(), {usage(id, {}, {100, 200})}).skipped, 1U);
  EXPECT_EQ(peer(1).used, 0);
}

TEST_P(UsageTest, OneOfManyThatFailsLeavesSomeDebited) {
  const auto first = registered(1, 1);
  const auto second = registered(2, 2);
  rows().sabotage("UPDATE", "bandwidth", "OLD.client_id = " + std::to_string(second));
  const auto failed = wait_for<UsageOutcome>([&](auto done) {
    storage().record_usage({usage(first, {}, {1, 1}), usage(second, {}, {1, 1})}, now,
                           std::move(done));
  });
  EXPECT_FALSE(failed);
  EXPECT_EQ(peer(1).used, 0);
  EXPECT_EQ(peer(1).counters, TransferCounters{});
  rows().mend("bandwidth");
}

TEST_P(UsageTest, SumsOverflow) {
  const auto id = registered(1, 1);
  record_usage(storage(), {usage(id, {}, {10, 0})});
  PeerUsage much{.client_id = id,
                 .before = {10, 0},
                 .after = {most, most},
                 .bytes = most,
                 .last_seen = std::nullopt};
  EXPECT_EQ(record_usage(storage(), {much}).spent, 1U);
  EXPECT_EQ(peer(1).used, most);
  EXPECT_EQ(peer(1).available, ticket_amount - most);
}

TEST_P(UsageTest, NegativeNumbersAreTaken) {
  const auto id = registered(1, 1);
  PeerUsage negative = usage(id, {}, {1, 1});
  negative.bytes = -1;
  const auto refused = wait_for<UsageOutcome>(
      [&](auto done) { storage().record_usage({negative}, now, std::move(done)); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, StorageError::Kind::invalid);
}

TEST_P(UsageTest, LastSeenGoesBack) {
  const auto id = registered(1, 1);
  auto reading = usage(id, {}, {1, 0});
  reading.last_seen = now + 50;
  record_usage(storage(), {reading});
  reading = usage(id, {1, 0}, {2, 0});
  record_usage(storage(), {reading});
  EXPECT_EQ(peer(1).last_seen, now + 50);
  reading = usage(id, {2, 0}, {3, 0});
  reading.last_seen = now + 20;
  record_usage(storage(), {reading});
  EXPECT_EQ(peer(1).last_seen, now + 50);
}

TEST_P(UsageTest, SpentPeerIsNotNotedOrANewTicketDoesNotLiftIt) {
  const auto id = registered(1, 1);
  EXPECT_EQ(record_usage(storage(), {usage(id, {}, {ticket_amount, 0})}).spent, 1U);
  EXPECT_THAT(removals(storage()), ElementsAre(crypto::X25519Public{wireguard_owner(1).key}));
  EXPECT_THAT(active_peers(storage()), IsEmpty());
  // Noted once.
  EXPECT_EQ(record_usage(storage(), {usage(id, {ticket_amount, 0}, {ticket_amount, 1})}).spent, 0U);
  EXPECT_EQ(peer(1).available, -1);
  registered(1, 2);
  EXPECT_THAT(removals(storage()), IsEmpty());
  EXPECT_EQ(active_peers(storage()).size(), 1U);
}

TEST_P(UsageTest, ConfirmedRemovalLeavesCountersOfADeviceThatCountsAnew) {
  const auto id = registered(1, 1);
  record_usage(storage(), {usage(id, {}, {ticket_amount, 5})});
  confirm_removals(storage(), removals(storage()));
  EXPECT_EQ(peer(1).counters, TransferCounters{});
  EXPECT_EQ(peer(1).used, ticket_amount + 5);
}

TEST_P(UsageTest, RemovedClientLeavesItsTicketsSpendable) {
  const auto id = registered(1, 1);
  const auto addresses = peer(1).addresses;
  EXPECT_TRUE(remove_peer(storage(), wireguard_owner(1)).existed);
  EXPECT_EQ(rows().count("clients"), 0);
  EXPECT_EQ(rows().count("bandwidth"), 0);
  EXPECT_EQ(rows().count("released_addresses"), 2);
  // The owner stays: nobody else can use it, and the owner is told that it is spent.
  const auto other = accept(storage(), ticket(wireguard_owner(2), 1));
  EXPECT_EQ(other->outcome, AcceptanceOutcome::spent_by_other);
  const auto own = accept(storage(), ticket(wireguard_owner(1), 1));
  EXPECT_EQ(own->outcome, AcceptanceOutcome::replayed);
  EXPECT_EQ(own->client_id, 0);
  // A new ticket is a new client.
  EXPECT_NE(registered(1, 3), id);
  EXPECT_EQ(peer(1).credited, ticket_amount);
  EXPECT_NE(peer(1).addresses, addresses);  // free for the shortest time, so the last to be reused
  EXPECT_THAT(removals(storage()), IsEmpty());
}

TEST_P(UsageTest, RemovalOfNobodyNotesSomebody) {
  const auto removed = remove_peer(storage(), wireguard_owner(1));
  EXPECT_FALSE(removed.existed);
  EXPECT_FALSE(removed.removal_noted);
  EXPECT_THAT(removals(storage()), IsEmpty());
}

TEST_P(UsageTest, PagesRepeatOrLeaveOutAPeer) {
  std::vector<ClientRowId> ids;
  for (std::uint64_t i = 1; i <= 7; ++i)
    ids.push_back(registered(i, i));
  std::vector<ClientRowId> listed;
  for (ClientRowId after = 0;;) {
    const auto page = wait_for<std::vector<Peer>>(
        [&](auto done) { storage().list_peers({.after = after, .limit = 3}, std::move(done)); });
    ASSERT_TRUE(page);
    ASSERT_LE(page->size(), 3U);
    if (page->empty()) break;
    for (const auto& peer : *page)
      listed.push_back(peer.client_id);
    after = listed.back();
  }
  EXPECT_EQ(listed, ids);
}

}  // namespace
}  // namespace lp::gateway::storage::test
