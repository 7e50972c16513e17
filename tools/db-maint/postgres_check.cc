// What PostgreSQL offers in place of SQLite's integrity_check and foreign_key_check.
#include <fmt/format.h>

#include "gateway/storage/postgres_check.h"
#include "tools/db-maint/postgres_store.h"

namespace lp::db_maint {
namespace {

using postgres::Params;

// Within the retention no ticket of a client has been cleaned up, for none expires before it was
// spent: what is credited is what its tickets brought.
// created_at from which on
constexpr std::string_view select_unpaid_clients =
    "SELECT b.client_id, b.credited, coalesce(t.amount, 0) FROM bandwidth AS b"
    " LEFT JOIN wireguard_peers AS p ON p.id = b.client_id"
    " LEFT JOIN mixnet_clients AS m ON m.id = b.client_id"
    " LEFT JOIN (SELECT client_id, sum(amount) AS amount FROM spent_credentials"
    "  WHERE client_id IS NOT NULL GROUP BY client_id) AS t ON t.client_id = b.client_id"
    " WHERE coalesce(p.created_at, m.created_at) >= $1 AND b.credited <> coalesce(t.amount, 0)"
    " ORDER BY b.client_id LIMIT 100";

// A constraint or trigger holds only while it is enabled, and for rows that were there before it
// only once it is validated.
constexpr std::string_view select_broken_constraints =
    "SELECT format('%s of %s is not validated', conname, conrelid::regclass) FROM pg_constraint"
    " WHERE connamespace = current_schema()::regnamespace AND NOT convalidated"
    " UNION ALL SELECT format('trigger %s of %s is disabled', tgname, tgrelid::regclass)"
    " FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid"
    " WHERE c.relnamespace = current_schema()::regnamespace AND tgenabled NOT IN ('O', 'A')"
    " UNION ALL SELECT format('index %s is not valid', indexrelid::regclass)"
    " FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid"
    " WHERE c.relnamespace = current_schema()::regnamespace AND NOT indisvalid"
    " UNION ALL SELECT format('trigger %s of wireguard_peers is missing', wanted)"
    " FROM unnest(ARRAY['wireguard_peers_inserted', 'wireguard_peers_deleted']) AS wanted"
    " WHERE NOT EXISTS (SELECT 1 FROM pg_trigger"
    "  WHERE tgrelid = 'wireguard_peers'::regclass AND tgname = wanted)"
    " LIMIT 100";

// A dump that was restored in part lacks what came last, the primary keys among it: without that of
// spent_credentials a ticket would be taken twice.
constexpr std::string_view select_missing_parts =
    "SELECT wanted || ' is missing', wanted LIKE 'table %' FROM unnest(ARRAY["
    "'table bandwidth'"
    ", 'table clients'"
    ", 'table instances'"
    ", 'table lp_schema'"
    ", 'table lp_sessions'"
    ", 'table mixnet_clients'"
    ", 'table released_addresses'"
    ", 'table spent_credentials'"
    ", 'table wireguard_peers'"
    ", 'table wireguard_removals'"
    ", 'index bandwidth_pkey'"
    ", 'index clients_pkey'"
    ", 'index instances_pkey'"
    ", 'index lp_schema_pkey'"
    ", 'index lp_sessions_client'"
    ", 'index lp_sessions_open'"
    ", 'index lp_sessions_pkey'"
    ", 'index lp_sessions_started'"
    ", 'index mixnet_clients_client_key_key'"
    ", 'index mixnet_clients_pkey'"
    ", 'index released_addresses_family'"
    ", 'index released_addresses_instance_address_key'"
    ", 'index released_addresses_pkey'"
    ", 'index spent_credentials_client'"
    ", 'index spent_credentials_expiry'"
    ", 'index spent_credentials_pkey'"
    ", 'index spent_credentials_spent_at'"
    ", 'index wireguard_peers_instance_private_ipv4_key'"
    ", 'index wireguard_peers_instance_private_ipv6_key'"
    ", 'index wireguard_peers_page'"
    ", 'index wireguard_peers_pkey'"
    ", 'index wireguard_peers_public_key_key'"
    ", 'index wireguard_removals_pkey'"
    ", 'foreign key bandwidth_client_id_fkey'"
    ", 'foreign key lp_sessions_client_id_fkey'"
    ", 'foreign key mixnet_clients_id_fkey'"
    ", 'foreign key spent_credentials_client_id_fkey'"
    ", 'foreign key wireguard_peers_id_fkey'"
    ", 'foreign key wireguard_peers_instance_fkey'"
    "]) AS wanted WHERE wanted NOT IN ("
    "SELECT CASE relkind WHEN 'r' THEN 'table ' ELSE 'index ' END || relname FROM pg_class"
    " WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'i')"
    " UNION ALL SELECT 'foreign key ' || conname FROM pg_constraint"
    " WHERE connamespace = current_schema()::regnamespace AND contype = 'f')";

constexpr std::string_view select_indexes =
    "SELECT i.indexrelid, i.indexrelid::regclass FROM pg_index AS i"
    " JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam"
    " WHERE c.relnamespace = current_schema()::regnamespace AND a.amname = 'btree' AND i.indisvalid"
    " ORDER BY 2";

bool is_damage(const postgres::Error& error) {
  return error.kind == postgres::Error::Kind::corrupt;
}

}  // namespace

Result<std::vector<Finding>> PostgresStore::broken_constraints() {
  const auto rows = connection_->query(select_broken_constraints);
  if (!rows) return std::unexpected(rows.error());
  std::vector<Finding> findings;
  findings.reserve(rows->size());
  for (std::size_t row = 0; row < rows->size(); ++row)
    findings.push_back({"foreign_keys", std::string(rows->text(row, 0))});
  return findings;
}

// bt_index_check takes the lock of a reader. With `heapallindexed` every row must be in the index.
Result<std::vector<Finding>> PostgresStore::damaged_indexes(std::string& not_checked) {
  const auto schema = connection_->query(
      "SELECT quote_ident(n.nspname) FROM pg_extension AS e"
      " JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'");
  if (!schema) return std::unexpected(schema.error());
  if (schema->empty()) {
    not_checked = "the pages of tables and indexes: CREATE EXTENSION amcheck lets this be done";
    return std::vector<Finding>();
  }
  const auto indexes = connection_->query(select_indexes);
  if (!indexes) return std::unexpected(indexes.error());
  std::vector<Finding> findings;
  for (std::size_t row = 0; row < indexes->size(); ++row) {
    const auto checked =
        connection_->query(fmt::format("SELECT {}.bt_index_check($1::bigint::oid::regclass, true)",
                                       schema->text(0, 0)),
                           Params().add(indexes->integer(row, 0)));
    if (checked) continue;
    if (is_damage(checked.error())) {
      findings.push_back({"integrity", checked.error().detail});
      continue;
    }
    if (!connection_->is_open() || checked.error().kind == postgres::Error::Kind::busy) {
      return std::unexpected(checked.error());
    }
    not_checked = fmt::format("the pages of tables and indexes: {}", checked.error().detail);
    break;
  }
  return findings;
}

// A page that cannot be read is what is looked for, and no reason to end without a verdict.
Result<Checked> PostgresStore::check(UnixSeconds now, std::uint64_t retention) {
  Checked checked;
  auto& findings = checked.findings;
  const auto add = [&](Result<std::vector<Finding>> found) -> Status {
    if (!found && !is_damage(found.error())) return std::unexpected(std::move(found.error()));
    if (!found) found = std::vector<Finding>{{"integrity", found.error().detail}};
    findings.insert(findings.end(), found->begin(), found->end());
    return {};
  };
  // Each damage ends a transaction, so that this is none.
  if (auto done = add(damaged_indexes(checked.not_checked)); !done) {
    return std::unexpected(std::move(done.error()));
  }
  bool has_tables = true;
  auto done = read([&]() -> Status {
    const auto missing = connection_->query(select_missing_parts);
    if (!missing) return add(std::unexpected(missing.error()));
    for (std::size_t row = 0; row < missing->size(); ++row) {
      findings.push_back({"schema", std::string(missing->text(row, 0))});
      has_tables = has_tables && !missing->boolean(row, 1);
    }
    if (!has_tables) {
      checked.not_checked += checked.not_checked.empty() ? "" : "; ";
      checked.not_checked += "the invariants: a table is missing";
      return {};
    }
    if (auto constraints = add(broken_constraints()); !constraints) return constraints;
    return add([&]() -> Result<std::vector<Finding>> {
      const auto violations = gateway::storage::check_invariants(*connection_, now);
      if (!violations) return std::unexpected(violations.error());
      std::vector<Finding> broken;
      for (const auto& violation : *violations)
        broken.push_back({violation.invariant, violation.detail});
      const auto since = static_cast<std::int64_t>(now > retention ? now - retention : 0);
      const auto unpaid = connection_->query(select_unpaid_clients, Params().add(since));
      if (!unpaid) return std::unexpected(unpaid.error());
      for (std::size_t row = 0; row < unpaid->size(); ++row) {
        broken.push_back(
            {"credit_has_nullifiers",
             fmt::format("client {}: credited {}, its tickets brought {}", unpaid->text(row, 0),
                         unpaid->text(row, 1), unpaid->text(row, 2))});
      }
      return broken;
    }());
  });
  if (!done) return std::unexpected(std::move(done.error()));
  return checked;
}

}  // namespace lp::db_maint
