// What a command has to say: rows under columns, and a few facts beside them; as text, JSON or CSV.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "lib/base/clock.h"

namespace lp::db_maint {

enum class Format : std::uint8_t { text, json, csv };

/// A point in time: a date in text, Unix seconds in JSON and CSV.
struct Time {
  UnixSeconds seconds = 0;
};
using Value = std::variant<std::monostate, std::int64_t, double, bool, std::string, Time>;

struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<Value>> rows;  ///< each as long as `columns`
};
using Facts = std::vector<std::pair<std::string, Value>>;

/// Rows aligned under their columns, then the facts, one to a line. Texts are made printable.
[[nodiscard]] std::string to_text(const Table& table, const Facts& facts);
/// One object: the facts, and `rows` as an array of objects.
[[nodiscard]] std::string to_json(const Table& table, const Facts& facts);
/// RFC 4180: the columns, then the rows. The facts have no place in it.
[[nodiscard]] std::string to_csv(const Table& table);

}  // namespace lp::db_maint
