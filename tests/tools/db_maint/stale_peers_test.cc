// Which peers are stale, and that an address is free only once WireGuard has its peer no longer.
#include <gmock/gmock.h>

#include <future>
#include <thread>

#include "tests/tools/db_maint/fixture.h"

namespace lp::db_maint::test {
namespace {

using ::testing::HasSubstr;

class StalePeersAlone : public EveryDatabase {};
INSTANTIATE_TEST_SUITE_P(On, StalePeersAlone, ::testing::Values(Kind::sqlite, Kind::postgres),
                         kind_name);

/// Peer `owner`, created and last seen so many days ago; never seen where that is negative.
void add_peer(const Database& database, std::uint64_t owner, int created_days, int seen_days,
              int ticket_days) {
  database.accept(owner, owner, now + day, now - created_days * day);
  const std::string key = "(SELECT max(id) FROM clients)";
  auto rows = database.rows();
  if (seen_days >= 0) {
    rows.execute("UPDATE wireguard_peers SET last_seen = " +
                 std::to_string(now - seen_days * day - 1) + " WHERE id = " + key);
  }
  rows.execute("UPDATE spent_credentials SET spent_at = " +
               std::to_string(now - ticket_days * day - 1) + " WHERE client_id = " + key);
}

/// Six peers, of which 1, 3 and 4 are stale, and a mixnet client's worth of nothing else.
void fill(const Database& database) {
  add_peer(database, 1, 30, 7, 30);   // seen 7 days and a second ago
  add_peer(database, 2, 30, 6, 30);   // seen since
  add_peer(database, 3, 10, -1, 10);  // never seen, and created long ago
  add_peer(database, 4, 30, 20, 8);
  add_peer(database, 5, 2, -1, 2);   // never seen, but new
  add_peer(database, 6, 30, 20, 1);  // not seen, but it has paid since
}

/// What the gateway does with noted removals.
class Gateway {
 public:
  explicit Gateway(const Database& database) : storage_(database.open()) {}

  [[nodiscard]] std::vector<crypto::X25519Public> noted() {
    using Keys = std::vector<crypto::X25519Public>;
    std::promise<Keys> promise;
    storage_->list_removals([&](auto keys) { promise.set_value(keys.value_or(Keys{})); });
    return promise.get_future().get();
  }
  void confirm(std::vector<crypto::X25519Public> keys) {
    std::promise<bool> promise;
    storage_->confirm_removals(std::move(keys),
                               [&](auto done) { promise.set_value(done.has_value()); });
    EXPECT_TRUE(promise.get_future().get());
  }
  [[nodiscard]] gateway::storage::Storage& storage() { return *storage_; }

