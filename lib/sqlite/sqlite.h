// SQLite's C interface with owners, std::expected and the errors of our own.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/sqlite/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace lp::sqlite {

/// The error kind of an SQLite result code. What is the statement's own fault (constraints,
/// datatypes) is `invalid`; what would hit any other statement as well is not.
[[nodiscard]] Error::Kind error_kind(int code) noexcept;

/// The connection's last error, with what was being done.
[[nodiscard]] Error last_error(sqlite3* database, std::string_view doing);

/// How long a connection waits for another process's lock.
class LockPatience {
 public:
  static constexpr std::chrono::milliseconds normal{5'000};
  static constexpr std::chrono::milliseconds hurried{1'000};

  /// How long to wait instead of `normal`. Before the connection is used.
  void set_limit(std::chrono::milliseconds limit) noexcept { limit_ = limit; }
  /// From now on waits are short: the program is about to end.
  void hurry() noexcept { hurried_.store(true, std::memory_order_relaxed); }
  /// Waits a little; false once the patience is used up. `attempt` counts from 0 for each lock.
  [[nodiscard]] bool wait(int attempt) noexcept;

 private:
  std::atomic<bool> hurried_ = false;
  std::chrono::milliseconds limit_ = normal;
  std::chrono::steady_clock::time_point since_;
};

/// One connection, for one thread at a time.
class Connection {
 public:
  /// Opens an existing file for reading and writing; an unwritable one opens read-only, which
  /// `is_read_only` tells.
  [[nodiscard]] static Result<Connection> open(const std::filesystem::path& path);

  [[nodiscard]] sqlite3* handle() const noexcept { return database_.get(); }
  [[nodiscard]] LockPatience& patience() noexcept { return *patience_; }
  [[nodiscard]] bool is_read_only() const noexcept;
  [[nodiscard]] bool in_transaction() const noexcept;
  /// True where the file was deleted or replaced while it is open: what is written would be lost.
  [[nodiscard]] bool file_has_moved() const noexcept;

  void close() noexcept { database_.reset(); }

  /// Runs SQL that returns nothing of interest.
  Status execute(const char* sql);
  /// Runs SQL whose first row's first column is wanted, as an integer or as text.
  [[nodiscard]] Result<std::int64_t> query_integer(const char* sql);
  [[nodiscard]] Result<std::string> query_text(const char* sql);

 private:
  struct Close {
    void operator()(sqlite3* database) const noexcept;
  };
  explicit Connection(sqlite3* database);
  std::unique_ptr<LockPatience> patience_;  // outlives the connection, whose handler points to it
  std::unique_ptr<sqlite3, Close> database_;
};

/// A prepared statement.
class Statement {
 public:
  Statement() = default;
  [[nodiscard]] static Result<Statement> prepare(Connection& connection, std::string_view sql);
  [[nodiscard]] sqlite3_stmt* handle() const noexcept { return statement_.get(); }
  /// How often it was run.
  [[nodiscard]] std::uint64_t runs() const noexcept { return runs_; }

 private:
  friend class Query;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  std::uint64_t runs_ = 0;
};

/// One execution of a statement. Values are bound in the order of ?1, ?2, …; blobs and texts must
/// outlive it. Columns are good until the next call of `next`. Resets the statement when it goes.
class Query {
 public:
  explicit Query(Statement& statement) noexcept;
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  Query& bind(std::int64_t value) noexcept;
  Query& bind(ByteView blob) noexcept;
  Query& bind(std::string_view text) noexcept;
  Query& bind_null() noexcept;

  /// Steps: true for a row, false at the end.
  [[nodiscard]] Result<bool> next();
  /// Steps to the end.
  Status run();

  [[nodiscard]] bool is_null(int column) const noexcept;
  [[nodiscard]] std::int64_t integer(int column) const noexcept;
  [[nodiscard]] ByteView blob(int column) const noexcept;
  [[nodiscard]] std::string_view text(int column) const noexcept;
  /// Rows the statement changed, once it has run.
  [[nodiscard]] std::int64_t changed() const noexcept;

 private:
  sqlite3_stmt* statement_;
  int bound_ = 0;
  int error_ = 0;
};

}  // namespace lp::sqlite
