// The schema of the SQLite database and its versions (docs/storage.md, "Schema").
#pragma once

#include <cstdint>

#include "gateway/storage/sqlite.h"
#include "lib/sqlite/database.h"

namespace lp::gateway::storage {

/// PRAGMA application_id of our databases: "LPGW".
inline constexpr std::int64_t application_id = 0x4c504757;
/// That of one which lp-db-maint has copied to PostgreSQL: "LPGX".
inline constexpr std::int64_t retired_application_id = 0x4c504758;
[[nodiscard]] const sqlite::Schema& schema() noexcept;
/// PRAGMA user_version of the newest schema this program knows.
[[nodiscard]] std::int64_t newest_schema_version() noexcept;

/// Writes the version that stands there: the smallest change that has to reach the disk.
StorageStatus rewrite_schema_version(Connection& connection);

}  // namespace lp::gateway::storage
