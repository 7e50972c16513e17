// The command line of lp-db-maint, and LP_DB_MAINT_* of the environment (lp-db-maint(8)).
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>

#include "lib/base/clock.h"
#include "tools/db-maint/table.h"

namespace lp::db_maint {

enum class Command : std::uint8_t {
  cleanup,
  stale_peers,
  report,
  stats,
  check,
  backup,
  vacuum,
  migrate,
  copy,
};
/// As it is written.
[[nodiscard]] std::string_view name(Command command) noexcept;

/// As given; checked but for what needs the system.
struct Options {
  Command command = Command::stats;
  Format format = Format::text;
  bool dry_run = false;
  bool force = false;                                                ///< whatever the clock says
  bool remove = false;                                               ///< of stale-peers
  bool keep_source = false;                                          ///< of copy: it stays usable
  std::string storage{"sqlite:/var/lib/lp-gateway/gateway.sqlite"};  ///< may hold a password
  std::string database{};                                            ///< the same, to be shown
  std::chrono::milliseconds lock_timeout{5'000};
  std::filesystem::path textfile;                 ///< empty: none
  std::optional<UnixSeconds> as_of;               ///< the time to judge by, in place of the clock's
  std::uint64_t retention = 30 * 86'400;          ///< seconds
  std::uint64_t session_retention = 30 * 86'400;  ///< seconds
  std::uint64_t stale_after = 7 * 86'400;         ///< seconds
  std::chrono::milliseconds wait{90'000};         ///< for the gateway, while it confirms nothing
  std::int64_t limit = 100;
  std::filesystem::path backup_file;
  std::string target{};           ///< of copy; may hold a password
  std::string target_database{};  ///< the same, to be shown
  std::string instance{};         ///< whose peers the copied ones become
};

/// Parsing ends with this where nothing is to be done: help was printed, or wrong usage was said.
struct ParseEnd {
  int exit_code = 0;
};
[[nodiscard]] std::expected<Options, ParseEnd> parse_options(int argc, const char* const* argv);

}  // namespace lp::db_maint
