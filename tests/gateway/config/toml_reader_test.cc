#include "gateway/config/toml_reader.h"

#include <gmock/gmock.h>

namespace lp::gateway::config {
namespace {

using Kind = TomlValue::Kind;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view sample =
    "# a comment\n"
    "text = \"with # and \\\"quotes\\\" and \\u00e9\"  # after it\n"
    "literal = 'C:\\no\\escape'\n"
    "\n"
    "number = 1_000\r\n"
    "fraction = 0.25\n"
    "\"yes\" = true\n"
    "empty = []\n"
    "list = [ \"a\", # one\n"
    "         'b',\n"
    "       ]\n"
    "last = false";

TEST(TomlReader, LosesOrBendsAValue) {
  const auto entries = read_toml(sample);
  ASSERT_TRUE(entries) << entries.error().what;
  ASSERT_EQ(entries->size(), 8U);
  const auto& all = *entries;
  EXPECT_EQ(all[0].key, "text");
  EXPECT_THAT(all[0].value.texts, ElementsAre("with # and \"quotes\" and \xc3\xa9"));
  EXPECT_EQ(all[0].line, 2U);
  EXPECT_THAT(all[1].value.texts, ElementsAre("C:\\no\\escape"));
  EXPECT_EQ(all[2].value.kind, Kind::integer);
  EXPECT_THAT(all[2].value.texts, ElementsAre("1000"));
  EXPECT_EQ(all[2].line, 5U);
  EXPECT_EQ(all[3].value.kind, Kind::fraction);
  EXPECT_THAT(all[3].value.texts, ElementsAre("0.25"));
  EXPECT_EQ(all[4].key, "yes");
  EXPECT_EQ(all[4].value.kind, Kind::boolean);
  EXPECT_THAT(all[5].value.texts, ElementsAre());
  EXPECT_EQ(all[6].value.kind, Kind::array);
  EXPECT_THAT(all[6].value.texts, ElementsAre("a", "b"));
  EXPECT_EQ(all[6].line, 9U);
  EXPECT_EQ(all[7].line, 12U);
}

TEST(TomlReader, TakesAFileOfNothing) {
  for (const std::string_view text :
       {"", "\n\n", "# only\n# comments", "\xef\xbb\xbf\n", " \t\r\n"}) {
    const auto entries = read_toml(text);
    ASSERT_TRUE(entries) << entries.error().what;
    EXPECT_TRUE(entries->empty());
  }
}

struct Bad {
  std::string_view text;
  std::size_t line;
  std::string_view what;
};

class BadToml : public testing::TestWithParam<Bad> {};

TEST_P(BadToml, IsTakenOrBlamedOnAnotherLine) {
  const auto entries = read_toml(GetParam().text);
  ASSERT_FALSE(entries);
  EXPECT_EQ(entries.error().line, GetParam().line);
  EXPECT_THAT(entries.error().what, HasSubstr(GetParam().what));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadToml,
    testing::Values(
        Bad{"a = 1\nb\n", 2, "no = after b"}, Bad{"a = 1\n\na = 2\n", 3, "a is set a second time"},
        Bad{"= 1\n", 1, "does not begin with a key"}, Bad{"a =\n", 1, "no value"},
        Bad{"a = \n", 1, "no value"}, Bad{"a = 1 2\n", 1, "more after the value"},
        Bad{"a = abc\n", 1, "put in quotes"}, Bad{"a = \"abc\n", 1, "not closed"},
        Bad{"a = \"abc", 1, "not closed"}, Bad{"a = 'abc\n'", 1, "not closed"},
        Bad{"a = \"\\q\"\n", 1, "unknown escape"}, Bad{"a = \"\\u12\"\n", 1, "no character"},
        Bad{"a = \"\\ud800\"\n", 1, "no character"},
        Bad{"a = \"\\U00110000\"\n", 1, "no character"},
        Bad{"a = \"x\x01y\"\n", 1, "control character"},
        Bad{"a = \"\"\"x\"\"\"\n", 1, "multi-line"}, Bad{"x = 1\n[table]\n", 2, "tables"},
        Bad{"a.b = 1\n", 1, "dotted"}, Bad{"a = {b = 1}\n", 1, "inline tables"},
        Bad{"a = [1, 2]\n", 1, "strings in quotes"}, Bad{"a = [\"x\"\n\n", 3, "closed with ]"},
        Bad{"a = [\"x\" \"y\"]\n", 1, "separated by commas"}, Bad{"a = [\n", 2, "not closed"},
        Bad{"a = [,]\n", 1, "strings in quotes"}, Bad{"a = 1979-05-27\n", 1, "no number"},
        Bad{"a = 1__0\n", 1, "no number"}, Bad{"a = _1\n", 1, "no number"},
        Bad{"a = 1_\n", 1, "no number"}, Bad{"a = 1.\n", 1, "no number"},
        Bad{"a = .5\n", 1, "no number"}, Bad{"a = 1.2.3\n", 1, "no number"},
        Bad{"a = 0x10\n", 1, "no number"}, Bad{"a = 1e3\n", 1, "no number"},
        Bad{"a = -\n", 1, "no number"}));

// Nothing to assert but that every input comes back: the sanitizers see the rest.
TEST(TomlReader, CrashesOnATruncatedOrDamagedFile) {
  for (std::size_t size = 0; size <= sample.size(); ++size) {
    const auto entries = read_toml(sample.substr(0, size));
    EXPECT_TRUE(entries || entries.error().line > 0) << size;
  }
  for (std::size_t at = 0; at < sample.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged(sample);
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const auto entries = read_toml(damaged);
      EXPECT_TRUE(entries || entries.error().line > 0) << at;
    }
  }
}

}  // namespace
}  // namespace lp::gateway::config
