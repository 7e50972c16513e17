#include "gateway/storage/check.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include <array>
#include <memory>
#include <string_view>

#include "gateway/storage/sqlite.h"

namespace lp::gateway::storage {
namespace {

struct Invariant {
  std::string_view name;
  std::string_view violations;  ///< SQL: one text for each violation; ?1 is the time
};

// NOT INDEXED where an index promises what is checked: a damaged one would hide the damage.
constexpr std::array<Invariant, 14> invariants{{
    {"balance",
     "SELECT format('client %d: available %d + used %d is not credited %d', client_id, available,"
     "  used, credited)"
     " FROM bandwidth WHERE available <> credited - used"},
    {"credit_covers_tickets",
     "SELECT format('client %d: credited %d is less than its unexpired tickets'' %d', b.client_id,"
     "  b.credited, t.amount)"
     " FROM bandwidth AS b JOIN (SELECT client_id, sum(amount) AS amount FROM spent_credentials"
     "  WHERE expiry > ?1 AND client_id IS NOT NULL GROUP BY client_id) AS t"
     "  ON t.client_id = b.client_id"
     " WHERE b.credited < t.amount"},
    {"ipv4_unique",
     "SELECT format('%s belongs to %d peers', private_ipv4, count(*))"
     " FROM wireguard_peers NOT INDEXED GROUP BY private_ipv4 || '' HAVING count(*) > 1"},
    {"ipv6_unique",
     "SELECT format('%s belongs to %d peers', private_ipv6, count(*))"
     " FROM wireguard_peers NOT INDEXED GROUP BY private_ipv6 || '' HAVING count(*) > 1"},
    {"released_address_is_free",
     "SELECT format('%s is released and belongs to client %d', r.address, p.id)"
     " FROM released_addresses AS r JOIN wireguard_peers AS p"
     "  ON r.address IN (p.private_ipv4, p.private_ipv6)"},
    {"wireguard_client_has_peer",
     "SELECT format('client %d has no row in wireguard_peers', id) FROM clients"
     " WHERE kind = 'wireguard' AND id NOT IN (SELECT id FROM wireguard_peers)"},
    {"mixnet_client_has_key",
     "SELECT format('client %d has no row in mixnet_clients', id) FROM clients"
     " WHERE kind = 'mixnet' AND id NOT IN (SELECT id FROM mixnet_clients)"},
    {"peer_has_client",
     "SELECT format('wireguard_peers %d has no client of its kind', id) FROM wireguard_peers"
     " WHERE id NOT IN (SELECT id FROM clients WHERE kind = 'wireguard')"},
    {"mixnet_key_has_client",
     "SELECT format('mixnet_clients %d has no client of its kind', id) FROM mixnet_clients"
     " WHERE id NOT IN (SELECT id FROM clients WHERE kind = 'mixnet')"},
    {"client_has_bandwidth",
     "SELECT format('client %d has no bandwidth row', id) FROM clients"
     " WHERE id NOT IN (SELECT client_id FROM bandwidth)"},
    {"bandwidth_has_client",
     "SELECT format('bandwidth row of client %d, which does not exist', client_id) FROM bandwidth"
     " WHERE client_id NOT IN (SELECT id FROM clients)"},
    {"ticket_has_client",
     "SELECT format('ticket %s of client %d, which does not exist', hex(nullifier), client_id)"
     " FROM spent_credentials"
     " WHERE client_id IS NOT NULL AND client_id NOT IN (SELECT id FROM clients)"},
    {"ticket_belongs_to_its_owner",
     "SELECT format('ticket %s counts for client %d, whose key is not its owner', hex(nullifier),"
     "  s.client_id)"
     " FROM spent_credentials AS s"
     " LEFT JOIN wireguard_peers AS p ON s.mode = 'dvpn' AND p.id = s.client_id"
     " LEFT JOIN mixnet_clients AS m ON s.mode = 'mixnet' AND m.id = s.client_id"
     " WHERE s.client_id IS NOT NULL AND s.owner IS NOT coalesce(p.public_key, m.client_key)"},
    {"session_has_client",
     "SELECT format('session %d of client %d, which does not exist', id, client_id)"
     " FROM lp_sessions"
     " WHERE client_id IS NOT NULL AND client_id NOT IN (SELECT id FROM clients)"},
}};

constexpr int most_listed = 100;

struct Finalize {
  void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};

}  // namespace

StorageResult<std::vector<Violation>> check_invariants(sqlite3* database, UnixSeconds now) {
  std::vector<Violation> violations;
  for (const auto& invariant : invariants) {
    sqlite3_stmt* prepared = nullptr;
    const auto& sql = invariant.violations;
    if (sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &prepared,
                           nullptr) != SQLITE_OK) {
      return std::unexpected(last_error(database, invariant.name));
    }
    const std::unique_ptr<sqlite3_stmt, Finalize> statement(prepared);
    if (sqlite3_bind_parameter_count(prepared) > 0) {
      sqlite3_bind_int64(prepared, 1, static_cast<std::int64_t>(now));
    }
    int code = sqlite3_step(prepared);
    for (int listed = 0; code == SQLITE_ROW && listed < most_listed; ++listed) {
      violations.push_back({std::string(invariant.name),
                            reinterpret_cast<const char*>(sqlite3_column_text(prepared, 0))});
      code = sqlite3_step(prepared);
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
      return std::unexpected(last_error(database, invariant.name));
    }
  }
  return violations;
}

}  // namespace lp::gateway::storage
