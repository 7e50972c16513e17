// Which tables a program's database has, and how they come to be there.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "lib/postgres/postgres.h"

namespace lp::postgres {

/// What a program's databases look like. What it views must outlive it.
///
/// Tables are in the connection's current schema, the first of its search_path that exists. There,
/// the one row of lp_schema (program, version) tells whose they are and how many migrations were
/// carried out.
struct Schema {
  std::string_view program;
  /// Migration n leads from version n to n + 1; a released one never changes.
  std::span<const std::string_view> migrations;

  [[nodiscard]] std::int64_t newest_version() const noexcept {
    return static_cast<std::int64_t>(migrations.size());
  }
};

/// The version of the database; 0 where the schema is empty. Reads only. Fails with unavailable
/// (another program's tables, a search_path that names no schema) or newer_schema.
[[nodiscard]] Result<std::int64_t> check_schema_version(Connection& connection,
                                                        const Schema& schema);

/// Brings the schema to the newest version, from whatever version it has, in one transaction. Where
/// several processes do so at the same time, one does it and the others wait.
Status migrate(Connection& connection, const Schema& schema);

}  // namespace lp::postgres
