#include "gateway/http/allow_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lp::gateway::http {
namespace {

bool allows(const std::vector<std::string>& entries, std::string_view address) {
  const auto list = AllowList::parse(entries);
  const auto ip = messages::ip_address_from_string(address);
  if (!list || !ip) throw std::invalid_argument(std::string(address));
  return list->contains(*ip);
}

TEST(AllowList, EmptyListAllowsNobody) {
  EXPECT_FALSE(allows({}, "127.0.0.1"));
  EXPECT_FALSE(allows({}, "::1"));
}

TEST(AllowList, PrefixEndsAtItsBitAndNotAtTheByte) {
  EXPECT_TRUE(allows({"10.1.64.0/18"}, "10.1.64.0"));
  EXPECT_TRUE(allows({"10.1.64.0/18"}, "10.1.127.255"));
  EXPECT_FALSE(allows({"10.1.64.0/18"}, "10.1.128.0"));
  EXPECT_FALSE(allows({"10.1.64.0/18"}, "10.1.63.255"));
  EXPECT_TRUE(allows({"2001:db8:8000::/33"}, "2001:db8:ffff::1"));
  EXPECT_FALSE(allows({"2001:db8:8000::/33"}, "2001:db8:7fff::1"));
}

TEST(AllowList, ZeroPrefixAllowsItsFamilyOnly) {
  EXPECT_TRUE(allows({"0.0.0.0/0"}, "203.0.113.9"));
  EXPECT_FALSE(allows({"0.0.0.0/0"}, "2001:db8::1"));
  EXPECT_TRUE(allows({"::/0"}, "2001:db8::1"));
  EXPECT_FALSE(allows({"::/0"}, "203.0.113.9"));
}

TEST(AllowList, SingleAddressAllowsItselfOnly) {
  EXPECT_TRUE(allows({"192.0.2.7"}, "192.0.2.7"));
  EXPECT_FALSE(allows({"192.0.2.7"}, "192.0.2.6"));
  EXPECT_TRUE(allows({"::1"}, "::1"));
  EXPECT_FALSE(allows({"::1"}, "::2"));
}

TEST(AllowList, Ipv4ClientOfAnIpv6SocketIsAnIpv4Client) {
  EXPECT_TRUE(allows({"127.0.0.0/8"}, "::ffff:127.0.0.1"));
  EXPECT_FALSE(allows({"127.0.0.0/8"}, "::ffff:192.0.2.1"));
  EXPECT_TRUE(allows({"::ffff:192.0.2.0/120"}, "192.0.2.1"));
  EXPECT_FALSE(allows({"::ffff:192.0.2.0/120"}, "192.0.3.1"));
}

TEST(AllowList, BitsBeyondThePrefixDoNotMatter) {
  EXPECT_TRUE(allows({"192.0.2.77/24"}, "192.0.2.1"));
}

TEST(AllowList, AnyOfSeveralRangesSuffices) {
  EXPECT_TRUE(allows({"192.0.2.0/24", "2001:db8::/32"}, "2001:db8::1"));
}

TEST(AllowList, ErrorNamesTheEntryThatIsNoRange) {
  for (const char* entry :
       {"", "/", "/8", "localhost", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/8x",
        "192.0.2.0/ 8", "192.0.2/24", "2001:db8::/129", "2001:db8::/1/2", "192.0.2.0/256",
        "192.0.2.0/99999999999"}) {
    const std::vector<std::string> entries{"127.0.0.1", entry};
    const auto list = AllowList::parse(entries);
    ASSERT_FALSE(list) << entry;
    std::string quoted(1, '"');
    quoted += entry;
    quoted += '"';
    EXPECT_THAT(list.error(), testing::StartsWith(quoted));
  }
}

}  // namespace
}  // namespace lp::gateway::http
