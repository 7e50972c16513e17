#include <fmt/core.h>

#include <cstddef>
#include <tuple>

#include "lib/sqlite/database.h"

namespace lp::sqlite {
namespace {

Status migrate_in_transaction(Connection& connection, const Schema& schema) {
  // Again, under the write lock: another process may have migrated since.
  if (auto known = check_schema_version(connection, schema); !known) return known;
  const auto version = connection.query_integer("PRAGMA user_version");
  if (!version) return std::unexpected(version.error());
  for (auto i = static_cast<std::size_t>(*version); i < schema.migrations.size(); ++i) {
    if (auto done = connection.execute(schema.migrations[i]); !done) return done;
  }
  const auto pragmas = fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}",
                                   schema.application_id, schema.newest_version());
  return connection.execute(pragmas.c_str());
}

}  // namespace

Status check_schema_version(Connection& connection, const Schema& schema) {
  const auto tables = connection.query_integer("SELECT count(*) FROM sqlite_schema");
  if (!tables) return std::unexpected(tables.error());
  if (*tables == 0) return {};
  const auto owner = connection.query_integer("PRAGMA application_id");
  if (!owner) return std::unexpected(owner.error());
  const auto version = connection.query_integer("PRAGMA user_version");
  if (!version) return std::unexpected(version.error());
  if (*owner == schema.retired_application_id && *owner != 0 && *owner != schema.application_id) {
    return fail(Error::Kind::unavailable,
                fmt::format("was copied to PostgreSQL and is retired: who went on with it would "
                            "take every ticket again that {} takes there",
                            schema.program));
  }
  if (*owner != schema.application_id || *version < 1) {
    return fail(Error::Kind::unavailable,
                fmt::format("is the database of another program, not of {}", schema.program));
  }
  if (*version > schema.newest_version()) {
    return fail(
        Error::Kind::newer_schema,
        fmt::format("has schema version {}, this {} knows versions up to {}; it was written "
                    "by a newer one",
                    *version, schema.program, schema.newest_version()));
  }
  return {};
}

Status migrate(Connection& connection, const Schema& schema) {
  const auto version = connection.query_integer("PRAGMA user_version");
  if (!version) return std::unexpected(version.error());
  if (*version == schema.newest_version()) return {};
  if (auto begun = connection.execute("BEGIN IMMEDIATE"); !begun) return begun;
  auto done = migrate_in_transaction(connection, schema);
  if (done) done = connection.execute("COMMIT");
  if (!done && connection.in_transaction()) std::ignore = connection.execute("ROLLBACK");
  return done;
}

}  // namespace lp::sqlite
