// Tickets given back after WireGuard refused the peer: what goes, and what must stay.
#include <gtest/gtest.h>

#include <string>

#include "tests/gateway/storage/storage_test.h"

namespace lp::gateway::storage::test {
namespace {

class CompensationTest : public StorageTest {
 protected:
  bool undo(const Acceptance& acceptance) {
    const auto result = compensate(storage(), acceptance);
    EXPECT_TRUE(result) << result.error().detail;
    return result && result->removal_noted;
  }
  std::string bandwidth() {
    return rows().text("SELECT available || ' ' || used || ' ' || credited FROM bandwidth");
  }
};

INSTANTIATE_TEST_SUITE_P(Databases, CompensationTest, both_databases, database_name);

TEST_P(CompensationTest, LastTicketTakesTheClientAlongAndNotesTheRemoval) {
  const auto request = ticket(wireguard_owner(1), 1);
  ASSERT_TRUE(accept(storage(), request));
  EXPECT_TRUE(undo(request));
  auto rows = this->rows();
  for (const char* table : {"clients", "wireguard_peers", "bandwidth", "spent_credentials"}) {
    EXPECT_EQ(rows.count(table), 0) << table;
  }
  const auto noted = removals(storage());
  ASSERT_EQ(noted.size(), 1U);
  EXPECT_EQ(noted[0].bytes, request.owner.key);
  EXPECT_TRUE(active_peers(storage()).empty());
  EXPECT_EQ(rows.text("SELECT min(address) || ' ' || max(address) FROM released_addresses"),
            "10.1.0.2 fd00::2");
}

TEST_P(CompensationTest, TicketIsGoodAgainForAnybody) {
  const auto request = ticket(wireguard_owner(1), 1);
  ASSERT_TRUE(accept(storage(), request));
  undo(request);
  EXPECT_FALSE(find_spent(storage(), request.nullifier)->has_value());
  const auto other = accept(storage(), ticket(wireguard_owner(2), 1));
  ASSERT_TRUE(other);
  EXPECT_EQ(other->outcome, AcceptanceOutcome::accepted);
}

TEST_P(CompensationTest, AnotherTicketKeepsThePeer) {
  const auto first = ticket(wireguard_owner(1), 1);
  const auto second = ticket(wireguard_owner(1), 2);
  const auto accepted = accept(storage(), first);
  ASSERT_TRUE(accepted && accept(storage(), second));
  EXPECT_FALSE(undo(first));
  EXPECT_TRUE(removals(storage()).empty());
  EXPECT_EQ(bandwidth(), "500000000 0 500000000");
  const auto peers = active_peers(storage());
  ASSERT_EQ(peers.size(), 1U);
  EXPECT_EQ(peers[0].addresses, *accepted->addresses);
  EXPECT_FALSE(find_spent(storage(), first.nullifier)->has_value());
  EXPECT_TRUE(find_spent(storage(), second.nullifier)->has_value());
}

TEST_P(CompensationTest, CreditOfTicketsCleanedUpSinceKeepsThePeer) {
  ASSERT_TRUE(accept(storage(), ticket(wireguard_owner(1), 1)));
  rows().execute("DELETE FROM spent_credentials");  // as a clean-up after their time does
  const auto second = ticket(wireguard_owner(1), 2);
  ASSERT_TRUE(accept(storage(), second));
  EXPECT_FALSE(undo(second));
  EXPECT_EQ(bandwidth(), "500000000 0 500000000");
  EXPECT_EQ(active_peers(storage()).size(), 1U);
}

TEST_P(CompensationTest, TicketWithoutAmountOfAnotherRequestKeepsThePeer) {
  auto worthless = ticket(wireguard_owner(1), 1);
  worthless.amount = 0;
  const auto second = ticket(wireguard_owner(1), 2);
  ASSERT_TRUE(accept(storage(), worthless) && accept(storage(), second));
  undo(second);
  EXPECT_EQ(rows().count("wireguard_peers"), 1);
}

TEST_P(CompensationTest, TwiceChangesNothingMore) {
  const auto first = ticket(wireguard_owner(1), 1);
  const auto second = ticket(wireguard_owner(1), 2);
  ASSERT_TRUE(accept(storage(), first) && accept(storage(), second));
  EXPECT_FALSE(undo(second));
  EXPECT_FALSE(undo(second));
  EXPECT_EQ(bandwidth(), "500000000 0 500000000");
  EXPECT_TRUE(undo(first));
  EXPECT_FALSE(undo(first));
}

TEST_P(CompensationTest, TicketOfAnotherOwnerStays) {
  ASSERT_TRUE(accept(storage(), ticket(wireguard_owner(1), 1)));
  EXPECT_FALSE(undo(ticket(wireguard_owner(2), 1)));
  EXPECT_FALSE(undo(ticket(mixnet_owner(1), 1)));
  EXPECT_EQ(bandwidth(), "500000000 0 500000000");
  EXPECT_EQ(rows().count("spent_credentials"), 1);
}

TEST_P(CompensationTest, PeerLeftWithoutBandwidthMustLeaveWireguard) {
  const auto first = ticket(wireguard_owner(1), 1);
  const auto second = ticket(wireguard_owner(1), 2);
  ASSERT_TRUE(accept(storage(), first));
  rows().execute("UPDATE bandwidth SET used = credited + 5, available = -5");
  ASSERT_TRUE(accept(storage(), second));
  EXPECT_TRUE(undo(second));
  EXPECT_EQ(bandwidth(), "-5 500000005 500000000");
  EXPECT_EQ(removals(storage()).size(), 1U);
  EXPECT_EQ(rows().count("wireguard_peers"), 1);
}

TEST_P(CompensationTest, MixnetClientLeavesNoRemoval) {
  const auto request = ticket(mixnet_owner(1), 1);
  ASSERT_TRUE(accept(storage(), request));
  EXPECT_FALSE(undo(request));
  EXPECT_TRUE(removals(storage()).empty());
  EXPECT_EQ(rows().count("clients"), 0);
  EXPECT_EQ(rows().count("mixnet_clients"), 0);
}

TEST_P(CompensationTest, TicketOfAClientRemovedSinceIsGivenBack) {
  const auto request = ticket(wireguard_owner(1), 1);
  ASSERT_TRUE(accept(storage(), request));
  rows().delete_clients();
  EXPECT_FALSE(undo(request));
  EXPECT_FALSE(find_spent(storage(), request.nullifier)->has_value());
}

TEST_P(CompensationTest, KeyThatRegistersAgainIsNoLongerToBeRemoved) {
  const auto request = ticket(wireguard_owner(1), 1);
  ASSERT_TRUE(accept(storage(), request));
  ASSERT_TRUE(undo(request));
  const auto again = accept(storage(), request);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->outcome, AcceptanceOutcome::accepted);
  EXPECT_TRUE(removals(storage()).empty());
  EXPECT_EQ(active_peers(storage()).size(), 1U);
}

TEST_P(CompensationTest, ConfirmedRemovalsAreForgottenAndNoOthers) {
  for (std::uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(accept(storage(), ticket(wireguard_owner(i), i)));
    ASSERT_TRUE(undo(ticket(wireguard_owner(i), i)));
  }
  ASSERT_EQ(removals(storage()).size(), 3U);
  const auto confirmed = wait_for<std::monostate>([&](auto done) {
    storage().confirm_removals({{bytes32(1)}, {bytes32(3)}, {bytes32(77)}}, std::move(done));
  });
  ASSERT_TRUE(confirmed);
  const auto left = removals(storage());
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].bytes, bytes32(2));
}

