// The online backup: a snapshot of the database, page by page, while others write to it.
#include <fmt/format.h>
#include <sqlite3.h>

#include <memory>
#include <system_error>

#include "tools/db-maint/interrupt.h"
#include "tools/db-maint/partial_file.h"
#include "tools/db-maint/sqlite_store.h"

namespace lp::db_maint {
namespace {

constexpr int pages_of_a_step = 256;
/// Between steps: the disk is the gateway's as well.
constexpr std::chrono::milliseconds pause{1};
constexpr unsigned owner_only = 0600;

struct Finish {
  void operator()(sqlite3_backup* backup) const noexcept { sqlite3_backup_finish(backup); }
};

Failure cannot_write(const std::filesystem::path& file, const sqlite::Error& error) {
  if (interrupted()) return failure_of(error, file.string());
  return {exit_status::cannot_create,
          fmt::format("{}: cannot be written: {}", file.string(), error.detail)};
}

/// Copies `source`, which is in a read transaction: the snapshot stays the same and the copy never
/// begins anew, whatever is committed meanwhile.
Outcome<BackupSize> copy(sqlite::Connection& source, const std::filesystem::path& partial,
                         const std::string& database, const OnProgress& on_progress) {
  auto opened = sqlite::Connection::open(partial);
  if (!opened) return std::unexpected(cannot_write(partial, opened.error()));
  // A copy that is cut off is thrown away: nothing of it needs a journal.
  auto set = opened->execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
  if (!set) return std::unexpected(cannot_write(partial, set.error()));
  const std::unique_ptr<sqlite3_backup, Finish> backup(
      sqlite3_backup_init(opened->handle(), "main", source.handle(), "main"));
  if (!backup) {
    return std::unexpected(
        cannot_write(partial, sqlite::last_error(opened->handle(), "the backup cannot be begun")));
  }
  while (true) {
    const int code = sqlite3_backup_step(backup.get(), pages_of_a_step);
    const int total = sqlite3_backup_pagecount(backup.get());
    on_progress(total - sqlite3_backup_remaining(backup.get()), total);
    if (code == SQLITE_DONE) return BackupSize{.bytes = 0, .pages = total};
    if (interrupted()) return fail(exit_status::unknown, "interrupted; no backup was made");
    const sqlite::Error error{sqlite::error_kind(code),
                              fmt::format("{} (SQLite {})", sqlite3_errstr(code), code)};
    if (code == SQLITE_OK || error.kind == sqlite::Error::Kind::busy) {
      rest(pause);
    } else if (error.kind == sqlite::Error::Kind::corrupt) {
      return std::unexpected(failure_of(error, database));
    } else {
      return std::unexpected(cannot_write(partial, error));
    }
  }
}

/// Makes one file of the copy, which has its log beside it otherwise, and reads it through.
Outcome<void> finish(const std::filesystem::path& partial, const std::string& database) {
  auto opened = sqlite::Connection::open(partial);
  if (!opened) return std::unexpected(cannot_write(partial, opened.error()));
  if (auto mode = opened->execute("PRAGMA journal_mode = DELETE"); !mode) {
    return std::unexpected(cannot_write(partial, mode.error()));
  }
  const auto verdict = opened->query_text("PRAGMA quick_check(1)");
  if (verdict && *verdict == "ok") return {};
  const auto complaints = complaints_of(verdict ? *verdict : verdict.error().detail);
  return fail(exit_status::critical,
              fmt::format("{}: is damaged ({}); no backup was made", database,
                          complaints.empty() ? "quick_check" : complaints.front()));
}

}  // namespace

Outcome<BackupSize> SqliteStore::backup(const std::filesystem::path& file,
                                        const OnProgress& on_progress) {
  const std::string database = path_.string();
  if (would_lose(file)) {
    return fail(
        exit_status::usage,
        fmt::format("{}: is the database itself, not a place for its backup", file.string()));
  }
  // SQLite would take it for that of the new file, and carry it out there.
  for (const char* suffix : {"-wal", "-journal"}) {
    const std::string log = file.string() + suffix;
    std::error_code error;
    if (!std::filesystem::exists(std::filesystem::symlink_status(log, error))) continue;
    return fail(exit_status::cannot_create,
                fmt::format("{}: is there: {} is a database that is in use or was not closed; move "
                            "both away first",
                            log, file.string()));
  }
  auto partial = PartialFile::create(file, owner_only);
  if (!partial) return std::unexpected(partial.error());
  auto size = read([&]() -> Outcome<BackupSize> {
    // A read transaction begins with the first read.
    const auto begun = connection_.query_integer("SELECT count(*) FROM sqlite_schema");
    if (!begun) return std::unexpected(failure_of(begun.error(), database));
    return copy(connection_, partial->path(), database, on_progress);
  });
  if (!size) return size;
  if (auto done = finish(partial->path(), database); !done) return std::unexpected(done.error());
  size->bytes = static_cast<std::int64_t>(std::filesystem::file_size(partial->path()));
  if (auto placed = partial->put_in_place(); !placed) return std::unexpected(placed.error());
  return size;
}

}  // namespace lp::db_maint
