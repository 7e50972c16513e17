#include "gateway/storage/postgres_check.h"

#include <fmt/core.h>

#include <array>
#include <string_view>

namespace lp::gateway::storage {
namespace {

struct PostgresInvariant {
  const char* name;
  std::string_view violations;  ///< SQL: one text for each violation; $1 is the time
};

constexpr std::array<PostgresInvariant, 15> postgres_invariants{{
    {"balance",
     "SELECT format('client %s: available %s + used %s is not credited %s', client_id, available,"
     "  used, credited)"
     " FROM bandwidth WHERE available <> credited - used"},
    {"credit_covers_tickets",
     "SELECT format('client %s: credited %s is less than its unexpired tickets'' %s', b.client_id,"
     "  b.credited, t.amount)"
     " FROM bandwidth AS b JOIN (SELECT client_id, sum(amount) AS amount FROM spent_credentials"
     "  WHERE expiry > $1 AND client_id IS NOT NULL GROUP BY client_id) AS t"
     "  ON t.client_id = b.client_id"
     " WHERE b.credited < t.amount"},
    // Expressions, which no index that might be damaged answers.
    {"ipv4_unique",
     "SELECT format('%s of instance %s belongs to %s peers', private_ipv4 || '', instance,"
     "  count(*))"
     " FROM wireguard_peers GROUP BY instance, private_ipv4 || '' HAVING count(*) > 1"},
    {"ipv6_unique",
     "SELECT format('%s of instance %s belongs to %s peers', private_ipv6 || '', instance,"
     "  count(*))"
     " FROM wireguard_peers GROUP BY instance, private_ipv6 || '' HAVING count(*) > 1"},
    {"released_address_is_free",
     "SELECT format('%s of instance %s is released and belongs to client %s', r.address,"
     "  r.instance, p.id)"
     " FROM released_addresses AS r JOIN wireguard_peers AS p ON p.instance = r.instance"
     "  AND r.address IN (p.private_ipv4, p.private_ipv6)"},
    {"peer_has_instance",
     "SELECT format('client %s: instance %s does not exist', p.id, p.instance)"
     " FROM wireguard_peers AS p LEFT JOIN instances AS i ON i.name = p.instance"
     " WHERE i.name IS NULL"},
    {"wireguard_client_has_peer",
     "SELECT format('client %s has no row in wireguard_peers', c.id) FROM clients AS c"
     " LEFT JOIN wireguard_peers AS p ON p.id = c.id WHERE c.kind = 'wireguard' AND p.id IS NULL"},
    {"mixnet_client_has_key",
     "SELECT format('client %s has no row in mixnet_clients', c.id) FROM clients AS c"
     " LEFT JOIN mixnet_clients AS m ON m.id = c.id WHERE c.kind = 'mixnet' AND m.id IS NULL"},
    {"peer_has_client",
     "SELECT format('wireguard_peers %s has no client of its kind', p.id) FROM wireguard_peers AS p"
     " LEFT JOIN clients AS c ON c.id = p.id AND c.kind = 'wireguard' WHERE c.id IS NULL"},
    {"mixnet_key_has_client",
     "SELECT format('mixnet_clients %s has no client of its kind', m.id) FROM mixnet_clients AS m"
     " LEFT JOIN clients AS c ON c.id = m.id AND c.kind = 'mixnet' WHERE c.id IS NULL"},
    {"client_has_bandwidth",
     "SELECT format('client %s has no bandwidth row', c.id) FROM clients AS c"
     " LEFT JOIN bandwidth AS b ON b.client_id = c.id WHERE b.client_id IS NULL"},
    {"bandwidth_has_client",
     "SELECT format('bandwidth row of client %s, which does not exist', b.client_id)"
     " FROM bandwidth AS b LEFT JOIN clients AS c ON c.id = b.client_id WHERE c.id IS NULL"},
    {"ticket_has_client",
     "SELECT format('ticket %s of client %s, which does not exist', encode(s.nullifier, 'hex'),"
     "  s.client_id)"
     " FROM spent_credentials AS s LEFT JOIN clients AS c ON c.id = s.client_id"
     " WHERE s.client_id IS NOT NULL AND c.id IS NULL"},
    {"ticket_belongs_to_its_owner",
     "SELECT format('ticket %s counts for client %s, whose key is not its owner',"
     "  encode(s.nullifier, 'hex'), s.client_id)"
     " FROM spent_credentials AS s"
     " LEFT JOIN wireguard_peers AS p ON s.mode = 'dvpn' AND p.id = s.client_id"
     " LEFT JOIN mixnet_clients AS m ON s.mode = 'mixnet' AND m.id = s.client_id"
     " WHERE s.client_id IS NOT NULL"
     "  AND s.owner IS DISTINCT FROM coalesce(p.public_key, m.client_key)"},
    {"session_has_client",
     "SELECT format('session %s of client %s, which does not exist', s.id, s.client_id)"
     " FROM lp_sessions AS s LEFT JOIN clients AS c ON c.id = s.client_id"
     " WHERE s.client_id IS NOT NULL AND c.id IS NULL"},
}};

}  // namespace

StorageResult<std::vector<Violation>> check_invariants(postgres::Connection& connection,
                                                       UnixSeconds now) {
  std::vector<Violation> violations;
  for (const auto& invariant : postgres_invariants) {
    postgres::Params params;
    if (invariant.violations.find("$1") != std::string_view::npos) {
      params.add(static_cast<std::int64_t>(now));
    }
    const auto rows = connection.query(fmt::format("{} LIMIT 100", invariant.violations), params);
    if (!rows) return std::unexpected(rows.error());
    for (std::size_t row = 0; row < rows->size(); ++row)
      violations.push_back({invariant.name, std::string(rows->text(row, 0))});
  }
  return violations;
}

}  // namespace lp::gateway::storage
