#include "probes/wallet/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

namespace lp::probe::wallet {
namespace {

ProbeCode code_of(sqlite::Error::Kind kind) {
  switch (kind) {
    case sqlite::Error::Kind::corrupt:
      return ProbeCode::wallet_corrupt;
    case sqlite::Error::Kind::newer_schema:
      return ProbeCode::wallet_version;
    default:
      return ProbeCode::wallet_unusable;
  }
}

}  // namespace

std::unexpected<ProbeError> database_failure(const std::string& path, const sqlite::Error& error,
                                             std::string_view sql) {
  std::string_view detail = error.detail;
  if (!sql.empty() && detail.starts_with(sql)) {
    detail.remove_prefix(std::min(detail.size(), sql.size() + std::string_view(": ").size()));
  }
  return fail(Stage::resolve, code_of(error.kind),
              fmt::format("{}: {}", printable(path), printable(detail)));
}

Statement& Statement::bind(std::int64_t value) {
  run_->query.bind(value);
  return *this;
}

Statement& Statement::bind(ByteView blob) {
  run_->query.bind(blob);
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  // A null pointer would bind NULL, which is another value than a text of no characters.
  run_->query.bind(text.empty() ? std::string_view("") : text);
  return *this;
}

Statement& Statement::bind_null() {
  run_->query.bind_null();
  return *this;
}

Outcome<bool> Statement::next() {
  const auto row = run_->query.next();
  if (!row) return database_failure(*path_, row.error(), sql_);
  return *row;
}

Outcome<void> Statement::run() {
  if (const auto done = run_->query.run(); !done) {
    return database_failure(*path_, done.error(), sql_);
  }
  return {};
}

Outcome<Statement> Database::prepare(std::string_view sql) {
  auto statement = sqlite::Statement::prepare(connection_, sql);
  if (!statement) return database_failure(*path_, statement.error(), sql);
  return Statement(std::move(*statement), sql, *path_);
}

Outcome<void> Database::execute(const char* sql) {
  if (const auto done = connection_.execute(sql); !done) {
    return database_failure(*path_, done.error(), sql);
  }
  return {};
}

std::int64_t Database::last_insert_id() const {
  return sqlite3_last_insert_rowid(connection_.handle());
}

std::unexpected<ProbeError> Database::failure(ProbeCode code, std::string_view what) const {
  return fail(Stage::resolve, code, fmt::format("{}: {}", printable(*path_), what));
}

Outcome<Transaction> Transaction::begin(Database& database) {
  if (auto begun = database.execute("BEGIN IMMEDIATE"); !begun) {
    return std::unexpected(std::move(begun.error()));
  }
  return Transaction(database);
}

Transaction::~Transaction() {
  if (database_ == nullptr) return;
  // Where SQLite has rolled back by itself this fails, and nothing is left to do.
  [[maybe_unused]] const auto rolled_back = database_->execute("ROLLBACK");
}

Outcome<void> Transaction::commit() {
  if (auto committed = database_->execute("COMMIT"); !committed) return committed;
  database_ = nullptr;
  return {};
}

}  // namespace lp::probe::wallet
