// Lines of the log: what a stranger chose in them breaks no line, no terminal and no parser.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <sstream>

#include "lib/base/utf8.h"
#include "lib/log/line.h"

namespace lp::log {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::system_clock::time_point at{1'763'784'000'007ms};

std::string line(Format format, std::string_view message, std::vector<Field> fields = {},
                 Level level = Level::warning) {
  return format_line(format, at, level, message, fields);
}

TEST(LogLine, HasTimeLevelMessageAndFieldsInEveryFormat) {
  const std::vector<Field> fields{{"peer", "192.0.2.1"}, {"error", "timed out"}, {"count", 12}};
  EXPECT_EQ(line(Format::text, "no answer", fields),
            "2025-11-22T04:00:00.007Z warning: no answer peer=192.0.2.1 error=\"timed out\" "
            "count=12");
  EXPECT_EQ(line(Format::journal, "no answer", fields),
            "<4>no answer peer=192.0.2.1 error=\"timed out\" count=12");
  EXPECT_EQ(line(Format::json, "no answer", fields),
            R"({"time":"2025-11-22T04:00:00.007Z","level":"warning","message":"no answer",)"
            R"("peer":"192.0.2.1","error":"timed out","count":12})");
}

TEST(LogLine, PrioritiesAreSyslogs) {
  const auto priority = [](Level level) { return line(Format::journal, "", {}, level); };
  EXPECT_EQ(priority(Level::error), "<3>");
  EXPECT_EQ(priority(Level::warning), "<4>");
  EXPECT_EQ(priority(Level::info), "<6>");
  EXPECT_EQ(priority(Level::debug), "<7>");
  EXPECT_EQ(priority(Level::trace), "<7>");
}

TEST(LogLine, ControlCharactersAreEscapedWhereverTheyStand) {
  // A newline, a terminal's escape, and the same as one character of C1.
  const std::string hostile =
      "a\nb\x1b[2Jc\x7f\xc2\x9b"
      "d";
  EXPECT_TRUE(line(Format::text, hostile, {{"peer", hostile}})
                  .ends_with(R"(: a\x0ab\x1b[2Jc\x7f\x9bd peer=a\x0ab\x1b[2Jc\x7f\x9bd)"));
  EXPECT_TRUE(line(Format::json, hostile).contains(R"("a\u000ab\u001b[2Jc\u007f\u009bd")"));
  EXPECT_TRUE(line(Format::journal, hostile).starts_with(R"(<4>a\x0ab)"));
}

TEST(LogLine, QuotesAndEqualSignsOfAStrangerMakeNoFieldsOfTheirOwn) {
  EXPECT_TRUE(line(Format::text, "m", {{"a", "x b=\"1\""}}).ends_with(R"( a="x b=\"1\"")"));
  EXPECT_TRUE(line(Format::text, "m", {{"a", "b=1"}}).ends_with(R"( a="b=1")"));
  EXPECT_TRUE(line(Format::text, "m", {{"a", ""}}).ends_with(R"( a="")"));
  const auto parsed =
      boost::json::parse(line(Format::json, R"(","level":"off)", {{"a", R"(\"})"}})).as_object();
  EXPECT_EQ(parsed.at("level"), "warning");
  EXPECT_EQ(parsed.at("message"), R"(","level":"off)");
  EXPECT_EQ(parsed.at("a"), R"(\"})");
}

TEST(LogLine, IsUtf8WhateverComes) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte)
    all += static_cast<char>(byte);
  for (const Format format : {Format::text, Format::json, Format::journal}) {
    const auto text = line(format, all, {{"field", all}});
    EXPECT_TRUE(is_utf8({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}));
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
  boost::system::error_code error;
  (void)boost::json::parse(line(Format::json, all, {{"field", all}}), error);
  EXPECT_FALSE(error) << error.message();
}

TEST(LogLine, NumbersOfAnySizeAreNumbers) {
  EXPECT_TRUE(line(Format::json, "", {{"n", std::numeric_limits<std::int64_t>::min()}})
                  .ends_with(R"(,"n":-9223372036854775808})"));
  EXPECT_TRUE(line(Format::json, "", {{"n", std::numeric_limits<std::uint64_t>::max()}})
                  .ends_with(R"(,"n":18446744073709551615})"));
}

TEST(JournalStream, IsKnownByDeviceAndInode) {
  EXPECT_TRUE(is_journal_stream("8:1234", 8, 1234));
  for (const char* other : {"", "8:12345", "8:123", "9:1234", "8", "8:1234 ", "08:1234"})
    EXPECT_FALSE(is_journal_stream(other, 8, 1234)) << other;
}

TEST(Log, LimitedLinesTellTheirCauseAndTenOfThemPassAtOnce) {
  set_level(Level::warning);
  set_format(Format::json);
  flush();
  testing::internal::CaptureStderr();
  for (int i = 0; i < 25; ++i)
    write_limited(Level::warning, "log test", "again", {{"number", i}});
  write_limited(Level::info, "log test", "not wanted");
  flush();
  const std::string output = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::ranges::count(output, '\n'), 10) << output;
  EXPECT_TRUE(output.contains(R"("message":"again","cause":"log test","number":9})")) << output;
  EXPECT_FALSE(output.contains("suppressed")) << output;
  set_format(Format::text);
}

TEST(Log, NothingIsLeftOutAtTrace) {
  set_level(Level::trace);
  flush();
  testing::internal::CaptureStderr();
  for (int i = 0; i < 25; ++i)
    write_limited(Level::debug, "log test at trace", "again");
  flush();
  const std::string output = testing::internal::GetCapturedStderr();
  set_level(Level::warning);
  EXPECT_EQ(std::ranges::count(output, '\n'), 25) << output;
}

/// Standard error is a pipe for as long as this lives, read when the test wants it and not before.
class UnreadPipe {
 public:
  UnreadPipe() : before_(::dup(STDERR_FILENO)) {
    flush();
    EXPECT_EQ(::pipe2(ends_.data(), O_CLOEXEC), 0);
    EXPECT_EQ(::dup2(ends_[1], STDERR_FILENO), STDERR_FILENO);
    ::close(ends_[1]);
  }
  ~UnreadPipe() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
    ::close(ends_[0]);
  }
  UnreadPipe(const UnreadPipe&) = delete;
  UnreadPipe& operator=(const UnreadPipe&) = delete;

