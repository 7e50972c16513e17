#include "tools/db-maint/sqlite_store.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "tools/db-maint/interrupt.h"
#include "tools/db-maint/partial_file.h"

namespace lp::db_maint {
namespace {

using Clock = std::chrono::steady_clock;

/// Frames in the log from which on it is moved into the database: before the gateway's own limit,
/// which its writer would meet in the middle of a registration.
constexpr int long_log = 1'000;

/// Has a long statement end soon after a signal.
int on_progress_of_statement(void* /*unused*/) {
  return interrupted() ? 1 : 0;
}

int on_commit(void* log_frames, sqlite3* /*database*/, const char* /*name*/, int frames) {
  *static_cast<int*>(log_frames) = frames;
  return SQLITE_OK;
}

std::int64_t size_of(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

}  // namespace

std::string_view name(StoreKind kind) noexcept {
  return kind == StoreKind::gateway ? "gateway" : "issuer";
}

std::string_view name(Dated dated) noexcept {
  switch (dated) {
    case Dated::spent_credentials:
      return "spent_credentials";
    case Dated::lp_sessions:
      return "lp_sessions";
    case Dated::withdrawals:
      return "withdrawals";
  }
  return {};
}

SqliteStore::SqliteStore(std::filesystem::path path, std::chrono::milliseconds lock_timeout,
                         const sqlite::Schema& schema, sqlite::Connection connection)
    : path_(std::move(path)),
      lock_timeout_(lock_timeout),
      schema_(schema),
      connection_(std::move(connection)) {
  (void)configure();  // where it fails the next statement does
}

// NORMAL syncs the log when it is moved into the database and not at each commit: after a power cut
// the latest batches may be there again, whole ones, and the next run removes them again. Whatever
// a gateway commits after them, it syncs with them.
Status SqliteStore::configure() {
  sqlite3_progress_handler(connection_.handle(), 10'000, on_progress_of_statement, nullptr);
  auto done = connection_.execute(
      "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16384");
  sqlite3_wal_hook(connection_.handle(), on_commit, &log_frames_);
  return done;
}

Status SqliteStore::reopen() {
  connection_.close();
  auto opened = sqlite::open_existing(path_, lock_timeout_);
  if (!opened) return std::unexpected(std::move(opened.error()));
  connection_ = std::move(*opened);
  return configure();
}

Result<Batch> SqliteStore::write(const std::function<Result<std::int64_t>()>& work) {
  if (auto begun = connection_.execute("BEGIN IMMEDIATE"); !begun) {
    return std::unexpected(std::move(begun.error()));
  }
  const auto since = Clock::now();
  auto rows = work();
  Status done;
  if (!rows) done = std::unexpected(rows.error());
  if (done && connection_.file_has_moved()) {
    done = sqlite::fail(sqlite::Error::Kind::unavailable,
                        "the database file was deleted or replaced while it is in use");
  }
  if (done) done = connection_.execute("COMMIT");
  if (!done && connection_.in_transaction()) (void)connection_.execute("ROLLBACK");
  if (!done) return std::unexpected(std::move(done.error()));
  const auto committed = Clock::now();
  if (auto moved = move_log(); !moved) return std::unexpected(std::move(moved.error()));
  return Batch{.rows = *rows, .locked = committed - since, .synced = Clock::now() - committed};
}

Status SqliteStore::move_log() {
  if (log_frames_ < long_log) return {};
  log_frames_ = 0;
  // Busy: somebody else does it at this moment.
  const int code = sqlite3_wal_checkpoint_v2(connection_.handle(), nullptr,
                                             SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY) return {};
  return std::unexpected(sqlite::last_error(connection_.handle(), "the log cannot be moved"));
}

Status SqliteStore::each_row(std::string_view sql, const std::vector<std::int64_t>& parameters,
                             const std::function<void(const sqlite::Query&)>& row) {
  auto statement = sqlite::Statement::prepare(connection_, sql);
  if (!statement) return std::unexpected(std::move(statement.error()));
  sqlite::Query query(*statement);
  for (const auto parameter : parameters)
    query.bind(parameter);
  while (true) {
    const auto next = query.next();
    if (!next) return std::unexpected(next.error());
    if (!*next) return {};
    row(query);
  }
}

Result<std::int64_t> SqliteStore::count_older(Dated dated, UnixSeconds before) {
  std::int64_t count = 0;
  auto done = each_row(
      fmt::format("SELECT count(*) FROM {} WHERE {}", name(dated), older_than(dated)),
      {static_cast<std::int64_t>(before)}, [&](const auto& row) { count = row.integer(0); });
  if (!done) return std::unexpected(std::move(done.error()));
  return count;
}

Result<Batch> SqliteStore::remove_older(Dated dated, UnixSeconds before, std::int64_t limit) {
  const std::string sql = fmt::format(
      "DELETE FROM {0} WHERE {1} IN (SELECT {2} FROM {0} WHERE {3} LIMIT ?2)", name(dated),
      row_name(dated).find(',') == std::string_view::npos ? std::string(row_name(dated))
                                                          : fmt::format("({})", row_name(dated)),
      row_name(dated), older_than(dated));
  return write([&]() -> Result<std::int64_t> {
    auto statement = sqlite::Statement::prepare(connection_, sql);
    if (!statement) return std::unexpected(std::move(statement.error()));
    sqlite::Query query(*statement);
    query.bind(static_cast<std::int64_t>(before)).bind(limit);
    if (auto done = query.run(); !done) return std::unexpected(std::move(done.error()));
    return query.changed();
  });
}

// In this mode SQLite wants the file for itself before it reads a byte of the log, and every other
// connection holds a shared lock on the file for as long as it is open.
Result<bool> SqliteStore::take_exclusively(const std::string& /*instance*/) {
  connection_.close();
  auto alone = sqlite::open_existing(path_, std::chrono::milliseconds(100));
  if (!alone) return std::unexpected(std::move(alone.error()));
  connection_ = std::move(*alone);
  auto taken = connection_.execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT");
  if (taken) taken = configure();
  if (taken) return true;
  if (taken.error().kind != sqlite::Error::Kind::busy) {
    return std::unexpected(std::move(taken.error()));
  }
  if (auto opened = reopen(); !opened) return std::unexpected(std::move(opened.error()));
  return false;
}

Status SqliteStore::release() {
  return reopen();
}

Result<Facts> SqliteStore::stats(UnixSeconds now) {
  return read([&]() -> Result<Facts> {
    Facts facts;
    const auto pragma = [&](const char* name, const char* sql) -> Status {
      const auto value = connection_.query_integer(sql);
      if (!value) return std::unexpected(value.error());
      facts.emplace_back(name, *value);
      return {};
    };
    facts.emplace_back("program", std::string(schema_.program));
    facts.emplace_back("file_bytes", file_bytes());
    facts.emplace_back("log_bytes", log_bytes());
    for (const auto& [name, sql] : {std::pair{"schema_version", "PRAGMA user_version"},
                                    {"page_bytes", "PRAGMA page_size"},
                                    {"pages", "PRAGMA page_count"},
                                    {"free_pages", "PRAGMA freelist_count"}}) {
      if (auto done = pragma(name, sql); !done) return std::unexpected(done.error());
    }
    for (const auto& count : counts()) {
      const bool wants_time = count.sql.find("?1") != std::string_view::npos;
      auto done = each_row(
          count.sql,
          wants_time ? std::vector{static_cast<std::int64_t>(now)} : std::vector<std::int64_t>{},
          [&](const sqlite::Query& row) {
            Value value;
            if (!row.is_null(0) && count.is_time) {
              value = Time{static_cast<UnixSeconds>(row.integer(0))};
            } else if (!row.is_null(0)) {
              value = row.integer(0);
            }
            facts.emplace_back(std::string(count.name), value);
          });
      if (!done) return std::unexpected(std::move(done.error()));
    }
    return facts;
  });
}

// VACUUM writes the whole database into the log; what that needs is given back to the disk at once.
Status SqliteStore::vacuum() {
  if (auto done = connection_.execute("VACUUM"); !done) return done;
  return connection_.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

Result<std::int64_t> SqliteStore::schema_version() {
  return connection_.query_integer("PRAGMA user_version");
}

Status SqliteStore::migrate() {
  if (auto full = connection_.execute("PRAGMA synchronous = FULL"); !full) return full;
  return sqlite::migrate(connection_, schema_);
}

Status SqliteStore::retire() {
  return connection_.execute(fmt::format("PRAGMA synchronous = FULL; PRAGMA application_id = {}",
                                         schema_.retired_application_id)
                                 .c_str());
}

bool SqliteStore::would_lose(const std::filesystem::path& file) const {
  return std::ranges::any_of(
      std::array{"", "-wal", "-shm", "-journal", ".lock"},
      [&](const char* suffix) { return would_overwrite(file, path_.string() + suffix); });
}

std::int64_t SqliteStore::file_bytes() const {
  return size_of(path_);
}

std::int64_t SqliteStore::log_bytes() const {
  return size_of(path_.string() + "-wal");
}

}  // namespace lp::db_maint
