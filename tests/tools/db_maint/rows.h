// The rows of a database, by hand.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

struct sqlite3;

namespace lp::db_maint::test {

/// A connection beside whoever else has the database open. What fails throws.
class Rows {
 public:
  explicit Rows(const std::filesystem::path& path);
  ~Rows();
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  void execute(const std::string& sql);
  [[nodiscard]] std::int64_t integer(const std::string& sql);
  [[nodiscard]] std::int64_t count(const std::string& table);

 private:
  sqlite3* database_ = nullptr;
};

}  // namespace lp::db_maint::test
