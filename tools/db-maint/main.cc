#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <system_error>
#include <tuple>

#include "lib/cli/standard_streams.h"
#include "tools/db-maint/commands.h"
#include "tools/db-maint/interrupt.h"
#include "tools/db-maint/textfile.h"
#include "tools/db-maint/values.h"

namespace lp::db_maint {
namespace {

Report execute(Store& store, const Options& options, UnixSeconds now) {
  switch (options.command) {
    case Command::cleanup:
      return cleanup(store, options, now);
    case Command::stale_peers:
      return stale_peers(store, options, now);
    case Command::report:
      return report(store, options);
    case Command::stats:
      return stats(store, options, now);
    case Command::check:
      return check(store, options, now);
    case Command::backup:
      return backup(store, options);
    case Command::vacuum:
      return vacuum(store, options);
    case Command::migrate:
      return migrate(store, options);
    case Command::copy:
      return copy(store, options);
  }
  Report nothing;
  nothing.end_with({exit_status::internal, "there is no such command"});
  return nothing;
}

/// Whether the command writes to the database.
bool writes(const Options& options) {
  switch (options.command) {
    case Command::cleanup:
    case Command::migrate:
      return !options.dry_run;
    case Command::copy:
      return !options.dry_run && !options.keep_source;
    case Command::stale_peers:
      return options.remove && !options.dry_run;
    case Command::vacuum:
      return true;
    case Command::report:
    case Command::stats:
    case Command::check:
    case Command::backup:
      return false;
  }
  return false;
}

bool maintains(Command command) {
  return command == Command::vacuum || command == Command::migrate;
}

Report run(const Options& options) {
  const SystemWallClock clock;
  const auto begun = std::chrono::steady_clock::now();
  Report report;
  const auto store = open_store({.storage = options.storage,
                                 .lock_timeout = options.lock_timeout,
                                 .writes = writes(options),
                                 .maintains = writes(options) && maintains(options.command),
                                 .any_schema_version = options.command == Command::migrate ||
                                                       options.command == Command::backup,
                                 .retired = !writes(options) || options.command == Command::copy});
  if (!store) {
    report.end_with(store.error());
    return report;
  }
  const bool about_clients = options.command == Command::stale_peers ||
                             options.command == Command::report || options.command == Command::copy;
  if (about_clients && (*store)->kind() == StoreKind::issuer) {
    report.end_with(
        {exit_status::usage, fmt::format("{}: is an issuer's and has no peers", options.database)});
    return report;
  }
  if (!options.textfile.empty() && (*store)->would_lose(options.textfile)) {
    report.end_with(
        {exit_status::usage, fmt::format("{}: is the database itself, not a place for --textfile",
                                         options.textfile.string())});
    return report;
  }
  report = execute(**store, options, options.as_of.value_or(clock.now()));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  report.facts.emplace_back("duration_seconds", seconds);
  // After success alone: the time of the last one is what an alert looks at.
  if (options.textfile.empty() || report.status != exit_status::ok || options.dry_run) {
    return report;
  }
  if (const auto written = write_textfile(options, **store, report, clock.now(), seconds);
      !written) {
    report.end_with(written.error());
  }
  return report;
}

std::string shown(const Options& options, const Report& report) {
  if (options.format == Format::text) return to_text(report.table, report.facts);
  if (options.format == Format::csv) return to_csv(report.table);
  Facts facts{{"command", std::string(name(options.command))},
              {"storage", options.database},
              {"status", std::int64_t{report.status}},
              {"error", report.sentence.empty() ? Value() : Value(report.sentence)}};
  facts.insert(facts.end(), report.facts.begin(), report.facts.end());
  return to_json(report.table, facts);
}

int complain(int status, std::string_view sentence) {
  // Not with fmt::print, which throws where nobody reads: then there is but the exit status.
  std::ignore = std::fputs(fmt::format("lp-db-maint: {}\n", printable(sentence)).c_str(), stderr);
  return status;
}

int print(const Options& options, const Report& report) {
  const bool nothing_to_say = report.table.columns.empty() && options.format == Format::csv;
  const std::string text = nothing_to_say ? std::string() : shown(options, report);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return complain(
        exit_status::cannot_create,
        fmt::format("the output cannot be written: {}", std::generic_category().message(errno)));
  }
  return report.sentence.empty() ? report.status : complain(report.status, report.sentence);
}

int db_maint_main(int argc, const char* const* argv) {
  cli::open_standard_streams();
  // Libraries throw where memory or the system fails.
  try {
    const auto options = parse_options(argc, argv);
    if (!options) return options.error().exit_code;
    catch_interrupts();
    return print(*options, run(*options));
  } catch (const std::exception& error) {
    return complain(exit_status::internal, error.what());
  }
}

}  // namespace
}  // namespace lp::db_maint

int main(int argc, char** argv) {
  return lp::db_maint::db_maint_main(argc, argv);
}
