#include "lib/cli/values.h"

#include <gmock/gmock.h>

namespace lp::cli {
namespace {

constexpr std::uint64_t no_limit = ~std::uint64_t{0};

TEST(Digits, AreAllThatANumberHas) {
  EXPECT_EQ(parse_digits("0"), 0U);
  EXPECT_EQ(parse_digits("007"), 7U);
  EXPECT_EQ(parse_digits("18446744073709551615"), no_limit);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "1e3", "0x10", "1.5", "1,000", "٣",
                           "18446744073709551616", "99999999999999999999"})
    EXPECT_EQ(parse_digits(text), std::nullopt) << text;
  EXPECT_EQ(parse_digits(std::string_view("1\0", 2)), std::nullopt);
}

TEST(Duration, IsReadInEveryUnit) {
  EXPECT_EQ(parse_duration("7d", 1, 1'000'000), 604'800U);
  EXPECT_EQ(parse_duration("36h", 1, 1'000'000), 129'600U);
  EXPECT_EQ(parse_duration("90m", day, 1'000'000), 5'400U);
  EXPECT_EQ(parse_duration("45s", day, 1'000'000), 45U);
  EXPECT_EQ(parse_duration("45", 1, 1'000'000), 45U);
  EXPECT_EQ(parse_duration("3", day, 1'000'000), 259'200U);
  EXPECT_EQ(parse_duration("0", day, 0), 0U);
}

TEST(Duration, ThatIsTooLongIsNotWrappedAround) {
  EXPECT_EQ(parse_duration("10s", 1, 10), 10U);
  EXPECT_EQ(parse_duration("11s", 1, 10), std::nullopt);
  EXPECT_EQ(parse_duration("1m", 1, 59), std::nullopt);
  for (const char* text : {"18446744073709551615d", "213503982334602d", "99999999999999999999s"})
    EXPECT_EQ(parse_duration(text, 1, no_limit), std::nullopt) << text;
}

TEST(Duration, ThatIsNoneIsRefused) {
  for (const char* text : {"", "d", "7 d", "-1s", "+1", "1.5h", "7dd", "1w", "0x10", "7D"})
    EXPECT_EQ(parse_duration(text, 1, no_limit), std::nullopt) << text;
}

TEST(Duration, IsPrintedInItsGreatestWholeUnit) {
  EXPECT_EQ(print_duration(604'800), "7d");
  EXPECT_EQ(print_duration(90'000), "25h");
  EXPECT_EQ(print_duration(120), "2m");
  EXPECT_EQ(print_duration(61), "61s");
  EXPECT_EQ(print_duration(0), "0s");
}

TEST(Time, IsPrintedAsADateAsLongAsThereAreFourDigits) {
  EXPECT_EQ(print_time(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(print_time(1'760'000'000), "2025-10-09T08:53:20Z");
  EXPECT_EQ(print_time(253'402'300'799), "9999-12-31T23:59:59Z");
  EXPECT_EQ(print_time(253'402'300'800), "253402300800");
  EXPECT_EQ(print_time(no_limit), "18446744073709551615");
}

TEST(Text, OfOthersMovesNoCursor) {
  EXPECT_EQ(printable("a \x1b[2J\n\x7f\xc3\xa4~"), "a \\x1b[2J\\x0a\\x7f\\xc3\\xa4~");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

}  // namespace
}  // namespace lp::cli
