#include "gateway/storage/statements.h"

#include <numeric>
#include <utility>

namespace lp::gateway::storage {

std::string_view text(Sql sql) noexcept {
  switch (sql) {
    // A ticket's first statement is the double-spend check: no row comes back where the nullifier
    // is there already. Otherwise the owner's client id does, NULL for a new owner.
    // nullifier, expiry, spent_at, amount, owner
    case Sql::spend_wireguard:
      return "INSERT INTO spent_credentials"
             " (nullifier, expiry, spent_at, amount, mode, owner, client_id)"
             " VALUES (?1, ?2, ?3, ?4, 'dvpn', ?5,"
             "  (SELECT id FROM wireguard_peers WHERE public_key = ?5))"
             " ON CONFLICT (nullifier) DO NOTHING RETURNING client_id";
    case Sql::spend_mixnet:
      return "INSERT INTO spent_credentials"
             " (nullifier, expiry, spent_at, amount, mode, owner, client_id)"
             " VALUES (?1, ?2, ?3, ?4, 'mixnet', ?5,"
             "  (SELECT id FROM mixnet_clients WHERE client_key = ?5))"
             " ON CONFLICT (nullifier) DO NOTHING RETURNING client_id";

    // kind
    case Sql::insert_client:
      return "INSERT INTO clients (kind) VALUES (?1) RETURNING id";
    // id, public_key, ticket_type, private_ipv4, private_ipv6, created_at
    case Sql::insert_wireguard_peer:
      return "INSERT INTO wireguard_peers"
             " (id, public_key, ticket_type, private_ipv4, private_ipv6, created_at)"
             " VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    // id, client_key, ticket_type, created_at
    case Sql::insert_mixnet_client:
      return "INSERT INTO mixnet_clients (id, client_key, ticket_type, created_at, last_seen)"
             " VALUES (?1, ?2, ?3, ?4, ?4)";
    // client_id, amount, updated_at
    case Sql::insert_bandwidth:
      return "INSERT INTO bandwidth (client_id, available, used, credited, updated_at)"
             " VALUES (?1, ?2, 0, ?2, ?3)";
    // nullifier, client_id
    case Sql::link_ticket:
      return "UPDATE spent_credentials SET client_id = ?2 WHERE nullifier = ?1";

    // client_id
    case Sql::select_addresses:
      return "SELECT private_ipv4, private_ipv6 FROM wireguard_peers WHERE id = ?1";
    // client_id, last_seen
    case Sql::touch_mixnet_client:
      return "UPDATE mixnet_clients SET last_seen = ?2 WHERE id = ?1";
    // The sum must stay an integer of 64 bits; available is never above credited.
    // client_id, amount, updated_at
    case Sql::credit:
      return "UPDATE bandwidth SET available = available + ?2, credited = credited + ?2,"
             " updated_at = ?3"
             " WHERE client_id = ?1 AND credited <= 9223372036854775807 - ?2 RETURNING available";
    // public_key
    case Sql::cancel_removal:
      return "DELETE FROM wireguard_removals WHERE public_key = ?1";

    // By the owner and not by client_id: a client removed since and registered anew is the one
    // that a repeated request asks for.
    // nullifier
    case Sql::find_spent:
      return "SELECT s.mode, s.owner, s.amount, coalesce(p.id, m.id),"
             " p.private_ipv4, p.private_ipv6"
             " FROM spent_credentials AS s"
             " LEFT JOIN wireguard_peers AS p ON s.mode = 'dvpn' AND p.public_key = s.owner"
             " LEFT JOIN mixnet_clients AS m ON s.mode = 'mixnet' AND m.client_key = s.owner"
             " WHERE s.nullifier = ?1";
    // nullifier
    case Sql::forget_ticket:
      return "DELETE FROM spent_credentials WHERE nullifier = ?1";

    // nullifier, owner, mode
    case Sql::unspend:
      return "DELETE FROM spent_credentials WHERE nullifier = ?1 AND owner = ?2 AND mode = ?3"
             " RETURNING client_id, amount";
    // client_id, amount, updated_at
    case Sql::debit:
      return "UPDATE bandwidth SET available = available - ?2, credited = credited - ?2,"
             " updated_at = ?3 WHERE client_id = ?1 RETURNING available, credited";
    // client_id
    case Sql::has_tickets:
      return "SELECT EXISTS (SELECT 1 FROM spent_credentials WHERE client_id = ?1)";
    // Takes the peer, the bandwidth row and, by the schema's trigger, the addresses along.
    // client_id
    case Sql::delete_client:
      return "DELETE FROM clients WHERE id = ?1";
    // public_key, since
    case Sql::note_removal:
      return "INSERT INTO wireguard_removals (public_key, since) VALUES (?1, ?2)"
             " ON CONFLICT (public_key) DO NOTHING";

    // Both give the columns that read_peer takes.
    // id above which rows are wanted, how many
    case Sql::select_peers:
      return "SELECT p.id, p.public_key, p.private_ipv4, p.private_ipv6, p.ticket_type,"
             " b.available, b.used, b.credited, p.created_at, p.last_seen, p.rx_bytes, p.tx_bytes,"
             " EXISTS (SELECT 1 FROM wireguard_removals AS r WHERE r.public_key = p.public_key)"
             " FROM wireguard_peers AS p JOIN bandwidth AS b ON b.client_id = p.id"
             " WHERE p.id > ?1 ORDER BY p.id LIMIT ?2";
    // public_key
    case Sql::select_peer:
      return "SELECT p.id, p.public_key, p.private_ipv4, p.private_ipv6, p.ticket_type,"
             " b.available, b.used, b.credited, p.created_at, p.last_seen, p.rx_bytes, p.tx_bytes,"
             " EXISTS (SELECT 1 FROM wireguard_removals AS r WHERE r.public_key = p.public_key)"
             " FROM wireguard_peers AS p JOIN bandwidth AS b ON b.client_id = p.id"
             " WHERE p.public_key = ?1";
    case Sql::select_removals:
      return "SELECT public_key FROM wireguard_removals ORDER BY since, public_key";

    // client_id, rx and tx as they were, rx and tx as they are, last_seen
    case Sql::count_usage:
      return "UPDATE wireguard_peers SET rx_bytes = ?4, tx_bytes = ?5,"
             " last_seen = coalesce(max(last_seen, ?6), last_seen, ?6)"
             " WHERE id = ?1 AND rx_bytes = ?2 AND tx_bytes = ?3";
    // The sum must stay an integer of 64 bits.
    // client_id, bytes, updated_at
    case Sql::use_bandwidth:
      return "UPDATE bandwidth SET"
             " used = used + min(?2, 9223372036854775807 - used),"
             " available = available - min(?2, 9223372036854775807 - used),"
             " updated_at = iif(?2 > 0, ?3, updated_at)"
             " WHERE client_id = ?1 RETURNING available";
    // client_id, since
    case Sql::note_spent_peer:
      return "INSERT INTO wireguard_removals (public_key, since)"
             " SELECT public_key, ?2 FROM wireguard_peers WHERE id = ?1"
             " ON CONFLICT (public_key) DO NOTHING";
    // public_key
    case Sql::reset_counters:
      return "UPDATE wireguard_peers SET rx_bytes = 0, tx_bytes = 0"
             " WHERE public_key = ?1 AND (rx_bytes <> 0 OR tx_bytes <> 0)";
    // Takes along what delete_client does; the schema's trigger notes the removal.
    // public_key
    case Sql::delete_wireguard_client:
      return "DELETE FROM clients"
             " WHERE id = (SELECT id FROM wireguard_peers WHERE public_key = ?1)";
    // public_key
    case Sql::is_removal_noted:
      return "SELECT EXISTS (SELECT 1 FROM wireguard_removals WHERE public_key = ?1)";

    // A client that is gone by now is no reason to lose the record.
    // session_id, lp_id, client_ip, started_at, completed_at, status, client_id
    case Sql::insert_session:
      return "INSERT INTO lp_sessions"
             " (session_id, lp_id, client_ip, started_at, completed_at, status, client_id)"
             " VALUES (?1, ?2, ?3, ?4, ?5, ?6, (SELECT id FROM clients WHERE id = ?7))";
    case Sql::complete_session:
      return "UPDATE lp_sessions SET session_id = ?1, completed_at = ?5, status = ?6,"
             " client_id = (SELECT id FROM clients WHERE id = ?7)"
             " WHERE id = (SELECT id FROM lp_sessions WHERE lp_id = ?2 AND client_ip = ?3"
             "  AND started_at = ?4 AND completed_at IS NULL ORDER BY id LIMIT 1)";

    case Sql::select_peer_addresses:
      return "SELECT private_ipv4, private_ipv6 FROM wireguard_peers";
    // id above which rows are wanted
    case Sql::select_released_addresses:
      return "SELECT id, address FROM released_addresses WHERE id > ?1 ORDER BY id";

    // IMMEDIATE: the write lock first, so that no statement in between can find it taken.
    case Sql::begin:
      return "BEGIN IMMEDIATE";
    case Sql::commit:
      return "COMMIT";
    case Sql::roll_back:
      return "ROLLBACK";
  }
  return {};
}

StorageResult<Statements> Statements::prepare(Connection& connection) {
  Statements statements;
  for (std::size_t i = 0; i < sql_count; ++i) {
    auto statement = Statement::prepare(connection, text(static_cast<Sql>(i)));
    if (!statement) return std::unexpected(std::move(statement.error()));
    statements.statements_[i] = std::move(*statement);
  }
  return statements;
}

std::uint64_t Statements::runs() const noexcept {
  const auto end = statements_.begin() + static_cast<std::ptrdiff_t>(Sql::begin);
  return std::accumulate(
      statements_.begin(), end, std::uint64_t{0},
      [](std::uint64_t sum, const Statement& statement) { return sum + statement.runs(); });
}

}  // namespace lp::gateway::storage
