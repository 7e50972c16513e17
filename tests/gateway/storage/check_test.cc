// The invariants' queries find what they are for, each alone.
#include "gateway/storage/check.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <string>

#include "gateway/storage/postgres_check.h"
#include "tests/gateway/storage/storage_test.h"

namespace lp::gateway::storage::test {
namespace {

struct Damage {
  const char* invariant;
  const char* sql;
};

class CheckTest : public ::testing::TestWithParam<Damage> {};

void fill(const std::filesystem::path& path) {
  const auto storage = open_database(path, {});
  ASSERT_TRUE(storage) << storage.error().detail;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(accept(**storage, ticket(wireguard_owner(i), 2 * i)));
    ASSERT_TRUE(accept(**storage, ticket(wireguard_owner(i), 2 * i + 1)));
    ASSERT_TRUE(accept(**storage, ticket(mixnet_owner(i), 100 + i)));
  }
  (*storage)->record_session(
      {.lp_id = 1, .client_ip = "192.0.2.1", .status = "success", .client_id = 1});
}

TEST_P(CheckTest, DamageIsNamed) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "test.sqlite";
  fill(path);
  ASSERT_FALSE(HasFatalFailure());
  Rows rows(path);
  const auto clean = check_invariants(rows.handle(), now);
  ASSERT_TRUE(clean) << clean.error().detail;
  EXPECT_TRUE(clean->empty());
  rows.execute("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON");
  rows.execute(GetParam().sql);
  const auto found = check_invariants(rows.handle(), now);
  ASSERT_TRUE(found) << found.error().detail;
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().invariant, GetParam().invariant);
  EXPECT_FALSE(found->front().detail.empty());
}

// Client 1 is the first WireGuard client, client 2 the first mixnet client.
INSTANTIATE_TEST_SUITE_P(
    Damages, CheckTest,
    ::testing::Values(
        Damage{"balance", "UPDATE bandwidth SET available = available + 1 WHERE client_id = 1"},
        Damage{"credit_covers_tickets",
               "UPDATE bandwidth SET credited = credited - 1, available = available - 1"
               " WHERE client_id = 1"},
        Damage{"ipv4_unique",
               "CREATE TABLE copy AS SELECT * FROM wireguard_peers; DROP TABLE wireguard_peers;"
               "ALTER TABLE copy RENAME TO wireguard_peers;"
               "UPDATE wireguard_peers SET private_ipv4 = '10.1.0.2' WHERE id = 3"},
        Damage{"ipv6_unique",
               "CREATE TABLE copy AS SELECT * FROM wireguard_peers; DROP TABLE wireguard_peers;"
               "ALTER TABLE copy RENAME TO wireguard_peers;"
               "UPDATE wireguard_peers SET private_ipv6 = 'fd00::2' WHERE id = 3"},
        Damage{"released_address_is_free",
               "INSERT INTO released_addresses (address, released_at) VALUES ('fd00::2', 1)"},
        Damage{"wireguard_client_has_peer",
               "UPDATE spent_credentials SET client_id = NULL WHERE client_id = 1;"
               "DELETE FROM wireguard_peers WHERE id = 1"},
        Damage{"mixnet_client_has_key",
               "UPDATE spent_credentials SET client_id = NULL WHERE client_id = 2;"
               "DELETE FROM mixnet_clients WHERE id = 2"},
        Damage{"peer_has_client",
               "INSERT INTO wireguard_peers (id, public_key, ticket_type, private_ipv4,"
               " private_ipv6, created_at)"
               " VALUES (99, randomblob(32), 'V1WireguardEntry', '10.1.9.9', 'fd00::99', 1)"},
        Damage{"mixnet_key_has_client",
               "INSERT INTO mixnet_clients (id, client_key, ticket_type, created_at)"
               " VALUES (99, randomblob(32), 'V1MixnetEntry', 1)"},
        Damage{"client_has_bandwidth", "DELETE FROM bandwidth WHERE client_id = 1"},
        Damage{"bandwidth_has_client", "INSERT INTO bandwidth VALUES (99, 0, 0, 0, 1)"},
        Damage{"ticket_belongs_to_its_owner",
               "UPDATE spent_credentials SET owner = randomblob(32) WHERE rowid = 1"},
        Damage{"session_has_client", "UPDATE lp_sessions SET client_id = 99"}),
    [](const auto& info) { return std::string(info.param.invariant); });

class PostgresCheckTest : public ::testing::TestWithParam<Damage> {};

TEST_P(PostgresCheckTest, DamageIsNamed) {
  if (!lp::test::PostgresServer::installed()) {
    GTEST_SKIP() << lp::test::PostgresServer::not_installed;
  }
  const auto url = new_postgres_database();
  fill(url);
  ASSERT_FALSE(HasFatalFailure());
  Rows rows(url);
  const auto clean = check_invariants(rows.postgres(), now);
  ASSERT_TRUE(clean) << clean.error().detail;
  EXPECT_TRUE(clean->empty());
  rows.execute("SET session_replication_role = replica");  // neither triggers nor foreign keys
  rows.execute(GetParam().sql);
  const auto found = check_invariants(rows.postgres(), now);
  ASSERT_TRUE(found) << found.error().detail;
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().invariant, GetParam().invariant);
  EXPECT_FALSE(found->front().detail.empty());
}

