// A program's database file: created with mode 0600, opened with every check that turns a wrong
// file into a sentence instead of a surprise.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "lib/sqlite/sqlite.h"

namespace lp::sqlite {

/// What a program's databases look like. What it views must outlive it.
struct Schema {
  std::int64_t application_id = 0;  ///< PRAGMA application_id
  std::string_view program;         ///< whose it is, for messages
  /// Migration n leads from version n to n + 1; a released one never changes. PRAGMA user_version
  /// is the number of those that were carried out.
  std::span<const char* const> migrations;
  /// PRAGMA application_id of one that was copied to another database and must not be gone on with:
  /// it is refused. 0: there are none.
  std::int64_t retired_application_id = 0;

  [[nodiscard]] std::int64_t newest_version() const noexcept {
    return static_cast<std::int64_t>(migrations.size());
  }
};

/// Creates the file where it is missing, opens it, refuses what is not ours, sets WAL and
/// synchronous=FULL and brings the schema to its newest version. The error's detail does not repeat
/// the path.
[[nodiscard]] Result<Connection> open_database(const std::filesystem::path& path,
                                               const Schema& schema);

/// One more connection to a database that `open_database` has opened, for reading only.
[[nodiscard]] Result<Connection> open_reader(const std::filesystem::path& path);

/// Opens a database that is there, with the hardening of `open_database` and nothing else of it:
/// creates, checks, converts and migrates nothing. For programs that look after the databases of
/// others. One that may not be written is opened for reading, which `is_read_only` tells.
[[nodiscard]] Result<Connection> open_existing(const std::filesystem::path& path,
                                               std::chrono::milliseconds lock_timeout);

/// Reads, without writing, whether the database is ours and of a version we know. Fails with
/// corrupt (no database), unavailable (another program's database), newer_schema.
Status check_schema_version(Connection& connection, const Schema& schema);

/// Brings the schema to the newest version, from whatever version it has, in one transaction. Safe
/// where several processes do so at the same time.
Status migrate(Connection& connection, const Schema& schema);

}  // namespace lp::sqlite
