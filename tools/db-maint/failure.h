// How a command ends when it does not end well (lp-db-maint(8), "EXIT STATUS"): the codes of
// lp-probe, Nagios' four and then those of sysexits(3).
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "lib/sqlite/error.h"

namespace lp::db_maint {

namespace exit_status {
inline constexpr int ok = 0;
inline constexpr int warning = 1;    ///< done in part, the rest in a later run
inline constexpr int critical = 2;   ///< the database is damaged or breaks an invariant
inline constexpr int unknown = 3;    ///< not done: locked by another, interrupted, doubtful clock
inline constexpr int usage = 64;     ///< EX_USAGE
inline constexpr int no_input = 66;  ///< EX_NOINPUT: no database of ours
inline constexpr int unavailable = 69;    ///< EX_UNAVAILABLE: the system fails to read or write
inline constexpr int internal = 70;       ///< EX_SOFTWARE
inline constexpr int cannot_create = 73;  ///< EX_CANTCREAT: a file cannot be made, no space is left
inline constexpr int no_permission = 77;  ///< EX_NOPERM
inline constexpr int config = 78;         ///< EX_CONFIG
}  // namespace exit_status

/// An exit status and one sentence for people, without full stop.
struct Failure {
  int status = exit_status::internal;
  std::string sentence;
};
template <typename T>
using Outcome = std::expected<T, Failure>;

[[nodiscard]] inline std::unexpected<Failure> fail(int status, std::string sentence) {
  return std::unexpected(Failure{status, std::move(sentence)});
}

/// " (…)": what names the processes that use this database.
[[nodiscard]] std::string_view who_has_it_open(std::string_view database) noexcept;

/// A database error as an exit status, with what to do about it.
[[nodiscard]] Failure failure_of(const sqlite::Error& error, const std::string& database);

}  // namespace lp::db_maint
