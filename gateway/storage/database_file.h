// The database file: created with mode 0600, opened with every check that turns a wrong file into
// a sentence instead of a surprise.
#pragma once

#include <filesystem>

#include "gateway/storage/sqlite.h"

namespace lp::gateway::storage {

/// Creates the file where it is missing, opens it, refuses what is not ours, sets WAL and
/// synchronous=FULL and brings the schema to its newest version. The error's detail does not repeat
/// the path.
[[nodiscard]] StorageResult<Connection> open_database(const std::filesystem::path& path);

/// One more connection to a database that `open_database` has opened, for reading only.
[[nodiscard]] StorageResult<Connection> open_reader(const std::filesystem::path& path);

}  // namespace lp::gateway::storage
