// The invariants of the gateway's database (docs/storage.md, "Invariants"), as PostgreSQL looks for
// what breaks them.
#pragma once

#include "lib/postgres/postgres.h"
#include "tools/db-maint/store.h"

namespace lp::db_maint {

/// Reads only. `now` tells which tickets are unexpired. At most 100 findings of each.
[[nodiscard]] Result<std::vector<Finding>> check_invariants(postgres::Connection& connection,
                                                            UnixSeconds now);

}  // namespace lp::db_maint
