// The invariants of check.h as PostgreSQL looks for what breaks them.
#pragma once

#include <vector>

#include "gateway/storage/check.h"
#include "lib/postgres/postgres.h"

namespace lp::gateway::storage {

/// As for SQLite.
[[nodiscard]] StorageResult<std::vector<Violation>> check_invariants(
    postgres::Connection& connection, UnixSeconds now);

}  // namespace lp::gateway::storage
