// docs/gateway.md has a table of metrics and one of registration errors. People alert on the one
// and parse the other, so both must be what the program does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/metrics/metrics.h"
#include "tests/gateway/metrics/exposition.h"

namespace lp::gateway::metrics::test {
namespace {

using Row = std::vector<std::string>;

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

/// The cells of a Markdown table's row; none where the line is no row.
Row cells(const std::string& line) {
  Row row;
  if (!line.starts_with('|')) return row;
  std::istringstream stream(line.substr(1));
  for (std::string cell; std::getline(stream, cell, '|');)
    row.push_back(trimmed(cell));
  return row;
}

/// The rows below a "## heading", without the table's head.
std::vector<Row> table(const std::string& heading, const std::string& first_column) {
  std::ifstream file(LP_SOURCE_DIR "/docs/gateway.md");
  std::vector<Row> rows;
  bool in_section = false;
  bool in_table = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) in_section = line == "## " + heading;
    const Row row = cells(line);
    if (row.empty()) in_table = false;
    if (in_table && !row[0].starts_with("---")) rows.push_back(row);
    if (in_section && !row.empty() && row[0] == first_column) in_table = true;
  }
  return rows;
}

std::string ticked(std::string_view text) {
  std::string result(1, '`');
  result += text;
  result += '`';
  return result;
}

std::string without_ticks(std::string text) {
  std::erase(text, '`');
  return text;
}

/// The values of each label.
using LabelValues = std::map<std::string, std::set<std::string>>;

/// "`reason`: `a`, `b`; `other`: `c`" becomes {"reason", {"a", "b"}} and {"other", {"c"}}, "–"
/// none.
LabelValues labels_of(const std::string& cell) {
  LabelValues labels;
  std::istringstream parts(without_ticks(cell));
  for (std::string part; std::getline(parts, part, ';');) {
    const std::size_t colon = part.find(": ");
    if (colon == std::string::npos) continue;
    std::istringstream values(part.substr(colon + 2));
    for (std::string value; std::getline(values, value, ',');)
      labels[trimmed(part.substr(0, colon))].insert(trimmed(value));
  }
  return labels;
}

/// The same from the samples of one family.
LabelValues exported_labels(const Exposition& text, const std::string& family) {
  LabelValues labels;
  for (const auto& [sample, value] : text.samples) {
    const std::string name = sample.substr(0, sample.find('{'));
    if (name != family && name != family + "_count") continue;
    // name{a="1",b="2"}; no value of ours has a quotation mark.
    for (std::size_t at = name.size(); at + 1 < sample.size();) {
      const std::size_t equals = sample.find("=\"", at);
      const std::size_t end = sample.find('"', equals + 2);
      labels[sample.substr(at + 1, equals - at - 1)].insert(
          sample.substr(equals + 2, end - equals - 2));
      at = end + 1;
    }
  }
  return labels;
}

TEST(GatewayDocumentation, MetricsTableHasEveryFamilyWithItsTypeAndLabels) {
  const Exposition text = parse(Metrics().text());
  std::set<std::string> documented;
  for (const Row& row : table("Metrics", "Name")) {
    ASSERT_EQ(row.size(), 4u) << row[0];
    const std::string name = without_ticks(row[0]);
    EXPECT_TRUE(documented.insert(name).second) << name << " stands there twice";
    ASSERT_TRUE(text.types.contains(name)) << name << " is not exported";
    EXPECT_EQ(row[1], text.types.at(name)) << name;
    if (name == "lp_build_info") continue;  // its labels are the build's, not of a fixed set
    EXPECT_EQ(labels_of(row[2]), exported_labels(text, name)) << name;
  }
  for (const auto& [family, type] : text.types) {
    EXPECT_TRUE(documented.contains(family)) << family << " is not documented";
  }
}

TEST(GatewayDocumentation, ErrorTableIsTheCodesTable) {
  std::vector<Row> expected;
  expected.reserve(messages::registration_failure_count);
  for (const auto& error : messages::registration_errors) {
    expected.push_back({ticked(error.sentence), ticked(error.label), ticked(error.probe_code)});
  }
  std::vector<Row> documented;
  for (Row row : table("Registration", "Sentence")) {
    ASSERT_EQ(row.size(), 4u) << row[0];
    EXPECT_NE(row[3], "") << row[0];
    row.pop_back();
    documented.push_back(row);
  }
  EXPECT_EQ(documented, expected);
}

}  // namespace
}  // namespace lp::gateway::metrics::test
