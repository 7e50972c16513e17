#include "tools/db-maint/failure.h"

#include <fmt/format.h>

#include "tools/db-maint/interrupt.h"

namespace lp::db_maint {

Failure failure_of(const sqlite::Error& error, const std::string& database) {
  using Kind = sqlite::Error::Kind;
  if (interrupted()) {
    return {exit_status::unknown, "interrupted; what was done stays done, the rest as it was"};
  }
  switch (error.kind) {
    case Kind::corrupt:
      return {exit_status::critical,
              fmt::format("{}: is damaged ({}); keep it with its -wal, and see lp-db-maint check",
                          database, error.detail)};
    case Kind::busy:
      return {exit_status::unknown,
              fmt::format("{}: locked by another process for longer than --lock-timeout ({}); "
                          "fuser names who has it open",
                          database, error.detail)};
    case Kind::full:
      return {exit_status::cannot_create,
              fmt::format("{}: no space is left ({}); what did not fit was not done", database,
                          error.detail)};
    case Kind::newer_schema:
      return {exit_status::no_input,
              fmt::format("{}: {}; use the lp-db-maint of that version", database, error.detail)};
    case Kind::invalid:
    case Kind::shutting_down:
      return {exit_status::internal, fmt::format("{}: {}", database, error.detail)};
    case Kind::unavailable:
      break;
  }
  return {exit_status::unavailable, fmt::format("{}: {}", database, error.detail)};
}

}  // namespace lp::db_maint
