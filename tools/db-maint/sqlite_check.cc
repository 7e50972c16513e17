// What `check` looks at in SQLite: the pages, the schema, the rows that refer to others, and then
// the program's own invariants.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tools/db-maint/sqlite_store.h"

namespace lp::db_maint {
namespace {

constexpr int most_findings = 100;

/// "type name" of what the schema consists of, as its migrations make it.
Result<std::vector<std::string>> parts_of(const sqlite::Schema& schema) {
  auto database = sqlite::Connection::open(":memory:");
  if (!database) return std::unexpected(std::move(database.error()));
  if (auto made = sqlite::migrate(*database, schema); !made) {
    return std::unexpected(std::move(made.error()));
  }
  auto statement =
      sqlite::Statement::prepare(*database,
                                 "SELECT type || ' ' || name FROM sqlite_schema"
                                 " WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY rowid");
  if (!statement) return std::unexpected(std::move(statement.error()));
  sqlite::Query query(*statement);
  std::vector<std::string> parts;
  while (true) {
    const auto next = query.next();
    if (!next) return std::unexpected(next.error());
    if (!*next) return parts;
    parts.emplace_back(query.text(0));
  }
}

}  // namespace

std::vector<std::string> complaints_of(std::string_view verdict) {
  std::vector<std::string> complaints;
  while (!verdict.empty()) {
    const auto line = verdict.substr(0, verdict.find('\n'));
    verdict.remove_prefix(std::min(verdict.size(), line.size() + 1));
    if (!line.empty() && line != "ok" && !line.starts_with("***")) complaints.emplace_back(line);
  }
  return complaints;
}

// A trigger that is gone leaves no trace in the rows until addresses are handed out too early.
Result<std::vector<Finding>> SqliteStore::missing_parts() {
  const auto parts = parts_of(schema_);
  if (!parts) return std::unexpected(parts.error());
  std::vector<std::string> found;
  auto done = each_row("SELECT type || ' ' || name FROM sqlite_schema", {},
                       [&](const sqlite::Query& row) { found.emplace_back(row.text(0)); });
  if (!done) return std::unexpected(std::move(done.error()));
  std::vector<Finding> missing;
  for (const auto& part : *parts) {
    if (std::ranges::find(found, part) == found.end())
      missing.push_back({"schema", part + " is missing"});
  }
  return missing;
}

// A page that cannot be read is what is looked for, and no reason to end without a verdict.
Result<Checked> SqliteStore::check(UnixSeconds now, std::uint64_t retention) {
  return read([&]() -> Result<Checked> {
    Checked checked;
    auto& findings = checked.findings;
    const auto add = [&](const char* check, std::string detail) {
      findings.push_back({check, std::move(detail)});
    };
    const auto is_damage = [&](const Status& status, const char* check) {
      if (status || status.error().kind != sqlite::Error::Kind::corrupt) return false;
      add(check, status.error().detail);
      return true;
    };
    // One row may hold many complaints, each in a line.
    auto done = each_row(fmt::format("PRAGMA integrity_check({})", most_findings), {},
                         [&](const sqlite::Query& row) {
                           for (auto& complaint : complaints_of(row.text(0)))
                             if (std::ssize(findings) < most_findings)
                               add("integrity", std::move(complaint));
                         });
    if (is_damage(done, "integrity")) return checked;
    if (!done) return std::unexpected(std::move(done.error()));
    int listed = 0;
    done = each_row("PRAGMA foreign_key_check", {}, [&](const sqlite::Query& row) {
      if (++listed > most_findings) return;
      add("foreign_keys", fmt::format("{} row {} names a row of {} that is not there", row.text(0),
                                      row.integer(1), row.text(2)));
    });
    if (is_damage(done, "foreign_keys")) return checked;
    if (!done) return std::unexpected(std::move(done.error()));
    auto missing = missing_parts();
    if (!missing) return std::unexpected(std::move(missing.error()));
    findings.insert(findings.end(), missing->begin(), missing->end());
    auto broken = broken_invariants(now, retention);
    if (!broken && broken.error().kind == sqlite::Error::Kind::corrupt) {
      add("integrity", broken.error().detail);
      return checked;
    }
    // Of a table that is not there.
    if (!broken && !missing->empty()) {
      checked.not_checked = "the invariants: " + broken.error().detail;
      return checked;
    }
    if (!broken) return std::unexpected(std::move(broken.error()));
    findings.insert(findings.end(), broken->begin(), broken->end());
    return checked;
  });
}

}  // namespace lp::db_maint
