#include "gateway/config/log.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>

namespace lp::log {
namespace {

using testing::HasSubstr;
using testing::Not;

class Log : public testing::Test {
 protected:
  void SetUp() override { set_level(Level::info); }
  void TearDown() override { set_level(Level::warning); }

  template <typename Action>
  std::string captured(Action action) {
    flush();
    testing::internal::CaptureStderr();
    action();
    flush();
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(Log, LetsAStrangerForgeALine) {
  const std::string text =
      captured([] { warning("from a client: \n2026 info: all well\x1b[2J\r"); });
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_THAT(text, HasSubstr("from a client: \\x0a2026 info: all well\\x1b[2J\\x0d\n"));
}

TEST_F(Log, TakesBracesOfAMessageForAFormat) {
  EXPECT_THAT(captured([] { warning("{} {0} %s {"); }), HasSubstr("warning: {} {0} %s {\n"));
}

TEST_F(Log, WritesBelowItsLevel) {
  EXPECT_EQ(captured([] { debug("hidden"); }), "");
  set_level(Level::debug);
  EXPECT_THAT(captured([] { debug("shown"); }), HasSubstr("debug: shown"));
  set_level(Level::off);
  EXPECT_EQ(captured([] { error("hidden"); }), "");
  EXPECT_FALSE(enabled(Level::error));
}

TEST_F(Log, IsFloodedByOneCause) {
  const std::string text = captured([] {
    for (int i = 0; i < 1000; ++i)
      write_limited(Level::warning, "flood", "again");
    write_limited(Level::warning, "another", "heard");
  });
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 11);
  EXPECT_THAT(text, HasSubstr("heard"));
}

TEST_F(Log, HasALevelThatNobodyCanName) {
  EXPECT_EQ(parse_level("trace"), Level::trace);
  EXPECT_EQ(parse_level("warning"), Level::warning);
  EXPECT_EQ(parse_level("off"), Level::off);
  EXPECT_EQ(parse_level("warn"), std::nullopt);
  EXPECT_EQ(parse_level(""), std::nullopt);
}

}  // namespace
}  // namespace lp::log