// Client ids depend on how the calls were batched: these are of some client of the kind.
#define LP_SOME_PEER "(SELECT min(id) FROM wireguard_peers)"
#define LP_SOME_KEY "decode(repeat('5a', 32), 'hex')"
INSTANTIATE_TEST_SUITE_P(
    Damages, PostgresCheckTest,
    ::testing::Values(
        Damage{"balance",
               "ALTER TABLE bandwidth DROP CONSTRAINT bandwidth_check;"
               "UPDATE bandwidth SET available = available + 1 WHERE client_id = " LP_SOME_PEER},
        Damage{"credit_covers_tickets",
               "UPDATE bandwidth SET credited = credited - 1, available = available - 1"
               " WHERE client_id = " LP_SOME_PEER},
        Damage{"ipv4_unique",
               "ALTER TABLE wireguard_peers"
               "  DROP CONSTRAINT wireguard_peers_instance_private_ipv4_key;"
               "UPDATE wireguard_peers SET private_ipv4 = '10.1.0.2'"
               " WHERE private_ipv4 = '10.1.0.3'"},
        Damage{"ipv6_unique",
               "ALTER TABLE wireguard_peers"
               "  DROP CONSTRAINT wireguard_peers_instance_private_ipv6_key;"
               "UPDATE wireguard_peers SET private_ipv6 = 'fd00::2'"
               " WHERE private_ipv6 = 'fd00::3'"},
        Damage{"released_address_is_free",
               "INSERT INTO released_addresses (instance, address, released_at)"
               " VALUES ('a', 'fd00::2', 1)"},
        Damage{"peer_has_instance",
               "UPDATE wireguard_peers SET instance = 'b' WHERE id = " LP_SOME_PEER},
        Damage{"wireguard_client_has_peer",
               "UPDATE spent_credentials SET client_id = NULL WHERE client_id = " LP_SOME_PEER
               ";DELETE FROM wireguard_peers WHERE id = " LP_SOME_PEER},
        Damage{"mixnet_client_has_key",
               "UPDATE spent_credentials SET client_id = NULL"
               " WHERE client_id = (SELECT min(id) FROM mixnet_clients);"
               "DELETE FROM mixnet_clients WHERE id = (SELECT min(id) FROM mixnet_clients)"},
        Damage{"peer_has_client",
               "INSERT INTO wireguard_peers (id, instance, public_key, ticket_type, private_ipv4,"
               " private_ipv6, created_at) VALUES (99, 'a', " LP_SOME_KEY
               ", 'V1WireguardEntry', '10.1.9.9', 'fd00::99', 1)"},
        Damage{"mixnet_key_has_client",
               "INSERT INTO mixnet_clients (id, client_key, ticket_type, created_at)"
               " VALUES (99, " LP_SOME_KEY ", 'V1MixnetEntry', 1)"},
        Damage{"client_has_bandwidth", "DELETE FROM bandwidth WHERE client_id = " LP_SOME_PEER},
        Damage{"bandwidth_has_client", "INSERT INTO bandwidth VALUES (99, 0, 0, 0, 1)"},
        Damage{"ticket_belongs_to_its_owner",
               "UPDATE spent_credentials SET owner = " LP_SOME_KEY
               " WHERE nullifier = (SELECT min(nullifier::text)::bytea FROM spent_credentials)"},
        Damage{"session_has_client", "UPDATE lp_sessions SET client_id = 99"}),
    [](const auto& info) { return std::string(info.param.invariant); });
#undef LP_SOME_PEER
#undef LP_SOME_KEY

TEST(CheckInvariantsTest, TicketOfNobodyIsNamed) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "test.sqlite";
  fill(path);
  Rows rows(path);
  rows.execute("UPDATE spent_credentials SET client_id = 99 WHERE rowid = 1");
  const auto found = check_invariants(rows.handle(), now);
  ASSERT_TRUE(found);
  // It has no client, and so none that could be its owner.
  ASSERT_EQ(found->size(), 2U);
  EXPECT_EQ(found->front().invariant, "ticket_has_client");
}

TEST(CheckInvariantsTest, ExpiredTicketsNeedNoCreditAnyMore) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "test.sqlite";
  fill(path);
  Rows rows(path);
  rows.execute("UPDATE bandwidth SET credited = 0, available = 0");
  EXPECT_FALSE(check_invariants(rows.handle(), expiry - 1)->empty());
  EXPECT_TRUE(check_invariants(rows.handle(), expiry)->empty());
}

TEST(CheckInvariantsTest, DatabaseThatIsNoneIsAnError) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "empty.sqlite";
  fill(path);
  Rows rows(path);
  rows.execute("DROP TABLE bandwidth");
  EXPECT_FALSE(check_invariants(rows.handle(), now));
}

TEST(CheckInvariantsTest, SchemaItselfRefusesAnUnevenBalance) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "test.sqlite";
  fill(path);
  Rows rows(path);
  EXPECT_NONFATAL_FAILURE(rows.execute("UPDATE bandwidth SET available = available + 1"),
                          "CHECK constraint failed");
}

}  // namespace
}  // namespace lp::gateway::storage::test
