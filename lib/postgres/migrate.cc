#include "lib/postgres/migrate.h"

#include <fmt/core.h>

#include <string>
#include <tuple>

namespace lp::postgres {
namespace {

/// Held while tables are made.
constexpr std::int64_t migration_lock = 0x6c70'6d69'6772;  // "lpmigr"

Status migrate_in_transaction(Connection& connection, const Schema& schema) {
  // Waits for whoever migrates; by then there may be nothing left to do.
  auto locked = connection.query("SELECT pg_advisory_xact_lock($1)", Params().add(migration_lock));
  if (!locked) return std::unexpected(std::move(locked.error()));
  const auto version = check_schema_version(connection, schema);
  if (!version) return std::unexpected(version.error());
  if (*version == 0) {
    auto made = connection.execute(
        "CREATE TABLE lp_schema (only_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),"
        " program TEXT NOT NULL, version BIGINT NOT NULL)");
    if (!made) return made;
    auto noted = connection.query("INSERT INTO lp_schema (program, version) VALUES ($1, 0)",
                                  Params().add(schema.program));
    if (!noted) return std::unexpected(std::move(noted.error()));
  }
  for (auto i = static_cast<std::size_t>(*version); i < schema.migrations.size(); ++i) {
    if (auto done = connection.execute(schema.migrations[i]); !done) return done;
  }
  auto noted =
      connection.query("UPDATE lp_schema SET version = $1", Params().add(schema.newest_version()));
  if (!noted) return std::unexpected(std::move(noted.error()));
  return {};
}

}  // namespace

Result<std::int64_t> check_schema_version(Connection& connection, const Schema& schema) {
  const auto current = connection.query_text("SELECT coalesce(current_schema(), '')");
  if (!current) return std::unexpected(current.error());
  if (current->empty()) {
    return fail(Error::Kind::unavailable, "the search_path names no schema that exists");
  }
  // Tables, views and sequences, but not those that an extension has brought.
  const auto tables = connection.query(
      "SELECT c.relname FROM pg_class AS c"
      " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')"
      " AND NOT EXISTS (SELECT 1 FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass"
      "  AND d.objid = c.oid AND d.deptype = 'e')"
      " ORDER BY c.relname = 'lp_schema' DESC LIMIT 1");
  if (!tables) return std::unexpected(tables.error());
  if (tables->empty()) return 0;
  const auto foreign = [&] {
    return fail(Error::Kind::unavailable,
                fmt::format("schema '{}' holds the tables of another program, not of {}", *current,
                            schema.program));
  };
  if (tables->text(0, 0) != "lp_schema") return foreign();
  const auto row = connection.query("SELECT program, version FROM lp_schema");
  if (!row) return std::unexpected(row.error());
  if (row->size() != 1 || row->text(0, 0) != schema.program) return foreign();
  const auto version = row->integer(0, 1);
  if (version < 1) return foreign();
  if (version > schema.newest_version()) {
    return fail(
        Error::Kind::newer_schema,
        fmt::format("has schema version {}, this {} knows versions up to {}; it was written "
                    "by a newer one",
                    version, schema.program, schema.newest_version()));
  }
  return version;
}

Status migrate(Connection& connection, const Schema& schema) {
  const auto version = check_schema_version(connection, schema);
  if (!version) return std::unexpected(version.error());
  if (*version == schema.newest_version()) return {};
  if (auto begun = connection.execute("BEGIN"); !begun) return begun;
  auto done = migrate_in_transaction(connection, schema);
  if (done) done = connection.execute("COMMIT");
  if (!done) std::ignore = connection.execute("ROLLBACK");
  return done;
}

}  // namespace lp::postgres
