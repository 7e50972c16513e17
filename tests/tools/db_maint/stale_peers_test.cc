// Which peers are stale, and that an address is free only once WireGuard has its peer no longer.
#include <gmock/gmock.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "lib/base/encoding.h"
#include "lib/messages/registration_errors.h"
#include "tests/gateway/wireguard/uapi_server.h"
#include "tests/system/gateway_process.h"
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

/// A real gateway with a WireGuard that does as it is told.
class StalePeersBeside : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (GetParam() == Kind::postgres && !lp::test::PostgresServer::installed()) {
      GTEST_SKIP() << lp::test::PostgresServer::not_installed;
    }
    std::error_code error;
    made_sockets_ = std::filesystem::create_directory(sockets, error);
    if (::access(sockets, W_OK) != 0)
      GTEST_SKIP() << "NOT RUN: no socket can be made in " << sockets;
    device_.emplace(std::filesystem::path(sockets) / (interface_ + ".sock"));
    std::vector<std::string> flags{"--wireguard-backend", "uapi", "--wireguard-interface",
                                   interface_};
    if (GetParam() == Kind::postgres) {
      name_ = new_postgres_database();
      flags.insert(flags.end(), {"--storage", postgres().url(name_), "--instance", "a",
                                 "--wireguard-announced-address", "192.0.2.1"});
    }
    gateway_.emplace(lp::test::GatewayProcess::Options{.flags = flags});
  }
  void TearDown() override {
    gateway_.reset();
    device_.reset();
    std::error_code others_are_there;
    if (made_sockets_) std::filesystem::remove(sockets, others_are_there);
  }

  [[nodiscard]] std::string storage() const {
    return name_.empty() ? gateway_->database().string() : postgres().url(name_);
  }
  void execute(const std::string& sql) const {
    if (name_.empty()) {
      Rows(gateway_->database()).execute(sql);
    } else {
      postgres().query(name_, sql);
    }
  }
  [[nodiscard]] std::int64_t count(const std::string& table) const {
    return name_.empty() ? Rows(gateway_->database()).count(table)
                         : postgres_integer(name_, "SELECT count(*) FROM " + table);
  }
  [[nodiscard]] std::optional<messages::RegistrationResponse> bring_ticket(
      std::uint64_t client, std::uint64_t ticket) const {
    return lp::test::register_once(gateway_->port(), gateway_->lp_key(),
                                   lp::test::request(client, ticket));
  }
  /// The device's peers and their addresses.
  using Peers = std::map<std::string, std::vector<std::string>>;
  [[nodiscard]] Peers peers() const {
    Peers peers;
    for (const auto& [key, peer] : device_->state().peers)
      peers.emplace(key, peer.allowed_ips);
    return peers;
  }
  static Peers::value_type peer(std::uint64_t client,
                                const std::optional<messages::RegistrationResponse>& response) {
    const auto& data = response.value().gateway_data.value();
    return {to_hex(lp::test::numbered_wireguard_key(client).bytes),
            {messages::to_string(data.private_ipv4) + "/32",
             messages::to_string(data.private_ipv6) + "/128"}};
  }

  static constexpr const char* sockets = "/run/wireguard";
  const std::string interface_ = "lpm" + std::to_string(::getpid());
  bool made_sockets_ = false;
  std::string name_;
  std::optional<lp::test::UapiServer> device_;
  std::optional<lp::test::GatewayProcess> gateway_;
};
INSTANTIATE_TEST_SUITE_P(On, StalePeersBeside, ::testing::Values(Kind::sqlite, Kind::postgres),
                         kind_name);

TEST_P(StalePeersBeside, LeaveWireguardBeforeTheirAddressesAreFree) {
  std::optional<messages::RegistrationResponse> last;
  for (std::uint64_t client = 1; client <= 4; ++client) {
    last = bring_ticket(client, client);
    ASSERT_TRUE(last && last->success);
  }
  ASSERT_EQ(peers().size(), 4U);
  // All but the last are stale.
  for (const char* set : {"wireguard_peers SET created_at = created_at - 864000 WHERE id <= 3",
                          "spent_credentials SET spent_at = spent_at - 864000"
                          " WHERE client_id <= 3"})
    execute(std::string("UPDATE ") + set);

  device_->behave({.applies = false, .answers = false});
  Child child({.program = lp::test::program("lp-db-maint"),
               .args = {"stale-peers", "--remove", "--wait", "60s", "--format", "json", "--storage",
                        storage()}});
  while (count("wireguard_removals") < 3)
    ASSERT_TRUE(child.running()) << child.error_output();
  // The gateway notices that its WireGuard hangs, and asks it from then on.
  const auto refused = bring_ticket(4, 5);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->error, sentence(messages::RegistrationFailure::wireguard_failed));
  EXPECT_TRUE(child.running());
  EXPECT_EQ(peers().size(), 4U);
  EXPECT_EQ(count("wireguard_peers"), 4);
  EXPECT_EQ(count("released_addresses"), 0);

  device_->behave({});
  const auto ended = child.wait();
  EXPECT_EQ(ended.code, 0) << child.error_output();
  const Finished finished{.ended = ended, .output = child.output(), .error_output = {}};
  EXPECT_EQ(number(finished, "removed"), 3);
  EXPECT_EQ(number(finished, "left"), 0);
  EXPECT_EQ(peers(), Peers({peer(4, last)}));
  EXPECT_EQ(count("wireguard_peers"), 1);
  EXPECT_EQ(count("released_addresses"), 6);

  const auto returned = bring_ticket(1, 6);
  const auto topped_up = bring_ticket(4, 5);
  ASSERT_TRUE(returned && returned->success);
  ASSERT_TRUE(topped_up && topped_up->success);
  EXPECT_EQ(peers(), Peers({peer(1, returned), peer(4, last)}));
  EXPECT_EQ(gateway_->stop(), 0);
  const auto checked = lp_db_maint({"check", "--storage", storage()});
  EXPECT_EQ(checked.ended.code, 0) << checked.output;
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
