#include "lib/postgres/url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "lib/postgres/postgres.h"

namespace lp::postgres {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(UrlTest, DisplayShowsThePasswordOrHidesTheDatabase) {
  const auto url = Url::parse("postgresql://lp:s3cret@db.example:5433/gateway?sslmode=require");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->display(), "postgresql://lp@db.example:5433/gateway");
  EXPECT_EQ(Url::parse("postgresql:///gateway?host=/run/postgresql&password=s3cret")->display(),
            "postgresql:///gateway");
}

TEST(UrlTest, SecretsPassThroughAMessage) {
  const auto url = Url::parse("postgresql://lp:p%40ss@db/gateway?sslpassword=p%40ssword");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->redact("p@ss of p@ssword and p@ss"), "[redacted] of [redacted] and [redacted]");
  EXPECT_EQ(Url::parse("postgresql://lp@db/gateway")->redact("p@ss"), "p@ss");
}

TEST(UrlTest, WaitingIsUnboundedOrTheUrlIsNotHeard) {
  const auto plain = Url::parse("postgresql://lp@db/gateway")->connection_string("lp-gateway");
  EXPECT_THAT(plain, HasSubstr("connect_timeout='3'"));
  EXPECT_THAT(plain, HasSubstr("tcp_user_timeout='10000'"));
  EXPECT_THAT(plain, HasSubstr("target_session_attrs='read-write'"));
  EXPECT_THAT(plain, HasSubstr("fallback_application_name='lp-gateway'"));
  const auto own =
      Url::parse("postgresql://lp@db/gateway?connect_timeout=7")->connection_string("lp-gateway");
  EXPECT_THAT(own, HasSubstr("connect_timeout='7'"));
  EXPECT_THAT(own, Not(HasSubstr("connect_timeout='3'")));
}

// libpq would take the rest of the password for the host or the database, which are shown.
TEST(UrlTest, PasswordThatIsNotEncodedIsShown) {
  for (const char* text : {"postgresql://lp:pa@s3cret@db/gateway", "postgres://lp:pa/s3cret@db/gw",
                           "postgresql://lp@pa@s3cret@db"}) {
    const auto url = Url::parse(text);
    ASSERT_FALSE(url) << text;
    EXPECT_THAT(url.error().detail, HasSubstr("@ is written %40"));
    EXPECT_THAT(url.error().detail, Not(HasSubstr("s3cret")));
  }
  EXPECT_TRUE(Url::parse("postgresql://lp:p%40ss@db/gateway?user=a@b"));
  EXPECT_TRUE(Url::parse("postgresql:///gateway?host=@abstract"));
}

TEST(UrlTest, ValueEndsItsQuotes) {
  const auto url = Url::parse("postgresql://lp:a'b%5Cc@db/gateway");
  ASSERT_TRUE(url);
  EXPECT_THAT(url->connection_string("x"), HasSubstr("password='a\\'b\\\\c'"));
}

TEST(UrlTest, WhatIsNoUrlIsTakenOrRepeated) {
  using std::string_literals::operator""s;
  for (const auto& text :
       {""s, "sqlite:gateway"s, "host=db password=s3cret"s, "postgresql://lp:s3cret@[::1/gateway"s,
        "postgresql://lp:s3cret@db/gateway?nonsense=1"s, "postgresql://lp:s3cret@db/gate\0way"s,
        "postgresql://lp:s3cret%zz@db/gateway"s}) {
    const auto refused = Url::parse(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().kind, Error::Kind::invalid);
    EXPECT_THAT(refused.error().detail, Not(HasSubstr("s3cret")));
  }
}

TEST(ParamsTest, TextLeavesItsPlaceInAnArray) {
  const std::vector<std::string> texts{"plain", "a\"b\\c", "", "NULL", "{,}"};
  EXPECT_EQ(Params().add_array(texts).values().front(),
            "{\"plain\",\"a\\\"b\\\\c\",\"\",\"NULL\",\"{,}\"}");
  const std::vector<std::optional<std::int64_t>> integers{1, std::nullopt, -3};
  EXPECT_EQ(Params().add_array(integers).values().front(), "{1,NULL,-3}");
  EXPECT_EQ(Params().add_array(std::vector<bool>{true, false}).values().front(), "{t,f}");
  EXPECT_EQ(Params().add(ByteView(Bytes{0x00, 0xff})).values().front(), "\\x00ff");
  EXPECT_FALSE(Params().add_null().values().front());
}

}  // namespace
}  // namespace lp::postgres
