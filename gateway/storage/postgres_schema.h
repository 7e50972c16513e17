// The schema of the PostgreSQL database and its versions (docs/storage.md, "Several instances on
// PostgreSQL").
#pragma once

#include <string_view>

#include "lib/postgres/migrate.h"
#include "lib/postgres/postgres.h"

namespace lp::gateway::storage {

[[nodiscard]] const postgres::Schema& postgres_schema();

/// The lock that a gateway holds on its instance's name as long as it runs; it belongs to the
/// session. False: somebody else has it.
[[nodiscard]] postgres::Result<bool> try_lock_instance(postgres::Connection& connection,
                                                       std::string_view instance);
void unlock_instance(postgres::Connection& connection, std::string_view instance);

}  // namespace lp::gateway::storage