 private:
  std::unique_ptr<gateway::storage::Storage> storage_;
};

TEST_P(StalePeersAlone, AreThoseNotSeenAndNotPaidForSince) {
  fill(database);
  filled();
  const auto listed = maintain({"stale-peers", "--format", "csv"});
  EXPECT_EQ(listed.ended.code, 0) << listed.error_output;
  EXPECT_THAT(listed.output, HasSubstr("client_id,public_key,private_ipv4"));
  for (const char* line : {"\r\n1,", "\r\n3,", "\r\n4,"})
    EXPECT_THAT(listed.output, HasSubstr(line));
  EXPECT_EQ(number(maintain({"stale-peers", "--format", "json"}), "stale"), 3);
  EXPECT_EQ(number(maintain({"stale-peers", "--days", "15", "--format", "json"}), "stale"), 0);
  EXPECT_EQ(count("wireguard_peers"), 6);
}

TEST_P(StalePeersAlone, DryRunChangesNothingAndCountsAsTheRealOne) {
  fill(database);
  filled();
  const auto dry = maintain({"stale-peers", "--remove", "--dry-run", "--format", "json"});
  EXPECT_EQ(number(dry, "stale"), 3);
  EXPECT_EQ(count("wireguard_peers"), 6);
  EXPECT_EQ(count("wireguard_removals"), 0);
  const auto real = maintain({"stale-peers", "--remove", "--format", "json"});
  EXPECT_EQ(real.ended.code, 0) << real.error_output;
  EXPECT_EQ(number(real, "removed"), 3);
  EXPECT_EQ(number(real, "left"), 0);
}

// Nobody can hand the addresses out while the database is this process's alone, and a gateway
// carries out what is noted before it serves.
TEST_P(StalePeersAlone, WithoutAGatewayGoAtOnceAndTheirRemovalIsNoted) {
  fill(database);
  filled();
  const auto done = maintain({"stale-peers", "--remove"});
  EXPECT_EQ(done.ended.code, 0) << done.error_output;
  EXPECT_EQ(count("clients"), 3);
  EXPECT_EQ(count("wireguard_peers"), 3);
  EXPECT_EQ(count("bandwidth"), 3);
  EXPECT_EQ(count("wireguard_removals"), 3);
  EXPECT_EQ(count("released_addresses"), 6);
  EXPECT_EQ(count("spent_credentials"), 6);
  expect_clean();
}

TEST(StalePeers, AddressIsNotFreeBeforeTheGatewayHasConfirmed) {
  const Database database;
  fill(database);
  Gateway gateway(database);
  Child child({.program = lp::test::program("lp-db-maint"),
               .args = database.arguments({"stale-peers", "--remove", "--format", "json"})});
  std::vector<crypto::X25519Public> noted;
  while (noted.size() < 3) {
    ASSERT_TRUE(child.running()) << child.error_output();
    noted = gateway.noted();
  }
  // All are noted, and none is gone.
  auto rows = database.rows();
  EXPECT_EQ(rows.count("wireguard_peers"), 6);
  EXPECT_EQ(rows.count("released_addresses"), 0);
  EXPECT_EQ(rows.integer("SELECT count(*) FROM wireguard_peers AS p JOIN bandwidth AS b ON"
                         " b.client_id = p.id WHERE b.available > 0"),
            3);
  expect_clean(database);

  gateway.confirm(noted);
  // The second note, which the rows' deletion makes, has nothing left to be removed.
  const auto ended = child.wait();
  EXPECT_EQ(ended.code, 0) << child.error_output();
  EXPECT_EQ(rows.count("wireguard_peers"), 3);
  EXPECT_EQ(rows.count("released_addresses"), 6);
  expect_clean(database);
}

TEST(StalePeers, GatewayThatConfirmsNothingIsNotWaitedForForever) {
  const Database database;
  fill(database);
  const Gateway gateway(database);
  const auto done =
      database.maintain({"stale-peers", "--remove", "--wait", "100ms", "--format", "json"});
  EXPECT_EQ(done.ended.code, 1);
  EXPECT_THAT(done.error_output, HasSubstr("3 of 3 peers are not removed"));
  EXPECT_EQ(number(done, "left"), 3);
  EXPECT_EQ(database.rows().count("wireguard_peers"), 6);
  expect_clean(database);
}

TEST(StalePeers, ClientThatComesBackMeanwhileKeepsItsAddresses) {
  const Database database;
  fill(database);
  Gateway gateway(database);
  Child child({.program = lp::test::program("lp-db-maint"),
               .args = database.arguments({"stale-peers", "--remove", "--format", "json"})});
  while (gateway.noted().size() < 3)
    ASSERT_TRUE(child.running()) << child.error_output();
  // Client 3 pays again before the gateway got to its removal.
  Database::accept(gateway.storage(), 3, 99, now + day, now);
  const auto noted = gateway.noted();
  EXPECT_EQ(noted.size(), 2U);
  gateway.confirm(noted);
  const auto ended = child.wait();
  EXPECT_EQ(ended.code, 0) << child.error_output();
  auto rows = database.rows();
  EXPECT_EQ(rows.count("wireguard_peers"), 4);
  EXPECT_EQ(rows.count("wireguard_peers WHERE id = 3"), 1);
  EXPECT_EQ(rows.integer("SELECT available FROM bandwidth WHERE client_id = 3"), ticket_amount);
  expect_clean(database);
}

TEST(StalePeers, OfAnIssuerThereAreNone) {
  const TempDir dir;
  const auto init = lp::test::run({.program = lp::test::program("lp-issuer"),
                                   .args = {"init", "--data-dir", (dir / "issuer").string()}});
  ASSERT_EQ(init.ended.code, 0) << init.error_output;
  const auto path = (dir / "issuer/issuer.sqlite").string();
  const auto refused = lp_db_maint({"stale-peers", "--storage", path});
  EXPECT_EQ(refused.ended.code, 64);
  EXPECT_THAT(refused.error_output, HasSubstr("is an issuer's and has no peers"));
  EXPECT_EQ(lp_db_maint({"check", "--storage", path}).ended.code, 0);
  EXPECT_EQ(lp_db_maint({"stats", "--storage", path}).ended.code, 0);
}

}  // namespace
}  // namespace lp::db_maint::test
