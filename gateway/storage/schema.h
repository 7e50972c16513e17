// The schema of the SQLite database and its versions (docs/storage.md, "Schema").
#pragma once

#include <cstdint>

#include "gateway/storage/sqlite.h"

namespace lp::gateway::storage {

/// PRAGMA application_id of our databases: "LPGW".
inline constexpr std::int64_t application_id = 0x4c504757;
/// PRAGMA user_version of the newest schema this program knows.
[[nodiscard]] std::int64_t newest_schema_version() noexcept;

/// Reads, without writing, whether the database is ours and of a version we know. Fails with
/// corrupt (no database), unavailable (another program's database), newer_schema.
StorageStatus check_schema_version(Connection& connection);

/// Brings the schema to the newest version, from whatever version it has, in one transaction. Safe
/// where several processes do so at the same time.
StorageStatus migrate(Connection& connection);

/// Writes the version that stands there: the smallest change that has to reach the disk.
StorageStatus rewrite_schema_version(Connection& connection);

}  // namespace lp::gateway::storage
