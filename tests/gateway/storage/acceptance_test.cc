// Tickets taken: each outcome, what it writes, and what concurrent ones may not do to each other.
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/gateway/storage/storage_test.h"

namespace lp::gateway::storage::test {
namespace {

class AcceptanceTest : public StorageTest {};
INSTANTIATE_TEST_SUITE_P(Databases, AcceptanceTest, both_databases, database_name);

constexpr auto largest_amount = std::numeric_limits<std::int64_t>::max();

TEST_P(AcceptanceTest, NewWireguardClientIsWrittenWhole) {
  const auto request = ticket(wireguard_owner(1), 1);
  const auto result = accept(storage(), request);
  ASSERT_TRUE(result) << result.error().detail;
  EXPECT_EQ(result->outcome, AcceptanceOutcome::accepted);
  EXPECT_EQ(result->amount, ticket_amount);
  EXPECT_FALSE(result->client_existed);
  ASSERT_TRUE(result->addresses);
  EXPECT_EQ(address(*result->addresses), "10.1.0.2 fd00::2");

  auto rows = this->rows();
  const auto id = std::to_string(result->client_id);
  EXPECT_EQ(rows.text("SELECT kind FROM clients WHERE id = " + id), "wireguard");
  EXPECT_EQ(rows.text("SELECT private_ipv4 || ' ' || private_ipv6 || ' ' || ticket_type || ' ' ||"
                      " created_at || ' ' || coalesce(CAST(last_seen AS TEXT), 'never')"
                      " FROM wireguard_peers WHERE id = " +
                      id),
            "10.1.0.2 fd00::2 V1WireguardEntry 1760000000 never");
  EXPECT_EQ(rows.text("SELECT available || ' ' || used || ' ' || credited FROM bandwidth"
                      " WHERE client_id = " +
                      id),
            "500000000 0 500000000");
  EXPECT_EQ(
      rows.text("SELECT expiry || ' ' || spent_at || ' ' || amount || ' ' || mode || ' ' ||"
                " CASE WHEN owner = (SELECT public_key FROM wireguard_peers) THEN 1 ELSE 0 END"
                " FROM spent_credentials WHERE client_id = " +
                id),
      "1760086400 1760000000 500000000 dvpn 1");
}

TEST_P(AcceptanceTest, NewMixnetClientGetsNoAddress) {
  const auto result = accept(storage(), ticket(mixnet_owner(1), 1));
  ASSERT_TRUE(result) << result.error().detail;
  EXPECT_EQ(result->outcome, AcceptanceOutcome::accepted);
  EXPECT_FALSE(result->addresses);
  auto rows = this->rows();
  EXPECT_EQ(rows.text("SELECT kind FROM clients"), "mixnet");
  EXPECT_EQ(rows.count("mixnet_clients"), 1);
  EXPECT_EQ(rows.count("wireguard_peers"), 0);
  EXPECT_EQ(rows.text("SELECT mode FROM spent_credentials"), "mixnet");
}

TEST_P(AcceptanceTest, FurtherTicketKeepsIdAndAddressesAndAddsUp) {
  std::uint64_t nullifier = 0;
  for (const auto& owner : {wireguard_owner(1), mixnet_owner(2)}) {
    const auto first = accept(storage(), ticket(owner, ++nullifier));
    const auto second = accept(storage(), ticket(owner, ++nullifier));
    ASSERT_TRUE(first && second);
    EXPECT_EQ(second->outcome, AcceptanceOutcome::accepted);
    EXPECT_TRUE(second->client_existed);
    EXPECT_EQ(second->client_id, first->client_id);
    EXPECT_EQ(second->addresses, first->addresses);
    EXPECT_EQ(rows().text("SELECT available || ' ' || credited FROM bandwidth WHERE client_id = " +
                          std::to_string(first->client_id)),
              "1000000000 1000000000");
  }
}

TEST_P(AcceptanceTest, RepeatedTicketGetsTheFirstAnswerWithoutASecondCredit) {
  const auto request = ticket(wireguard_owner(1), 1);
  const auto first = accept(storage(), request);
  auto again = request;
  again.amount = 7;  // the amount of then counts
  const auto second = accept(storage(), again);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(second->outcome, AcceptanceOutcome::replayed);
  EXPECT_EQ(second->client_id, first->client_id);
  EXPECT_EQ(second->addresses, first->addresses);
  EXPECT_EQ(second->amount, ticket_amount);
  EXPECT_TRUE(second->client_existed);
  EXPECT_EQ(rows().integer("SELECT credited FROM bandwidth"), ticket_amount);
}

TEST_P(AcceptanceTest, AnotherOwnerDoesNotGetASpentTicket) {
  ASSERT_TRUE(accept(storage(), ticket(wireguard_owner(1), 1)));
  const auto other = accept(storage(), ticket(wireguard_owner(2), 1));
  ASSERT_TRUE(other);
  EXPECT_EQ(other->outcome, AcceptanceOutcome::spent_by_other);
  EXPECT_FALSE(other->addresses);
  EXPECT_EQ(rows().count("clients"), 1);
}

TEST_P(AcceptanceTest, SameBytesInTheOtherKeySpaceAreAnotherOwner) {
  const auto wireguard = accept(storage(), ticket(wireguard_owner(1), 1));
  const auto same_ticket = accept(storage(), ticket(mixnet_owner(1), 1));
  const auto own_ticket = accept(storage(), ticket(mixnet_owner(1), 2));
  ASSERT_TRUE(wireguard && same_ticket && own_ticket);
  EXPECT_EQ(same_ticket->outcome, AcceptanceOutcome::spent_by_other);
  EXPECT_EQ(own_ticket->outcome, AcceptanceOutcome::accepted);
  EXPECT_FALSE(own_ticket->client_existed);
  EXPECT_NE(own_ticket->client_id, wireguard->client_id);
}

TEST_P(AcceptanceTest, RepeatedTicketOfARemovedClientHasNoClient) {
  const auto request = ticket(wireguard_owner(1), 1);
  ASSERT_TRUE(accept(storage(), request));
  rows().delete_clients();
  const auto again = accept(storage(), request);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->outcome, AcceptanceOutcome::replayed);
  EXPECT_EQ(again->client_id, 0);
  EXPECT_FALSE(again->addresses);
  // The owner stays when the client goes.
  EXPECT_EQ(accept(storage(), ticket(wireguard_owner(2), 1))->outcome,
            AcceptanceOutcome::spent_by_other);
}

TEST_P(AcceptanceTest, ExhaustedPoolLeavesTheTicketUnspentAndNothingBehind) {
  Options options;
  options.ipv4_pool = "10.9.0.0/30";  // one address: .2
  open(options);
  ASSERT_TRUE(accept(storage(), ticket(wireguard_owner(1), 1)));
  const auto refused = accept(storage(), ticket(wireguard_owner(2), 2));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->outcome, AcceptanceOutcome::pool_exhausted);
  EXPECT_EQ(refused->client_id, 0);
  auto rows = this->rows();
  EXPECT_EQ(rows.count("clients"), 1);
  EXPECT_EQ(rows.count("bandwidth"), 1);
  EXPECT_EQ(rows.count("spent_credentials"), 1);
  // Who has an address goes on; who needs none, too.
  EXPECT_EQ(accept(storage(), ticket(wireguard_owner(1), 3))->outcome, AcceptanceOutcome::accepted);
  EXPECT_EQ(accept(storage(), ticket(mixnet_owner(2), 2))->outcome, AcceptanceOutcome::accepted);
}

