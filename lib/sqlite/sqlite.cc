#include "lib/sqlite/sqlite.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace lp::sqlite {
namespace {

int on_busy(void* patience, int attempt) {
  return static_cast<LockPatience*>(patience)->wait(attempt) ? 1 : 0;
}

}  // namespace

Error::Kind error_kind(int code) noexcept {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Error::Kind::corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Error::Kind::busy;
    case SQLITE_FULL:
      return Error::Kind::full;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
    case SQLITE_ERROR:
      return Error::Kind::invalid;
    default:
      return Error::Kind::unavailable;
  }
}

Error last_error(sqlite3* database, std::string_view doing) {
  const int code = sqlite3_extended_errcode(database);
  return {error_kind(code),
          fmt::format("{}: {} (SQLite {})", doing, sqlite3_errmsg(database), code)};
}

bool LockPatience::wait(int attempt) noexcept {
  const auto now = std::chrono::steady_clock::now();
  if (attempt == 0) since_ = now;
  if (now - since_ >=
      (hurried_.load(std::memory_order_relaxed) ? std::min(hurried, limit_) : limit_))
    return false;
  std::this_thread::sleep_for(std::chrono::milliseconds(std::min(1 + attempt, 10)));
  return true;
}

void Connection::Close::operator()(sqlite3* database) const noexcept {
  sqlite3_close_v2(database);
}

Connection::Connection(sqlite3* database)
    : patience_(std::make_unique<LockPatience>()), database_(database) {}

Result<Connection> Connection::open(const std::filesystem::path& path) {
  sqlite3* database = nullptr;
  // No mutex: a connection belongs to one thread at a time.
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(path.c_str(), &database, flags, nullptr);
  if (database == nullptr) return fail(Error::Kind::unavailable, "out of memory");
  Connection connection(database);
  if (code != SQLITE_OK) return std::unexpected(last_error(database, "cannot be opened"));
  sqlite3_busy_handler(database, on_busy, connection.patience_.get());
  return connection;
}

bool Connection::is_read_only() const noexcept {
  return sqlite3_db_readonly(database_.get(), "main") == 1;
}

bool Connection::in_transaction() const noexcept {
  return sqlite3_get_autocommit(database_.get()) == 0;
}

bool Connection::file_has_moved() const noexcept {
  int moved = 0;
  const int code = sqlite3_file_control(database_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return code == SQLITE_OK && moved != 0;
}

Status Connection::execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return std::unexpected(last_error(database_.get(), sql));
  }
  return {};
}

Result<std::int64_t> Connection::query_integer(const char* sql) {
  auto statement = Statement::prepare(*this, sql);
  if (!statement) return std::unexpected(std::move(statement.error()));
  Query query(*statement);
  auto row = query.next();
  if (!row) return std::unexpected(std::move(row.error()));
  return *row ? query.integer(0) : 0;
}

Result<std::string> Connection::query_text(const char* sql) {
  auto statement = Statement::prepare(*this, sql);
  if (!statement) return std::unexpected(std::move(statement.error()));
  Query query(*statement);
  auto row = query.next();
  if (!row) return std::unexpected(std::move(row.error()));
  return *row ? std::string(query.text(0)) : std::string();
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const noexcept {
  sqlite3_finalize(statement);
}

Result<Statement> Statement::prepare(Connection& connection, std::string_view sql) {
  sqlite3_stmt* prepared = nullptr;
  const int code = sqlite3_prepare_v3(connection.handle(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
  if (code != SQLITE_OK) return std::unexpected(last_error(connection.handle(), sql));
  Statement statement;
  statement.statement_.reset(prepared);
  return statement;
}

Query::Query(Statement& statement) noexcept : statement_(statement.statement_.get()) {
  ++statement.runs_;
}

Query::~Query() {
  sqlite3_reset(statement_);
}

Query& Query::bind(std::int64_t value) noexcept {
  const int code = sqlite3_bind_int64(statement_, ++bound_, value);
  if (code != SQLITE_OK) error_ = code;
  return *this;
}

Query& Query::bind(ByteView blob) noexcept {
  const int code =
      sqlite3_bind_blob64(statement_, ++bound_, blob.data(), blob.size(), SQLITE_STATIC);
  if (code != SQLITE_OK) error_ = code;
  return *this;
}

Query& Query::bind(std::string_view text) noexcept {
  const int code = sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(),
                                       SQLITE_STATIC, SQLITE_UTF8);
  if (code != SQLITE_OK) error_ = code;
  return *this;
}

Query& Query::bind_null() noexcept {
  const int code = sqlite3_bind_null(statement_, ++bound_);
  if (code != SQLITE_OK) error_ = code;
  return *this;
}

Result<bool> Query::next() {
  if (error_ != SQLITE_OK) return fail(error_kind(error_), sqlite3_errstr(error_));
  switch (sqlite3_step(statement_)) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return std::unexpected(last_error(sqlite3_db_handle(statement_), sqlite3_sql(statement_)));
  }
}

Status Query::run() {
  while (true) {
    auto row = next();
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return {};
  }
}

bool Query::is_null(int column) const noexcept {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::int64_t Query::integer(int column) const noexcept {
  return sqlite3_column_int64(statement_, column);
}

ByteView Query::blob(int column) const noexcept {
  // The pointer first: sqlite3_column_bytes after it tells the size of the form it points to.
  const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, column));
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::string_view Query::text(int column) const noexcept {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

std::int64_t Query::changed() const noexcept {
  return sqlite3_changes64(sqlite3_db_handle(statement_));
}

}  // namespace lp::sqlite
