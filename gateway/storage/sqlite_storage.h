// Storage in one SQLite file: WAL, synchronous=FULL, foreign_keys=ON, mode 0600, one writer thread.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "gateway/storage/storage.h"

namespace lp::gateway::storage {

struct SqliteOptions {
  std::filesystem::path path;
  std::string
      ipv4_pool;  ///< CIDR; network, first (the gateway's) and broadcast addresses stay unused
  std::string ipv6_pool;
  /// One transaction for each registration instead of one for all that wait. For comparison only.
  bool commit_each = false;
};

/// Opens or creates the database, migrates its schema in a transaction, reads the address pool's
/// state and starts the writer. Errors name the file and what is wrong with it.
[[nodiscard]] StorageResult<std::unique_ptr<Storage>> open_sqlite(SqliteOptions options);

}  // namespace lp::gateway::storage
