#include "tools/db-maint/failure.h"

#include <fmt/format.h>

#include "tools/db-maint/interrupt.h"

namespace lp::db_maint {

namespace {

bool is_postgres(std::string_view database) noexcept {
  return database.starts_with("postgresql://");
}

}  // namespace

std::string_view who_has_it_open(std::string_view database) noexcept {
  return is_postgres(database) ? " (pg_stat_activity names who uses it)"
                               : " (fuser names who has it open)";
}

Failure failure_of(const sqlite::Error& error, const std::string& database) {
  using Kind = sqlite::Error::Kind;
  if (interrupted()) {
    return {exit_status::unknown, "interrupted; what was done stays done, the rest as it was"};
  }
  switch (error.kind) {
    case Kind::corrupt:
      return {exit_status::critical,
              fmt::format("{}: is damaged ({}); keep it{}, and see lp-db-maint check", database,
                          error.detail, is_postgres(database) ? "" : " with its -wal")};
    case Kind::busy:
      return {exit_status::unknown,
              fmt::format("{}: locked by another process for longer than --lock-timeout ({}){}",
                          database, error.detail, who_has_it_open(database))};
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
