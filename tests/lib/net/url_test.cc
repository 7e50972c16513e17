#include <gtest/gtest.h>

#include "lib/net/fetch.h"

namespace lp::net {
namespace {

TEST(Url, PartsAreFoundAndWrittenBack) {
  const auto url = Url::parse("HTTPS://Chain.example:8443/api/v1?x=1");
  ASSERT_TRUE(url) << url.error();
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "Chain.example");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->path, "/api/v1?x=1");
  EXPECT_EQ(url->to_string(), "https://Chain.example:8443/api/v1?x=1");
  const auto ipv6 = Url::parse("http://[2001:db8::1]:81");
  ASSERT_TRUE(ipv6) << ipv6.error();
  EXPECT_EQ(ipv6->host, "2001:db8::1");
  EXPECT_EQ(ipv6->to_string(), "http://[2001:db8::1]:81/");
  EXPECT_EQ(Url::parse("https://a")->port, 443);
  EXPECT_EQ(Url::parse("http://a?x")->path, "/?x");
  EXPECT_EQ(Url::parse("http://a/%2F")->to_string(), "http://a/%2F");
}

TEST(Url, WhatIsNoneIsRefused) {
  for (const char* text : {"",
                           "chain.example",
                           "ftp://a",
                           "http:/a",
                           "http://",
                           "http:///x",
                           "http://a b/",
                           "http://user:secret@a/",
                           "http://@a/",
                           "http://a:0",
                           "http://a:65536",
                           "http://a:",
                           "http://a:80x",
                           "http://a/#top",
                           "http://a/%",
                           "http://a/%2",
                           "http://a/%zz",
                           "http://a/\x7f",
                           "http://a/\xc3\xa9",
                           "http://a/ x",
                           "http://a\r\nHost: b/",
                           "http://[::1",
                           "http://[::1]x",
                           "http://[fe80::1%25eth0]/",
                           "http://[127.0.0.1]/",
                           "http://a/<x>",
                           "http://-a/",
                           "http://.a/",
                           "http://\xc3\xa9/"}) {
    EXPECT_FALSE(Url::parse(text)) << text;
  }
  EXPECT_FALSE(Url::parse("http://a/" + std::string(5000, 'x')));
  EXPECT_FALSE(Url::parse("http://" + std::string(254, 'x')));
}

TEST(Url, PasswordDoesNotGetIntoTheError) {
  EXPECT_EQ(Url::parse("https://user:secret@a/").error().find("secret"), std::string::npos);
}

TEST(Url, OnlyLoopbackIsLoopback) {
  for (const char* text : {"http://127.0.0.1", "http://127.255.1.2:80/x", "http://[::1]/",
                           "http://localhost", "http://LocalHost:1"}) {
    EXPECT_TRUE(Url::parse(text)->is_loopback()) << text;
  }
  for (const char* text :
       {"http://128.0.0.1", "http://localhost.example", "http://127.0.0.1.example", "http://[::2]/",
        "http://[::ffff:10.0.0.1]/", "http://127.1", "http://a"}) {
    EXPECT_FALSE(Url::parse(text)->is_loopback()) << text;
  }
}

}  // namespace
}  // namespace lp::net
