#include "tests/tools/db_maint/rows.h"

#include <sqlite3.h>

#include <stdexcept>

namespace lp::db_maint::test {

Rows::Rows(const std::filesystem::path& path) {
  if (sqlite3_open_v2(path.c_str(), &database_, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK) {
    throw std::runtime_error("cannot open " + path.string());
  }
  sqlite3_busy_timeout(database_, 20'000);
  execute("PRAGMA foreign_keys = ON");
}

Rows::~Rows() {
  sqlite3_close(database_);
}

void Rows::execute(const std::string& sql) {
  if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    throw std::runtime_error(sql + ": " + sqlite3_errmsg(database_));
  }
}

std::int64_t Rows::integer(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK ||
      sqlite3_step(statement) != SQLITE_ROW) {
    sqlite3_finalize(statement);
    throw std::runtime_error(sql + ": " + sqlite3_errmsg(database_));
  }
  const std::int64_t value = sqlite3_column_int64(statement, 0);
  sqlite3_finalize(statement);
  return value;
}

std::int64_t Rows::count(const std::string& table) {
  return integer("SELECT count(*) FROM " + table);
}

}  // namespace lp::db_maint::test
