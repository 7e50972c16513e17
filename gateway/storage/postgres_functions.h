// What a gateway asks the PostgreSQL database to do for many calls in one round trip: functions of
// the schema (docs/storage.md, "Several instances on PostgreSQL"), part of its first migration.
#pragma once

#include <string_view>

namespace lp::gateway::storage {

extern const std::string_view postgres_functions;

}  // namespace lp::gateway::storage