TEST_P(AcceptanceTest, SumOver63BitsIsRefusedAndTheTicketStaysUnspent) {
  for (const auto& owner : {wireguard_owner(1), mixnet_owner(1)}) {
    auto first = ticket(owner, owner.kind == ClientKind::wireguard ? 1 : 11);
    first.amount = largest_amount;
    EXPECT_TRUE(accept(storage(), first));
    auto second = ticket(owner, owner.kind == ClientKind::wireguard ? 2 : 12);
    second.amount = 1;
    const auto refused = accept(storage(), second);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, StorageError::Kind::invalid);
    EXPECT_FALSE(find_spent(storage(), second.nullifier)->has_value());
  }
  EXPECT_EQ(rows().integer("SELECT max(credited) FROM bandwidth"), largest_amount);
  EXPECT_TRUE(storage().stats().healthy);
}

TEST_P(AcceptanceTest, ValuesThatDoNotFitAreRefused) {
  auto negative = ticket(wireguard_owner(1), 1);
  negative.amount = -1;
  auto late = ticket(wireguard_owner(1), 1);
  late.expiry = std::uint64_t{1} << 63U;
  auto later = ticket(wireguard_owner(1), 1);
  later.now = std::numeric_limits<std::uint64_t>::max();
  for (const auto& request : {negative, late, later}) {
    const auto refused = accept(storage(), request);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, StorageError::Kind::invalid);
  }
  EXPECT_EQ(rows().count("spent_credentials"), 0);
}

