// Whether a PostgreSQL server lets us do what a command needs, asked before it begins: what the
// server says in the middle of the work may be in any language, and comes when half of it is done.
#pragma once

#include <cstdint>
#include <string>

#include "lib/postgres/postgres.h"
#include "tools/db-maint/failure.h"

namespace lp::db_maint {

/// What a command does with the tables.
enum class Access : std::uint8_t {
  read,
  write,     ///< rows
  maintain,  ///< vacuum, migrate: what only an owner may
};

/// The version of the gateway's schema, 0 where there are no tables. Exit status 77 where the role
/// may not use the schema or not read whose tables are in it, or where `writes` and the server is a
/// standby or takes none; 66 where the tables are another program's.
[[nodiscard]] Outcome<std::int64_t> look_at_schema(postgres::Connection& connection,
                                                   const std::string& database, bool writes);
/// Exit status 77 where the role may not make tables in the schema.
[[nodiscard]] Outcome<void> check_may_create(postgres::Connection& connection,
                                             const std::string& database);
/// The same where there is a table in the schema to which the role has not such access.
[[nodiscard]] Outcome<void> check_rights(postgres::Connection& connection,
                                         const std::string& database, Access access);

}  // namespace lp::db_maint