TEST_P(CompensationTest, ReleasedAddressIsReusedLastAndOldestFirstAcrossRestarts) {
  Options options;
  options.ipv4_pool = "10.9.0.0/29";  // .2 to .6
  options.ipv6_pool = "fd00:9::/120";
  open(options);
  const auto take = [&](std::uint64_t seed) {
    const auto result = accept(storage(), ticket(wireguard_owner(seed), seed));
    EXPECT_TRUE(result);
    return result && result->addresses ? address(*result->addresses) : std::string("none");
  };
  const auto release = [&](std::uint64_t seed) { undo(ticket(wireguard_owner(seed), seed)); };
  for (std::uint64_t seed = 2; seed <= 4; ++seed)
    take(seed);
  release(3);
  release(2);
  EXPECT_EQ(take(5), "10.9.0.5 fd00:9::5");  // never used comes before released
  open(options);
  release(4);
  EXPECT_EQ(take(6), "10.9.0.6 fd00:9::6");
  EXPECT_EQ(take(7), "10.9.0.3 fd00:9::7");  // the larger pool has never used ones left
  open(options);
  EXPECT_EQ(take(8), "10.9.0.2 fd00:9::8");
  EXPECT_EQ(take(9), "10.9.0.4 fd00:9::9");
  EXPECT_EQ(take(10), "none");
  release(8);
  EXPECT_EQ(take(10), "10.9.0.2 fd00:9::a");
}

TEST_P(CompensationTest, AddressFreedByAnotherProgramIsFoundWhenThePoolIsEmpty) {
  Options options;
  options.ipv4_pool = "10.9.0.0/30";
  open(options);
  ASSERT_TRUE(accept(storage(), ticket(wireguard_owner(1), 1)));
  EXPECT_EQ(accept(storage(), ticket(wireguard_owner(2), 2))->outcome,
            AcceptanceOutcome::pool_exhausted);
  rows().delete_clients();
  const auto result = accept(storage(), ticket(wireguard_owner(2), 2));
  ASSERT_TRUE(result && result->addresses);
  EXPECT_EQ(address(*result->addresses), "10.9.0.2 fd00::3");
}

TEST_P(CompensationTest, AddressTakenByAnotherProgramIsSteppedOver) {
  rows().execute(
      "INSERT INTO clients (id, kind) VALUES (50, 'wireguard');"
      "INSERT INTO wireguard_peers (id, public_key, ticket_type, private_ipv4, private_ipv6,"
      " created_at) VALUES (50, randomblob(32), 'V1WireguardEntry', '10.1.0.2', 'fd00::2', 1);"
      "INSERT INTO bandwidth VALUES (50, 0, 0, 0, 1)",
      "INSERT INTO clients (id, kind) VALUES (50, 'wireguard');"
      "INSERT INTO wireguard_peers (id, instance, public_key, ticket_type, private_ipv4,"
      " private_ipv6, created_at) VALUES (50, 'a', decode(repeat('5a', 32), 'hex'),"
      " 'V1WireguardEntry', '10.1.0.2', 'fd00::2', 1);"
      "INSERT INTO bandwidth VALUES (50, 0, 0, 0, 1)");
  const auto result = accept(storage(), ticket(wireguard_owner(1), 1));
  ASSERT_TRUE(result && result->addresses);
  EXPECT_EQ(address(*result->addresses), "10.1.0.3 fd00::3");
}

}  // namespace
}  // namespace lp::gateway::storage::test
