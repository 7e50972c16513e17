// At three in the morning somebody looks up an alert or a code in docs/operations.md, and it must
// be there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "lib/messages/registration_errors.h"
#include "tests/packaging/packaged.h"

namespace lp::test {
namespace {

using Lines = std::vector<std::string>;

Lines handbook() {
  Lines lines;
  std::istringstream text(source_file("docs/operations.md"));
  for (std::string line; std::getline(text, line);)
    lines.push_back(line);
  return lines;
}

/// The first cells, without their ticks, of the table whose head begins with this cell. A row
/// without an answer in its last cell is reported.
Lines first_cells(const std::string& head) {
  Lines cells;
  bool in_table = false;
  for (const std::string& line : handbook()) {
    if (line.starts_with("| " + head + " |")) {
      in_table = true;
    } else if (!line.starts_with("|")) {
      in_table = false;
    } else if (in_table && !line.starts_with("| ---")) {
      const std::size_t begin = line.find('`') + 1;
      cells.push_back(line.substr(begin, line.find('`', begin) - begin));
      EXPECT_GT(line.size() - line.rfind('|', line.size() - 3), 10u) << line;
    }
  }
  return cells;
}

TEST(OperationsHandbook, EveryAlertHasItsSectionAndItsRunbookLeadsThere) {
  Lines sections;
  for (const std::string& line : handbook()) {
    if (line.starts_with("### Lp")) sections.push_back(line.substr(4));
  }
  Lines alerts;
  for (const AlertRule& alert : packaged_alerts()) {
    alerts.push_back(alert.name);
    std::string anchor = alert.name;
    std::ranges::transform(anchor, anchor.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    EXPECT_EQ(alert.runbook, "docs/operations.md#" + anchor) << alert.name;
  }
  EXPECT_EQ(sections, alerts);
}

TEST(OperationsHandbook, EveryAnswerOfTheGatewayIsExplained) {
  Lines sentences;
  for (const auto& error : messages::registration_errors)
    sentences.emplace_back(error.sentence);
  EXPECT_EQ(first_cells("Answer"), sentences);
}

TEST(OperationsHandbook, EveryCodeOfTheProbeIsExplained) {
  const auto listed = run({.program = program("lp-probe"), .args = {"--list-error-codes"}});
  ASSERT_EQ(listed.ended.code, 0) << listed.error_output;
  Lines codes;
  std::istringstream lines(listed.output);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && !line.starts_with(' ')) codes.push_back(line);
  }
  ASSERT_GE(codes.size(), 80u);
  EXPECT_EQ(first_cells("Code"), codes);
}

}  // namespace
}  // namespace lp::test