TEST_P(AcceptanceTest, FurtherTicketCancelsANotedRemoval) {
  const auto owner = wireguard_owner(1);
  ASSERT_TRUE(accept(storage(), ticket(owner, 1)));
  rows().execute("INSERT INTO wireguard_removals SELECT public_key, 1 FROM wireguard_peers",
                 "INSERT INTO wireguard_removals SELECT instance, public_key, 1"
                 " FROM wireguard_peers");
  EXPECT_TRUE(active_peers(storage()).empty());
  ASSERT_TRUE(accept(storage(), ticket(owner, 2)));
  EXPECT_TRUE(removals(storage()).empty());
  EXPECT_EQ(active_peers(storage()).size(), 1U);
}

TEST_P(AcceptanceTest, FindSpentTellsOwnerAmountAndAddresses) {
  const auto dvpn = ticket(wireguard_owner(1), 1);
  const auto mixnet = ticket(mixnet_owner(2), 2);
  const auto accepted = accept(storage(), dvpn);
  const auto mixnet_accepted = accept(storage(), mixnet);
  ASSERT_TRUE(accepted && mixnet_accepted);
  const auto found = find_spent(storage(), dvpn.nullifier);
  ASSERT_TRUE(found && found->has_value());
  EXPECT_EQ((*found)->owner, dvpn.owner);
  EXPECT_EQ((*found)->client_id, accepted->client_id);
  EXPECT_EQ((*found)->amount, ticket_amount);
  EXPECT_EQ((*found)->addresses, accepted->addresses);
  const auto found_mixnet = find_spent(storage(), mixnet.nullifier);
  ASSERT_TRUE(found_mixnet && found_mixnet->has_value());
  EXPECT_EQ((*found_mixnet)->owner, mixnet.owner);
  EXPECT_EQ((*found_mixnet)->client_id, mixnet_accepted->client_id);
  EXPECT_FALSE((*found_mixnet)->addresses);
  const auto unknown = find_spent(storage(), bytes32(99));
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(unknown->has_value());
}

