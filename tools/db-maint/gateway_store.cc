#include "tools/db-maint/gateway_store.h"

#include <fmt/format.h>

#include <array>

#include "gateway/storage/check.h"
#include "lib/base/encoding.h"

namespace lp::db_maint {
namespace {

constexpr std::array gateway_tables{Dated::spent_credentials, Dated::lp_sessions};

/// Of peer p; ?2 is the time before which it was last seen. A ticket is a sign of life as well:
/// whoever has paid a minute ago has not been through the tunnel yet.
constexpr std::string_view is_stale =
    "max(p.created_at, coalesce(p.last_seen, 0),"
    " coalesce((SELECT max(s.spent_at) FROM spent_credentials AS s WHERE s.client_id = p.id), 0))"
    " < ?2";
/// Of peer p: its removal was noted, and no longer is.
constexpr std::string_view is_confirmed =
    "NOT EXISTS (SELECT 1 FROM wireguard_removals AS r WHERE r.public_key = p.public_key)"
    " AND EXISTS (SELECT 1 FROM bandwidth AS b WHERE b.client_id = p.id AND b.available <= 0)";

// ?1: the least id
std::string select_stale() {
  return fmt::format(
      "SELECT p.id, p.public_key, p.private_ipv4, p.private_ipv6, p.ticket_type, p.created_at,"
      " p.last_seen, (SELECT max(s.spent_at) FROM spent_credentials AS s"
      "  WHERE s.client_id = p.id), b.available, b.used"
      " FROM wireguard_peers AS p JOIN bandwidth AS b ON b.client_id = p.id"
      " WHERE p.id >= ?1 AND {} ORDER BY p.id",
      is_stale);
}

// These two in one transaction. A client that comes back with a ticket has bandwidth again, and its
// removal is no longer noted.
// id, before
std::string take_bandwidth() {
  return fmt::format(
      "UPDATE bandwidth SET used = credited, available = 0 WHERE client_id = ?1 AND available > 0"
      " AND EXISTS (SELECT 1 FROM wireguard_peers AS p WHERE p.id = ?1 AND {})",
      is_stale);
}
// id, before, since
std::string note_removal() {
  return fmt::format(
      "INSERT INTO wireguard_removals (public_key, since)"
      " SELECT p.public_key, ?3 FROM wireguard_peers AS p WHERE p.id = ?1 AND {}"
      " ON CONFLICT (public_key) DO NOTHING",
      is_stale);
}

// id
constexpr std::string_view select_unconfirmed =
    "SELECT 1 FROM wireguard_peers AS p"
    " JOIN wireguard_removals AS r ON r.public_key = p.public_key WHERE p.id = ?1";

// The schema takes bandwidth and addresses along and notes the removal once more.
// id, before
std::string remove_peer(Store::Removable removable) {
  return fmt::format(
      "DELETE FROM clients WHERE id ="
      " (SELECT p.id FROM wireguard_peers AS p WHERE p.id = ?1 AND {} AND {})",
      is_stale, removable == Store::Removable::confirmed ? is_confirmed : "true");
}

// limit
constexpr std::string_view select_report =
    "SELECT c.id, c.kind, coalesce(p.public_key, m.client_key),"
    " coalesce(p.ticket_type, m.ticket_type), b.used, b.available, b.credited, p.rx_bytes,"
    " p.tx_bytes, coalesce(p.created_at, m.created_at), coalesce(p.last_seen, m.last_seen),"
    " b.updated_at"
    " FROM bandwidth AS b JOIN clients AS c ON c.id = b.client_id"
    " LEFT JOIN wireguard_peers AS p ON p.id = c.id"
    " LEFT JOIN mixnet_clients AS m ON m.id = c.id"
    " ORDER BY b.used DESC, c.id LIMIT ?1";

// Within the retention no ticket of a client has been cleaned up, for none expires before it was
// spent: what is credited is what its tickets brought.
// created_at from which on
constexpr std::string_view select_unpaid =
    "SELECT b.client_id, b.credited, coalesce(t.amount, 0) FROM bandwidth AS b"
    " LEFT JOIN wireguard_peers AS p ON p.id = b.client_id"
    " LEFT JOIN mixnet_clients AS m ON m.id = b.client_id"
    " LEFT JOIN (SELECT client_id, sum(amount) AS amount FROM spent_credentials"
    "  WHERE client_id IS NOT NULL GROUP BY client_id) AS t ON t.client_id = b.client_id"
    " WHERE coalesce(p.created_at, m.created_at) >= ?1 AND b.credited <> coalesce(t.amount, 0)"
    " ORDER BY b.client_id LIMIT 100";

std::optional<UnixSeconds> time_of(const sqlite::Query& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return static_cast<UnixSeconds>(row.integer(column));
}

Value value_of(const std::optional<UnixSeconds>& time) {
  return time ? Value(Time{*time}) : Value();
}

/// Runs one statement for each id; how many rows it changed in all.
Result<std::int64_t> for_each(sqlite::Connection& connection, std::string_view sql,
                              std::span<const std::int64_t> ids,
                              const std::vector<std::int64_t>& further) {
  auto statement = sqlite::Statement::prepare(connection, sql);
  if (!statement) return std::unexpected(std::move(statement.error()));
  std::int64_t changed = 0;
  for (const auto id : ids) {
    sqlite::Query query(*statement);
    query.bind(id);
    for (const auto parameter : further)
      query.bind(parameter);
    if (auto done = query.run(); !done) return std::unexpected(std::move(done.error()));
    changed += query.changed();
  }
  return changed;
}

}  // namespace

std::span<const Dated> GatewayStore::dated() const {
  return gateway_tables;
}

std::string_view GatewayStore::older_than(Dated dated) const {
  return dated == Dated::spent_credentials ? "expiry < ?1" : "started_at < ?1";
}

std::string_view GatewayStore::row_name(Dated dated) const {
  return dated == Dated::spent_credentials ? "rowid" : "id";
}

Result<std::optional<UnixSeconds>> GatewayStore::newest_activity() {
  std::optional<UnixSeconds> newest;
  auto done = each_row("SELECT max(spent_at) FROM spent_credentials", {},
                       [&](const sqlite::Query& row) { newest = time_of(row, 0); });
  if (!done) return std::unexpected(std::move(done.error()));
  return newest;
}

Result<std::vector<StalePeer>> GatewayStore::stale_peers(UnixSeconds before) {
  std::vector<StalePeer> peers;
  bool damaged = false;
  auto done = each_row(select_stale(), {0, static_cast<std::int64_t>(before)},
                       [&](const sqlite::Query& row) {
                         if (row.blob(1).size() != 32) {
                           damaged = true;
                           return;
                         }
                         StalePeer peer;
                         peer.client_id = row.integer(0);
                         peer.public_key = to_array<32>(row.blob(1));
                         peer.private_ipv4 = row.text(2);
                         peer.private_ipv6 = row.text(3);
                         peer.ticket_type = row.text(4);
                         peer.created_at = static_cast<UnixSeconds>(row.integer(5));
                         peer.last_seen = time_of(row, 6);
                         peer.last_ticket = time_of(row, 7);
                         peer.available = row.integer(8);
                         peer.used = row.integer(9);
                         peers.push_back(std::move(peer));
                       });
  if (!done) return std::unexpected(std::move(done.error()));
  if (damaged) {
    return sqlite::fail(sqlite::Error::Kind::corrupt, "a key that has not 32 bytes");
  }
  return peers;
}

Result<Batch> GatewayStore::retire_peers(std::span<const std::int64_t> ids, UnixSeconds before,
                                         UnixSeconds now) {
  const auto cutoff = static_cast<std::int64_t>(before);
  return write([&]() -> Result<std::int64_t> {
    const auto retired = for_each(connection(), take_bandwidth(), ids, {cutoff});
    if (!retired) return retired;
    return for_each(connection(), note_removal(), ids, {cutoff, static_cast<std::int64_t>(now)});
  });
}

Result<std::vector<std::int64_t>> GatewayStore::unconfirmed_peers(
    std::span<const std::int64_t> ids) {
  return read([&]() -> Result<std::vector<std::int64_t>> {
    auto statement = sqlite::Statement::prepare(connection(), select_unconfirmed);
    if (!statement) return std::unexpected(std::move(statement.error()));
    std::vector<std::int64_t> unconfirmed;
    for (const auto id : ids) {
      sqlite::Query query(*statement);
      query.bind(id);
      const auto row = query.next();
      if (!row) return std::unexpected(row.error());
      if (*row) unconfirmed.push_back(id);
    }
    return unconfirmed;
  });
}

Result<Batch> GatewayStore::remove_peers(std::span<const std::int64_t> ids, UnixSeconds before,
                                         Removable removable) {
  return write([&] {
    return for_each(connection(), remove_peer(removable), ids, {static_cast<std::int64_t>(before)});
  });
}

Result<Table> GatewayStore::report(std::int64_t limit) {
  Table table{
      .columns = {"client_id", "kind", "key", "ticket_type", "used", "available", "credited",
                  "rx_bytes", "tx_bytes", "created_at", "last_seen", "updated_at"},
      .rows = {}};
  auto done = each_row(select_report, {limit}, [&](const sqlite::Query& row) {
    const auto integer = [&](int column) {
      return row.is_null(column) ? Value() : Value(row.integer(column));
    };
    const auto text = [&](int column) { return Value(std::string(row.text(column))); };
    std::vector<Value> cells{integer(0), text(1), to_base64(row.blob(2)), text(3)};
    for (int column = 4; column <= 8; ++column)
      cells.push_back(integer(column));
    for (int column = 9; column <= 11; ++column)
      cells.push_back(value_of(time_of(row, column)));
    table.rows.push_back(std::move(cells));
  });
  if (!done) return std::unexpected(std::move(done.error()));
  return table;
}

std::span<const SqliteStore::Count> GatewayStore::counts() const {
  // sum() is exact, and an error where it does not fit; total() is neither.
  const auto exact_sum = [](std::string_view column) {
    return fmt::format(
        "SELECT iif((SELECT abs(total({0})) FROM bandwidth) < 9e18,"
        " (SELECT coalesce(sum({0}), 0) FROM bandwidth), 9223372036854775807)",
        column);
  };
  static const std::string available = exact_sum("available");
  static const std::string used = exact_sum("used");
  static const std::string credited = exact_sum("credited");
  static const std::array all{
      Count{"clients", "SELECT count(*) FROM clients"},
      Count{"wireguard_peers", "SELECT count(*) FROM wireguard_peers"},
      Count{"wireguard_peers_never_seen",
            "SELECT count(*) FROM wireguard_peers WHERE last_seen IS NULL"},
      Count{"wireguard_peers_without_bandwidth",
            "SELECT count(*) FROM wireguard_peers AS p JOIN bandwidth AS b ON b.client_id = p.id"
            " WHERE b.available <= 0"},
      Count{"mixnet_clients", "SELECT count(*) FROM mixnet_clients"},
      Count{"bytes_available", available},
      Count{"bytes_used", used},
      Count{"bytes_credited", credited},
      Count{"spent_credentials", "SELECT count(*) FROM spent_credentials"},
      Count{"spent_credentials_expired",
            "SELECT count(*) FROM spent_credentials WHERE expiry <= ?1"},
      Count{"oldest_expiry", "SELECT min(expiry) FROM spent_credentials", true},
      Count{"newest_spent_at", "SELECT max(spent_at) FROM spent_credentials", true},
      Count{"lp_sessions", "SELECT count(*) FROM lp_sessions"},
      Count{"oldest_lp_session", "SELECT min(started_at) FROM lp_sessions", true},
      Count{"wireguard_removals", "SELECT count(*) FROM wireguard_removals"},
      Count{"oldest_wireguard_removal", "SELECT min(since) FROM wireguard_removals", true},
      Count{"released_addresses", "SELECT count(*) FROM released_addresses"},
  };
  return all;
}

Result<std::vector<Finding>> GatewayStore::broken_invariants(UnixSeconds now,
                                                             std::uint64_t retention) {
  const auto violations = gateway::storage::check_invariants(connection().handle(), now);
  if (!violations) return std::unexpected(violations.error());
  std::vector<Finding> findings;
  for (const auto& violation : *violations)
    findings.push_back({violation.invariant, violation.detail});
  const auto since = now > retention ? now - retention : 0;
  auto done =
      each_row(select_unpaid, {static_cast<std::int64_t>(since)}, [&](const sqlite::Query& row) {
        findings.push_back(
            {"credit_has_nullifiers", fmt::format("client {}: credited {}, its tickets brought {}",
                                                  row.integer(0), row.integer(1), row.integer(2))});
      });
  if (!done) return std::unexpected(std::move(done.error()));
  return findings;
}

}  // namespace lp::db_maint
