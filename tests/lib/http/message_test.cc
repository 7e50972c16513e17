#include "lib/http/message.h"

#include <gtest/gtest.h>

namespace lp::http {
namespace {

TEST(HttpDate, IsTheFixedFormOfRfc9110) {
  EXPECT_EQ(http_date(784'111'777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(http_date(1'709'164'800), "Thu, 29 Feb 2024 00:00:00 GMT");
  EXPECT_EQ(http_date(4'102'444'799), "Thu, 31 Dec 2099 23:59:59 GMT");
}

TEST(PathOf, TakesEveryFormOfATarget) {
  EXPECT_EQ(path_of("/a/b"), "/a/b");
  EXPECT_EQ(path_of("/a?b=/c"), "/a");
  EXPECT_EQ(path_of("http://host:80/a?b"), "/a");
  EXPECT_EQ(path_of("https://host/a"), "/a");
  EXPECT_EQ(path_of("http://host"), "/");
  EXPECT_EQ(path_of("*"), "*");
  EXPECT_EQ(path_of(""), "");
}

TEST(PlainAnswer, IsItsStatus) {
  const Answer answer = plain(404);
  EXPECT_EQ(answer.status, 404U);
  EXPECT_EQ(answer.body, "404 Not Found\n");
  EXPECT_EQ(answer.content_type, text_type);
}

}  // namespace
}  // namespace lp::http
