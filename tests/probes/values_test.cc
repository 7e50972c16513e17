#include "probes/options/values.h"

#include <gtest/gtest.h>

namespace lp::probe::options {
namespace {

using namespace std::chrono_literals;

TEST(ValuesTest, TimesAreReadWithAndWithoutUnit) {
  EXPECT_EQ(parse_duration("10"), 10s);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("5us"), 5us);
  EXPECT_EQ(parse_duration("2m"), 2min);
  EXPECT_EQ(parse_duration("24h"), 24h);
  EXPECT_EQ(parse_interval("0"), 0s);
}

TEST(ValuesTest, WhatIsNoTimeIsRefused) {
  for (const char* text : {"", "s", "-1", "+1", "1e3", "nan", "inf", "0x10", " 1", "1 s", "1sec",
                           "1.5.2", "0", "0ms", "25h", "99999999999999999999999999h", ".5"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
  EXPECT_FALSE(parse_interval("-0.1"));
}

TEST(ValuesTest, NumbersKeepTheirBounds) {
  EXPECT_EQ(parse_number("1", 1, 10), 1u);
  EXPECT_EQ(parse_number("10", 1, 10), 10u);
  for (const char* text : {"0", "11", "", "1 ", "-1", "0x1", "18446744073709551616"}) {
    EXPECT_FALSE(parse_number(text, 1, 10)) << text;
  }
}

TEST(ValuesTest, BooleansHaveFewNames) {
  for (const char* text : {"true", "yes", "on", "1"})
    EXPECT_EQ(parse_bool(text), true) << text;
  for (const char* text : {"false", "no", "off", "0"})
    EXPECT_EQ(parse_bool(text), false) << text;
  for (const char* text : {"", "True", "2", "y"})
    EXPECT_FALSE(parse_bool(text)) << text;
}

TEST(ValuesTest, TimesAreShownWithThreeDigits) {
  EXPECT_EQ(format_duration(1900us), "1.90 ms");
  EXPECT_EQ(format_duration(19'900us), "19.9 ms");
  EXPECT_EQ(format_duration(199'900us), "200 ms");
  EXPECT_EQ(format_duration(1999ms), "2.00 s");
  EXPECT_EQ(format_duration(30s), "30.0 s");
  EXPECT_EQ(format_duration(0s), "0.00 ms");
}

}  // namespace
}  // namespace lp::probe::options
