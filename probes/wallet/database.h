// lib/sqlite with the probe's errors, which name the wallet's file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/sqlite/sqlite.h"
#include "probes/errors.h"

namespace lp::probe::wallet {

/// wallet_corrupt, wallet_version or wallet_unusable. `sql`, where the error's detail begins with
/// it, is left out: what was asked is of no use to who reads it.
[[nodiscard]] std::unexpected<ProbeError> database_failure(const std::string& path,
                                                           const sqlite::Error& error,
                                                           std::string_view sql = {});

/// A statement and its one execution, see sqlite::Query.
class Statement {
 public:
  Statement(sqlite::Statement statement, std::string_view sql, const std::string& path)
      : run_(std::make_unique<Run>(std::move(statement))), sql_(sql), path_(&path) {}

  Statement& bind(std::int64_t value);
  Statement& bind(std::uint64_t value) { return bind(static_cast<std::int64_t>(value)); }
  Statement& bind(ByteView blob);
  Statement& bind(std::string_view text);
  Statement& bind_null();

  /// Steps: true for a row, false at the end.
  [[nodiscard]] Outcome<bool> next();
  /// Steps to the end.
  [[nodiscard]] Outcome<void> run();

  [[nodiscard]] bool is_null(int column) const { return run_->query.is_null(column); }
  [[nodiscard]] std::int64_t integer(int column) const { return run_->query.integer(column); }
  [[nodiscard]] ByteView blob(int column) const { return run_->query.blob(column); }
  [[nodiscard]] std::string_view text(int column) const { return run_->query.text(column); }

 private:
  struct Run {
    explicit Run(sqlite::Statement prepared) : statement(std::move(prepared)), query(statement) {}
    sqlite::Statement statement;
    sqlite::Query query;
  };
  std::unique_ptr<Run> run_;
  std::string sql_;
  const std::string* path_;
};

/// One connection to a wallet, for one thread at a time.
class Database {
 public:
  Database(sqlite::Connection connection, const std::string& path)
      : path_(std::make_unique<const std::string>(path)), connection_(std::move(connection)) {}

  [[nodiscard]] Outcome<Statement> prepare(std::string_view sql);
  /// Runs SQL whose rows are of no interest.
  [[nodiscard]] Outcome<void> execute(const char* sql);
  [[nodiscard]] std::int64_t last_insert_id() const;

  /// A failure that is not SQLite's, with the file's name.
  [[nodiscard]] std::unexpected<ProbeError> failure(ProbeCode code, std::string_view what) const;

 private:
  std::unique_ptr<const std::string> path_;  // stays where it is: statements point to it
  sqlite::Connection connection_;
};

/// Begins a transaction that writes; rolls it back where it was not committed.
class Transaction {
 public:
  [[nodiscard]] static Outcome<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  [[nodiscard]] Outcome<void> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace lp::probe::wallet