  /// Up to the line that ends in `last`.
  std::string read_to(std::string_view last) {
    std::string text;
    std::array<char, 4096> part;
    while (!text.ends_with(last)) {
      const ssize_t count = ::read(ends_[0], part.data(), part.size());
      if (count <= 0) break;
      text.append(part.data(), static_cast<std::size_t>(count));
    }
    return text;
  }

 private:
  int before_;
  std::array<int, 2> ends_{-1, -1};
};

TEST(Log, WaitsForAReaderThatHasStopped) {
  constexpr int lines = 20'000;
  set_level(Level::warning);
  set_format(Format::json);
  UnreadPipe pipe;
  for (int i = 0; i < lines; ++i)
    write(Level::warning, "nobody reads", {{"number", i}});
  flush();  // gives up
  std::istringstream text(pipe.read_to("\"number\":19999}\n"));
  set_format(Format::text);

  std::int64_t read = 0;
  std::int64_t lost = 0;
  for (std::string one; std::getline(text, one);) {
    boost::system::error_code error;
    const auto value = boost::json::parse(one, error);
    ASSERT_FALSE(error) << one;
    const auto* const told = value.as_object().if_contains("lost");
    if (told != nullptr) {
      lost += told->as_int64();
    } else {
      ++read;
    }
  }
  EXPECT_GE(read, 4'096);
  EXPECT_GT(lost, 0);
  EXPECT_EQ(read + lost, lines);
}

TEST(RateLimit, TellsInTheNextWindowHowManyWereLeftOut) {
  RateLimit limit;
  const RateLimit::Time start{1h};
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(limit.admit("a", start + 1s), 0u);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(limit.admit("a", start + 10s), std::nullopt);
  EXPECT_EQ(limit.admit("b", start + 10s), 0u);  // has a count of its own
  EXPECT_EQ(limit.admit("a", start + 11s), 3u);
  EXPECT_EQ(limit.admit("a", start + 11s), 0u);
}

TEST(Utf8, WhatIsNoneIsReplacedByteByByte) {
  EXPECT_EQ(valid_utf8("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(valid_utf8("a\xff"
                       "b\xc3"),
            "a\xef\xbf\xbd"
            "b\xef\xbf\xbd");
  EXPECT_EQ(valid_utf8("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // a surrogate
}

}  // namespace
}  // namespace lp::log
