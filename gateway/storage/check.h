// The invariants of the database (docs/storage.md, "Invariants"), as queries that find what breaks
// them. The tests and lp-db-maint check assert the same ones.
#pragma once

#include <string>
#include <vector>

#include "gateway/storage/storage.h"

struct sqlite3;

namespace lp::gateway::storage {

struct Violation {
  std::string invariant;  ///< its stable name, such as "balance"
  std::string detail;     ///< the row, for people
};

/// Reads only. `now` tells which tickets are unexpired. At most 100 violations of each invariant
/// are listed. Fails where the database cannot be read.
[[nodiscard]] StorageResult<std::vector<Violation>> check_invariants(sqlite3* database,
                                                                     UnixSeconds now);

}  // namespace lp::gateway::storage
