#include "tests/gateway/storage/fixture.h"

#include <sqlite3.h>
#include <stdlib.h>

#include <stdexcept>
#include <utility>

#include "gateway/storage/address_pool.h"
#include "gateway/storage/check.h"
#include "gateway/storage/postgres_check.h"
#include "lib/postgres/postgres.h"

namespace lp::gateway::storage::test {

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "lp-storage-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary directory");
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Rows::Rows(const std::filesystem::path& database) {
  if (postgres::Url::looks_like(database.string())) {
    auto opened = postgres::Connection::open(postgres::Url::parse(database.string()).value(),
                                             {.application_name = "test"});
    if (!opened) throw std::runtime_error(opened.error().detail);
    postgres_ = std::make_unique<postgres::Connection>(std::move(*opened));
    return;
  }
  EXPECT_EQ(sqlite3_open_v2(database.c_str(), &sqlite_, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK);
  sqlite3_busy_timeout(sqlite_, 10'000);
}

Rows::Rows(Rows&& other) noexcept
    : sqlite_(std::exchange(other.sqlite_, nullptr)), postgres_(std::move(other.postgres_)) {}

Rows::~Rows() {
  sqlite3_close(sqlite_);
}

void Rows::execute(const std::string& sql) {
  if (postgres_) {
    const auto done = postgres_->execute(sql);
    EXPECT_TRUE(done) << sql << ": " << done.error().detail;
    return;
  }
  EXPECT_EQ(sqlite3_exec(sqlite_, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sql << ": " << sqlite3_errmsg(sqlite_);
}

void Rows::execute(const std::string& sqlite, const std::string& postgres) {
  execute(postgres_ ? postgres : sqlite);
}

std::int64_t Rows::integer(const std::string& sql) {
  const auto value = text(sql);
  return value.empty() ? 0 : std::stoll(value);
}

std::string Rows::text(const std::string& sql) {
  if (postgres_) {
    const auto rows = postgres_->query(sql);
    EXPECT_TRUE(rows) << sql << ": " << rows.error().detail;
    return rows && !rows->empty() ? std::string(rows->text(0, 0)) : std::string();
  }
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(sqlite_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK)
      << sql << ": " << sqlite3_errmsg(sqlite_);
  std::string value;
  if (sqlite3_step(statement) == SQLITE_ROW) {
    const auto* column = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    if (column != nullptr) value = column;
  }
  sqlite3_finalize(statement);
  return value;
}

std::int64_t Rows::count(const std::string& table) {
  return integer("SELECT count(*) FROM " + table);
}

void Rows::hold() {
  execute("BEGIN IMMEDIATE",
          "BEGIN; LOCK TABLE spent_credentials, wireguard_removals, lp_sessions"
          " IN SHARE ROW EXCLUSIVE MODE");
}

void Rows::delete_clients() {
  execute("PRAGMA foreign_keys = ON; DELETE FROM clients", "DELETE FROM clients");
}

void Rows::sabotage(const std::string& event, const std::string& table,
                    const std::string& condition) {
  execute("CREATE TRIGGER bad BEFORE " + event + " ON " + table + " WHEN " + condition +
              " BEGIN SELECT raise(ABORT, 'bad'); END",
          "CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS"
          " $$ BEGIN RAISE EXCEPTION 'bad'; END $$;"
          "CREATE TRIGGER bad BEFORE " +
              event + " ON " + table + " FOR EACH ROW WHEN (" + condition +
              ") EXECUTE FUNCTION bad()");
}

void Rows::mend(const std::string& table) {
  execute("DROP TRIGGER bad", "DROP TRIGGER bad ON " + table + "; DROP FUNCTION bad()");
}

ByteArray<32> bytes32(std::uint64_t seed) {
  // Spread over the key space, as real keys are.
  ByteArray<32> bytes{};
  std::uint64_t word = seed;
  for (std::size_t i = 0; i < 32; i += 8) {
    word = (word + 0x9e3779b97f4a7c15U) * 0xbf58476d1ce4e5b9U;
    word ^= word >> 29U;
    store_le(bytes.data() + i, word);
  }
  return bytes;
}

Owner wireguard_owner(std::uint64_t seed) {
  return {ClientKind::wireguard, bytes32(seed)};
}
Owner mixnet_owner(std::uint64_t seed) {
  return {ClientKind::mixnet, bytes32(seed)};
}

Acceptance ticket(const Owner& owner, std::uint64_t nullifier_seed) {
  return {.owner = owner,
          .ticket_type = owner.kind == ClientKind::wireguard
                             ? messages::TicketType::v1_wireguard_entry
                             : messages::TicketType::v1_mixnet_entry,
          .nullifier = bytes32(nullifier_seed + (std::uint64_t{1} << 32U)),
          .expiry = expiry,
          .amount = ticket_amount,
          .now = now};
}

StorageResult<AcceptanceResult> accept(Storage& storage, const Acceptance& acceptance) {
  return wait_for<AcceptanceResult>(
      [&](auto done) { storage.accept_ticket(acceptance, std::move(done)); });
}

StorageResult<Storage::Compensated> compensate(Storage& storage, const Acceptance& acceptance) {
  return wait_for<Storage::Compensated>([&](auto done) {
    storage.compensate(acceptance.owner, acceptance.nullifier, now + 1, std::move(done));
  });
}

StorageResult<std::optional<SpentTicket>> find_spent(Storage& storage,
                                                     const messages::Nullifier& nullifier) {
  return wait_for<std::optional<SpentTicket>>(
      [&](auto done) { storage.find_spent(nullifier, std::move(done)); });
}

std::vector<Peer> all_peers(Storage& storage) {
  auto peers =
      wait_for<std::vector<Peer>>([&](auto done) { storage.list_peers({}, std::move(done)); });
  EXPECT_TRUE(peers) << peers.error().detail;
  return peers.value_or(std::vector<Peer>{});
}

std::vector<Peer> active_peers(Storage& storage) {
  auto peers = all_peers(storage);
  std::erase_if(peers, [](const auto& peer) { return !peer.belongs_into_wireguard(); });
  return peers;
}

UsageOutcome record_usage(Storage& storage, const std::vector<PeerUsage>& usage) {
  const auto outcome = wait_for<UsageOutcome>(
      [&](auto done) { storage.record_usage(usage, now + 2, std::move(done)); });
  EXPECT_TRUE(outcome) << outcome.error().detail;
  return outcome.value_or(UsageOutcome{});
}

RemovedPeer remove_peer(Storage& storage, const Owner& owner) {
  const auto removed =
      wait_for<RemovedPeer>([&](auto done) { storage.remove_peer({owner.key}, std::move(done)); });
  EXPECT_TRUE(removed) << removed.error().detail;
  return removed.value_or(RemovedPeer{});
}

void confirm_removals(Storage& storage, const std::vector<crypto::X25519Public>& keys) {
  const auto confirmed =
      wait_for<std::monostate>([&](auto done) { storage.confirm_removals(keys, std::move(done)); });
  EXPECT_TRUE(confirmed) << confirmed.error().detail;
}

std::vector<crypto::X25519Public> removals(Storage& storage) {
  auto keys = wait_for<std::vector<crypto::X25519Public>>(
      [&](auto done) { storage.list_removals(std::move(done)); });
  EXPECT_TRUE(keys) << keys.error().detail;
  return keys.value_or(std::vector<crypto::X25519Public>{});
}

std::string address(const AddressPair& addresses) {
  return std::string(address_text(addresses.ipv4.octets).view()) + " " +
         std::string(address_text(addresses.ipv6.octets).view());
}

void expect_invariants(const std::filesystem::path& database) {
  const Rows rows(database);
  const auto violations = rows.is_postgres() ? check_invariants(rows.postgres(), now)
                                             : check_invariants(rows.handle(), now);
  ASSERT_TRUE(violations) << violations.error().detail;
  for (const auto& violation : *violations) {
    ADD_FAILURE() << violation.invariant << ": " << violation.detail;
  }
}

}  // namespace lp::gateway::storage::test
