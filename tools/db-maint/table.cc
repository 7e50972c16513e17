#include "tools/db-maint/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <type_traits>

#include "tools/db-maint/values.h"

namespace lp::db_maint {
namespace {

namespace json = boost::json;

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

std::string text_of(const Value& value) {
  return std::visit(Overloaded{[](std::monostate) { return std::string("-"); },
                               [](std::int64_t number) { return print_number(number); },
                               [](double number) { return fmt::format("{:.3f}", number); },
                               [](bool yes) { return std::string(yes ? "yes" : "no"); },
                               [](const std::string& text) { return printable(text); },
                               [](Time time) { return print_time(time.seconds); }},
                    value);
}

json::value json_of(const Value& value) {
  return std::visit(Overloaded{[](std::monostate) { return json::value(nullptr); },
                               [](std::int64_t number) { return json::value(number); },
                               [](double number) { return json::value(number); },
                               [](bool yes) { return json::value(yes); },
                               [](const std::string& text) { return json::value(printable(text)); },
                               [](Time time) { return json::value(time.seconds); }},
                    value);
}

std::string csv_of(const Value& value) {
  return std::visit(Overloaded{[](std::monostate) { return std::string(); },
                               [](std::int64_t number) { return fmt::format("{}", number); },
                               [](double number) { return fmt::format("{}", number); },
                               [](bool yes) { return std::string(yes ? "true" : "false"); },
                               [](const std::string& text) {
                                 std::string quoted = printable(text);
                                 if (quoted.find_first_of(",\"") == std::string::npos)
                                   return quoted;
                                 for (std::size_t at = 0;
                                      (at = quoted.find('"', at)) != std::string::npos; at += 2)
                                   quoted.insert(at, 1, '"');
                                 return '"' + quoted + '"';
                               },
                               [](Time time) { return fmt::format("{}", time.seconds); }},
                    value);
}

bool is_number(const Value& value) {
  return std::holds_alternative<std::int64_t>(value) || std::holds_alternative<double>(value);
}

void append_line(std::string& text, const std::string& line) {
  text += line.substr(0, line.find_last_not_of(' ') + 1);
  text += '\n';
}

}  // namespace

std::string to_text(const Table& table, const Facts& facts) {
  std::string text;
  if (!table.rows.empty()) {
    std::vector<std::size_t> widths;
    std::vector<bool> right;
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      std::size_t width = table.columns[column].size();
      bool numbers = true;
      for (const auto& row : table.rows) {
        width = std::max(width, text_of(row[column]).size());
        if (!is_number(row[column]) && !std::holds_alternative<std::monostate>(row[column])) {
          numbers = false;
        }
      }
      widths.push_back(width);
      right.push_back(numbers);
    }
    const auto line = [&](const auto& cell) {
      std::string joined;
      for (std::size_t column = 0; column < widths.size(); ++column) {
        joined += column == 0 ? "" : "  ";
        joined += right[column] ? fmt::format("{:>{}}", cell(column), widths[column])
                                : fmt::format("{:<{}}", cell(column), widths[column]);
      }
      append_line(text, joined);
    };
    line([&](std::size_t column) { return table.columns[column]; });
    for (const auto& row : table.rows)
      line([&](std::size_t column) { return text_of(row[column]); });
  }
  for (const auto& [name, value] : facts)
    text += fmt::format("{}: {}\n", name, text_of(value));
  return text;
}

std::string to_json(const Table& table, const Facts& facts) {
  json::object object;
  for (const auto& [name, value] : facts)
    object[name] = json_of(value);
  json::array rows;
  for (const auto& row : table.rows) {
    json::object fields;
    for (std::size_t column = 0; column < table.columns.size(); ++column)
      fields[table.columns[column]] = json_of(row[column]);
    rows.push_back(std::move(fields));
  }
  object["rows"] = std::move(rows);
  return json::serialize(object) + "\n";
}

std::string to_csv(const Table& table) {
  std::string text;
  const auto line = [&](const auto& cell) {
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      if (column > 0) text += ',';
      text += cell(column);
    }
    text += "\r\n";
  };
  line([&](std::size_t column) { return table.columns[column]; });
  for (const auto& row : table.rows)
    line([&](std::size_t column) { return csv_of(row[column]); });
  return text;
}

}  // namespace lp::db_maint
