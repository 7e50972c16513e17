#include "tools/db-maint/postgres_access.h"

#include <fmt/format.h>

#include <string_view>

#include "gateway/storage/postgres_schema.h"

namespace lp::db_maint {
namespace {

using postgres::Connection;

/// Of each schema that the search_path names, with the role for "$user".
constexpr std::string_view select_unusable_schema =
    "SELECT n.nspname FROM pg_namespace AS n"
    " WHERE NOT has_schema_privilege(n.oid, 'USAGE') AND n.nspname IN"
    "  (SELECT replace(btrim(s, ' \"'), '$user', current_user)"
    "    FROM unnest(string_to_array(current_setting('search_path'), ',')) AS s)"
    " ORDER BY 1 LIMIT 1";

constexpr std::string_view select_unreadable_version =
    "SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = current_schema()::regnamespace"
    " AND c.relname = 'lp_schema' AND c.relkind = 'r' AND NOT has_table_privilege(c.oid, 'SELECT')";

/// Of each table: what is missing, an empty text where nothing is. The version is read and never
/// written but by its owner.
constexpr std::string_view missing_to_read =
    "CASE WHEN NOT has_table_privilege(c.oid, 'SELECT') THEN 'SELECT' ELSE '' END";
constexpr std::string_view missing_to_write =
    "CASE WHEN NOT has_table_privilege(c.oid, 'SELECT') THEN 'SELECT'"
    " WHEN c.relname = 'lp_schema' THEN ''"
    " WHEN NOT has_table_privilege(c.oid, 'INSERT') THEN 'INSERT'"
    " WHEN NOT has_table_privilege(c.oid, 'UPDATE') THEN 'UPDATE'"
    " WHEN NOT has_table_privilege(c.oid, 'DELETE') THEN 'DELETE' ELSE '' END";
/// The owner of the database may vacuum what is in it, and from PostgreSQL 17 on others may be let.
constexpr std::string_view missing_to_maintain =
    "CASE WHEN NOT has_table_privilege(c.oid, 'SELECT') THEN 'SELECT'"
    " WHEN pg_has_role((SELECT d.datdba FROM pg_database AS d"
    "   WHERE d.datname = current_database()), 'USAGE') THEN ''"
    " WHEN CASE WHEN current_setting('server_version_num')::integer >= 170000"
    "   THEN has_table_privilege(c.oid, 'MAINTAIN')"
    "   ELSE pg_has_role(c.relowner, 'USAGE') END THEN '' ELSE 'ownership' END";

std::string_view missing(Access access) {
  switch (access) {
    case Access::read:
      return missing_to_read;
    case Access::write:
      return missing_to_write;
    case Access::maintain:
      break;
  }
  return missing_to_maintain;
}

std::unexpected<Failure> denied(const std::string& database, const std::string& why) {
  return fail(exit_status::no_permission, fmt::format("{}: {}", database, why));
}

std::string lacks(std::string_view kind, std::string_view name, std::string_view right) {
  return fmt::format("permission denied for {} {}: this role lacks {}", kind, name, right);
}

Outcome<void> check_takes_writes(Connection& connection, const std::string& database) {
  const auto rows = connection.query(
      "SELECT pg_is_in_recovery(), current_setting('transaction_read_only')::boolean");
  if (!rows) return std::unexpected(failure_of(rows.error(), database));
  if (rows->boolean(0, 0)) {
    return denied(database, "takes no writes: it is a standby, and its primary is another server");
  }
  if (rows->boolean(0, 1)) {
    return denied(database, "takes no writes: default_transaction_read_only is on");
  }
  return {};
}

Outcome<void> check_may_look(Connection& connection, const std::string& database) {
  const auto current = connection.query("SELECT 1 WHERE current_schema() IS NOT NULL");
  if (!current) return std::unexpected(failure_of(current.error(), database));
  const bool usable = !current->empty();
  const auto rows = connection.query(usable ? select_unreadable_version : select_unusable_schema);
  if (!rows) return std::unexpected(failure_of(rows.error(), database));
  if (rows->empty()) return {};
  const auto name = rows->text(0, 0);
  return denied(database, usable ? lacks("table", name, "SELECT") : lacks("schema", name, "USAGE"));
}

}  // namespace

Outcome<std::int64_t> look_at_schema(Connection& connection, const std::string& database,
                                     bool writes) {
  auto checked = writes ? check_takes_writes(connection, database) : Outcome<void>{};
  if (checked) checked = check_may_look(connection, database);
  if (!checked) return std::unexpected(checked.error());
  const auto version =
      postgres::check_schema_version(connection, gateway::storage::postgres_schema());
  if (version) return *version;
  const auto& error = version.error();
  if (error.kind != postgres::Error::Kind::unavailable || !connection.is_open()) {
    return std::unexpected(failure_of(error, database));
  }
  return fail(exit_status::no_input, fmt::format("{}: {}", database, error.detail));
}

Outcome<void> check_may_create(Connection& connection, const std::string& database) {
  const auto rows = connection.query(
      "SELECT current_schema() WHERE NOT has_schema_privilege(current_schema(), 'CREATE')");
  if (!rows) return std::unexpected(failure_of(rows.error(), database));
  if (rows->empty()) return {};
  return denied(database, lacks("schema", rows->text(0, 0), "CREATE"));
}

Outcome<void> check_rights(Connection& connection, const std::string& database, Access access) {
  const auto rows = connection.query(
      fmt::format("SELECT relname, missing FROM (SELECT c.relname, {} AS missing FROM pg_class AS c"
                  " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'"
                  ") AS t WHERE missing <> '' ORDER BY relname LIMIT 1",
                  missing(access)));
  if (!rows) return std::unexpected(failure_of(rows.error(), database));
  if (rows->empty()) return {};
  return denied(database, lacks("table", rows->text(0, 0), rows->text(0, 1)));
}

}  // namespace lp::db_maint
