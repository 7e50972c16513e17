// The tables of a gateway, row by row, as `copy` reads them in SQLite and finds them again in
// PostgreSQL.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/postgres/postgres.h"
#include "lib/sqlite/sqlite.h"

namespace lp::db_maint {

enum class CellType : std::uint8_t { integer, blob, text };

struct CopiedColumn {
  std::string_view name;
  CellType type = CellType::integer;
};

/// A table with the same name and columns on both sides.
struct CopiedTable {
  std::string_view name;
  std::span<const CopiedColumn> columns;  ///< the first is the key, integer or blob
  bool has_instance = false;              ///< a further column in PostgreSQL
  /// The next id is taken from a sequence, which has to go on behind the greatest id.
  bool has_sequence = false;
};

/// In the order in which they can be filled: none refers to a later one, and what the triggers on
/// wireguard_peers would delete comes after it.
[[nodiscard]] std::span<const CopiedTable> copied_tables() noexcept;

/// Rows, column by column.
struct CopiedRows {
  struct Column {
    std::vector<std::optional<std::int64_t>> integers;
    std::vector<Bytes> blobs;
    std::vector<std::string> texts;
  };
  std::size_t size = 0;
  std::vector<Column> columns;
};

/// A table of the SQLite database in the order of its key.
class SourceRows {
 public:
  [[nodiscard]] static sqlite::Result<SourceRows> begin(sqlite::Connection& connection,
                                                        const CopiedTable& table);
  /// At most `limit`, and none at the end.
  [[nodiscard]] sqlite::Result<CopiedRows> next(std::size_t limit);

 private:
  explicit SourceRows(const CopiedTable& table) : table_(&table) {}
  const CopiedTable* table_;
  std::unique_ptr<sqlite::Statement> statement_;
  std::unique_ptr<sqlite::Query> query_;  // on statement_
};

/// Appends the rows to the table, those that have an instance as rows of this one.
[[nodiscard]] postgres::Status insert_rows(postgres::Connection& connection,
                                           const CopiedTable& table, const CopiedRows& rows,
                                           std::string_view instance);

/// A table of the PostgreSQL database in the order of its key. Requires a transaction.
class TargetRows {
 public:
  [[nodiscard]] static postgres::Result<TargetRows> begin(postgres::Connection& connection,
                                                          const CopiedTable& table);
  /// The next rows, as many as those, have to be those. Where they are not, one sentence says which
  /// is the first that is not. With no rows given there must be none left.
  [[nodiscard]] postgres::Result<std::optional<std::string>> differs_from(
      const CopiedRows& expected, std::string_view instance);

 private:
  TargetRows(postgres::Connection& connection, const CopiedTable& table)
      : connection_(&connection), table_(&table) {}
  postgres::Connection* connection_;
  const CopiedTable* table_;
};

}  // namespace lp::db_maint
