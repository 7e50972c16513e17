#include "gateway/config/values.h"

#include <gtest/gtest.h>

#include <limits>

namespace lp::gateway::config {
namespace {

using std::chrono::milliseconds;

TEST(Number, TakesWhatIsNoNumberOrOutOfRange) {
  EXPECT_EQ(parse_number("0", 0, 9), 0U);
  EXPECT_EQ(parse_number("9", 0, 9), 9U);
  EXPECT_EQ(parse_number("007", 0, 9), 7U);
  EXPECT_EQ(parse_number("18446744073709551615", 0, std::numeric_limits<std::uint64_t>::max()),
            std::numeric_limits<std::uint64_t>::max());
  for (const char* text : {"", " 1", "1 ", "+1", "-1", "1.0", "1e1", "0x1", "10", "a", "1a",
                           "18446744073709551616", "99999999999999999999999999"}) {
    const auto parsed = parse_number(text, 0, 9);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error(), "must be a whole number from 0 to 9");
  }
}

TEST(Seconds, LosesMillisecondsOrTakesMoreThanItCanHold) {
  EXPECT_EQ(parse_seconds("5"), milliseconds(5000));
  EXPECT_EQ(parse_seconds("0.5"), milliseconds(500));
  EXPECT_EQ(parse_seconds("0.001"), milliseconds(1));
  EXPECT_EQ(parse_seconds("2.05"), milliseconds(2050));
  EXPECT_EQ(parse_seconds("3600"), milliseconds(3'600'000));
  EXPECT_EQ(parse_seconds("3600.000"), milliseconds(3'600'000));
  for (const char* text : {"", "0", "0.000", "0.0005", "3600.001", "3601", ".5", "5.", "1.2.3",
                           "-1", "1s", "500ms", "1e3", "18446744073709551615"}) {
    EXPECT_FALSE(parse_seconds(text)) << text;
  }
}

TEST(Seconds, IsPrintedAsAnotherValueThanItIs) {
  for (const int count : {1, 10, 100, 250, 999, 1000, 1001, 1010, 90'500, 3'600'000}) {
    EXPECT_EQ(parse_seconds(print_seconds(milliseconds(count))), milliseconds(count));
  }
  EXPECT_EQ(print_seconds(milliseconds(5000)), "5");
  EXPECT_EQ(print_seconds(milliseconds(2050)), "2.05");
}

TEST(Boolean, TakesAnythingForTrueOrFalse) {
  for (const char* text : {"true", "yes", "on", "1"})
    EXPECT_EQ(parse_boolean(text), true);
  for (const char* text : {"false", "no", "off", "0"})
    EXPECT_EQ(parse_boolean(text), false);
  for (const char* text : {"", "TRUE", "2", "y", "truefalse"})
    EXPECT_FALSE(parse_boolean(text));
}

TEST(Loopback, TakesAPublicAddressForLoopback) {
  for (const char* text : {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(is_loopback(text)) << text;
  }
  for (const char* text : {"0.0.0.0", "::", "128.0.0.1", "126.255.255.255", "::2", "::ffff:8.8.8.8",
                           "::127.0.0.1", "localhost", "", "127.1"}) {
    EXPECT_FALSE(is_loopback(text)) << text;
  }
}

TEST(Address, TakesNamesPortsAndBrackets) {
  EXPECT_TRUE(is_ip_address("192.0.2.1"));
  EXPECT_TRUE(is_ip_address("2001:db8::1"));
  for (const char* text : {"", "localhost", "192.0.2.1:80", "[::1]", "192.0.2", "1.2.3.4.5",
                           "fe80::1%eth0", " 192.0.2.1"}) {
    EXPECT_FALSE(is_ip_address(text)) << text;
  }
  EXPECT_FALSE(is_ip_address(std::string_view("127.0.0.1\0x", 11)));
}

TEST(Network, TakesHostBitsOrAPrefixThatDoesNotFit) {
  EXPECT_EQ(parse_network("10.1.0.0/16", Family::ipv4)->prefix, 16U);
  EXPECT_EQ(parse_network("fd00::/112", Family::ipv6)->prefix, 112U);
  EXPECT_EQ(parse_network("0.0.0.0/0", Family::either)->prefix, 0U);
  EXPECT_EQ(parse_network("192.0.2.7", Family::either)->prefix, 32U);
  EXPECT_EQ(parse_network("::1", Family::either)->prefix, 128U);
  for (const char* text : {"10.1.0.1/16", "10.1.0.0/33", "10.1.0.0/", "10.1.0.0/-1", "/8", "",
                           "10.1.0.0", "10.1.0.0/16/2", "fd00::/112"}) {
    EXPECT_FALSE(parse_network(text, Family::ipv4)) << text;
  }
  EXPECT_FALSE(parse_network("fd00::1/112", Family::ipv6));
  EXPECT_FALSE(parse_network("10.0.0.0/8", Family::ipv6));
  EXPECT_FALSE(parse_network("fd00::/129", Family::either));
}

TEST(RedactedUrl, ShowsThePasswordOrHidesMore) {
  for (const auto& [url, shown] : {
           std::pair("postgresql://u:pw@h/d", "postgresql://u:<redacted>@h/d"),
           std::pair("postgres://u:@h:1,i:2/d?sslmode=verify-full",
                     "postgres://u:<redacted>@h:1,i:2/d?sslmode=verify-full"),
           std::pair("postgresql://u@h:5432/d", "postgresql://u@h:5432/d"),
           std::pair("postgresql://h:5432/d", "postgresql://h:5432/d"),
           std::pair("postgresql:///d?host=/tmp&user=a@b", "postgresql:///d?host=/tmp&user=a@b"),
           // libpq takes it in the parameters too, also with escapes in its name.
           std::pair("postgresql:///d?password=pw&user=u",
                     "postgresql:///d?password=<redacted>&user=u"),
           std::pair("postgresql://?user=u&sslpassword=p=w",
                     "postgresql://?user=u&sslpassword=<redacted>"),
           std::pair("postgresql:///d?pass%77ord=pw", "postgresql:///d?pass%77ord=<redacted>"),
           // Characters that should have been escaped.
           std::pair("postgresql://u:p@w@h/d", "postgresql://u:<redacted>@h/d"),
           std::pair("postgresql://u:p?w@h/d", "postgresql://u:<redacted>@h/d"),
           std::pair("postgresql://u:p/w@h/d", "postgresql://u:<redacted>@h/d"),
           std::pair("postgresql://u:p/w@h/d?password=pw",
                     "postgresql://u:<redacted>@h/d?password=<redacted>"),
           std::pair("sqlite:/a:b@c?password=d", "sqlite:/a:b@c?password=d"),
           std::pair("sqlite:x://a:b@c", "sqlite:x://a:b@c"),
           std::pair("", ""),
       }) {
    EXPECT_EQ(redacted_url(url), shown);
  }
}

TEST(EditDistance, CountsChangesWrongly) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("max_conections", "max_connections"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

}  // namespace
}  // namespace lp::gateway::config
