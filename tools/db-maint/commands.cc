#include "tools/db-maint/commands.h"

#include <fmt/format.h>

#include "tools/db-maint/progress.h"

namespace lp::db_maint {
namespace {

Report failed(const Options& options, const sqlite::Error& error) {
  Report report;
  report.end_with(failure_of(error, options.database));
  return report;
}

/// Has the database for this process alone. Nothing where it has.
std::optional<Report> refuse_unless_alone(Store& store, const Options& options) {
  const auto alone = store.take_exclusively({});
  if (!alone) return failed(options, alone.error());
  if (*alone) return std::nullopt;
  Report report;
  report.end_with(
      {exit_status::unknown,
       fmt::format("{}: another process has it open, and {} would keep it waiting; stop the {}{}",
                   options.database, name(options.command), name(store.kind()),
                   who_has_it_open(options.database))});
  return report;
}

}  // namespace

Report report(Store& store, const Options& options) {
  auto table = store.report(options.limit);
  if (!table) return failed(options, table.error());
  return {.table = std::move(*table)};
}

Report stats(Store& store, const Options& options, UnixSeconds now) {
  const auto facts = store.stats(now);
  if (!facts) return failed(options, facts.error());
  Report report;
  report.table.columns = {"name", "value"};
  for (const auto& [name, value] : *facts)
    report.table.rows.push_back({name, value});
  return report;
}

Report check(Store& store, const Options& options, UnixSeconds now) {
  const auto checked = store.check(now, options.retention);
  if (!checked) return failed(options, checked.error());
  const auto& findings = checked->findings;
  Report report;
  report.table.columns = {"check", "detail"};
  for (const auto& finding : findings)
    report.table.rows.push_back({finding.check, finding.detail});
  report.facts = {{"findings", std::ssize(findings)}};
  if (!checked->not_checked.empty()) {
    report.facts.emplace_back("not_checked", checked->not_checked);
  }
  if (!findings.empty()) {
    report.end_with(
        {exit_status::critical, fmt::format("{}: {} finding{}, the first: {}: {}", options.database,
                                            findings.size(), findings.size() == 1 ? "" : "s",
                                            findings.front().check, findings.front().detail)});
  }
  return report;
}

Report backup(Store& store, const Options& options) {
  Progress progress;
  const auto size = store.backup(options.backup_file, [&](auto done, auto total) {
    progress.show(total > 0 ? "pages copied" : "bytes written", done, total);
  });
  Report report;
  if (!size) {
    report.end_with(size.error());
    return report;
  }
  report.table.columns = {"file", "bytes", "pages"};
  report.table.rows.push_back(
      {options.backup_file.string(), size->bytes, size->pages ? Value(*size->pages) : Value()});
  return report;
}

Report vacuum(Store& store, const Options& options) {
  if (store.vacuum_is_exclusive()) {
    if (auto refused = refuse_unless_alone(store, options)) return *std::move(refused);
  }
  const auto before = store.file_bytes();
  if (const auto done = store.vacuum(); !done) return failed(options, done.error());
  Report report;
  report.table.columns = {"bytes_before", "bytes_after"};
  report.table.rows.push_back({before, store.file_bytes()});
  return report;
}

Report migrate(Store& store, const Options& options) {
  const auto before = store.schema_version();
  if (!before) return failed(options, before.error());
  const bool due = *before != store.newest_schema_version();
  if (due && !options.dry_run) {
    if (auto refused = refuse_unless_alone(store, options)) return *std::move(refused);
    if (const auto done = store.migrate(); !done) return failed(options, done.error());
  }
  Report report;
  report.table.columns = {"version_before", "version_after"};
  report.table.rows.push_back({*before, store.newest_schema_version()});
  report.facts = {{"dry_run", options.dry_run}};
  return report;
}

}  // namespace lp::db_maint