TEST_P(AcceptanceTest, ActivePeersAreThoseWithBandwidthLeft) {
  const auto first = accept(storage(), ticket(wireguard_owner(1), 1));
  const auto second = accept(storage(), ticket(wireguard_owner(2), 2));
  ASSERT_TRUE(accept(storage(), ticket(mixnet_owner(3), 3)));
  ASSERT_TRUE(first && second);
  rows().execute("UPDATE bandwidth SET available = -1, used = credited + 1 WHERE client_id = " +
                 std::to_string(first->client_id));
  const auto peers = active_peers(storage());
  ASSERT_EQ(peers.size(), 1U);
  EXPECT_EQ(peers[0].client_id, second->client_id);
  EXPECT_EQ(peers[0].public_key.bytes, wireguard_owner(2).key);
  EXPECT_EQ(peers[0].addresses, *second->addresses);
  EXPECT_EQ(peers[0].ticket_type, messages::TicketType::v1_wireguard_entry);
  EXPECT_EQ(peers[0].available, ticket_amount);
  EXPECT_EQ(peers[0].used, 0);
  EXPECT_EQ(peers[0].credited, ticket_amount);
  EXPECT_EQ(peers[0].created_at, now);
  EXPECT_FALSE(peers[0].last_seen);
}

TEST_P(AcceptanceTest, OfConcurrentOwnersOfOneNullifierExactlyOneSucceeds) {
  for (std::uint64_t round = 0; round < 10; ++round) {
    std::atomic<int> accepted = 0;
    std::atomic<int> refused = 0;
    std::vector<std::thread> threads;
    threads.reserve(64);
    for (std::uint64_t i = 0; i < 64; ++i) {
      threads.emplace_back([&, i] {
        const auto result = accept(storage(), ticket(wireguard_owner(100 * round + i), round));
        if (!result) return;
        if (result->outcome == AcceptanceOutcome::accepted) ++accepted;
        if (result->outcome == AcceptanceOutcome::spent_by_other) ++refused;
      });
    }
    for (auto& thread : threads)
      thread.join();
    EXPECT_EQ(accepted, 1);
    EXPECT_EQ(refused, 63);
  }
  EXPECT_EQ(rows().count("clients"), 10);
}

TEST_P(AcceptanceTest, ConcurrentTicketsOfOneOwnerMakeOneClientWithTheirSum) {
  std::atomic<int> created = 0;
  std::vector<std::thread> threads;
  threads.reserve(64);
  std::vector<std::string> addresses(64);
  for (std::uint64_t i = 0; i < 64; ++i) {
    threads.emplace_back([&, i] {
      const auto result = accept(storage(), ticket(wireguard_owner(1), i));
      if (!result || result->outcome != AcceptanceOutcome::accepted) return;
      if (!result->client_existed) ++created;
      addresses[i] = address(*result->addresses);
    });
  }
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(created, 1);
  EXPECT_EQ(std::set<std::string>(addresses.begin(), addresses.end()),
            std::set<std::string>{"10.1.0.2 fd00::2"});
  EXPECT_EQ(rows().integer("SELECT credited FROM bandwidth"), 64 * ticket_amount);
  EXPECT_EQ(rows().count("clients"), 1);
}

// On PostgreSQL a function of the schema runs them.
TEST_P(AcceptanceTest, ARegistrationTakesThreeToFiveStatements) {
  const auto statements_of = [&](const Acceptance& request) {
    const auto before = storage().stats();
    const auto result = accept(storage(), request);
    EXPECT_TRUE(result);
    EXPECT_EQ(result->outcome, AcceptanceOutcome::accepted);
    const auto after = storage().stats();
    EXPECT_EQ(after.registrations, before.registrations + 1);
    EXPECT_EQ(after.transactions, before.transactions + 1);
    EXPECT_EQ(after.statements - before.statements,
              after.registration_statements - before.registration_statements);
    return after.registration_statements - before.registration_statements;
  };
  EXPECT_EQ(statements_of(ticket(wireguard_owner(1), 1)), is_postgres() ? 1U : 5U);
  EXPECT_EQ(statements_of(ticket(wireguard_owner(1), 2)), is_postgres() ? 1U : 4U);
  EXPECT_EQ(statements_of(ticket(mixnet_owner(1), 3)), is_postgres() ? 1U : 5U);
  EXPECT_EQ(statements_of(ticket(mixnet_owner(1), 4)), is_postgres() ? 1U : 3U);
}

}  // namespace
}  // namespace lp::gateway::storage::test
