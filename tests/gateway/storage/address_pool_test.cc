// The pool: which texts are prefixes, which addresses are never handed out, and in which order the
// others are.
#include "gateway/storage/address_pool.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace lp::gateway::storage {
namespace {

std::string text(const ByteArray<4>& address) {
  return std::string(address_text(address).view());
}
std::string text(const ByteArray<16>& address) {
  return std::string(address_text(address).view());
}
ByteArray<4> ipv4(std::string_view address) {
  return *parse_address<4>(address);
}

struct PrefixCase {
  const char* cidr;
  const char* first;  ///< address handed out; empty = the prefix is refused
  const char* last;
};

class Ipv4PrefixTest : public ::testing::TestWithParam<PrefixCase> {};

TEST_P(Ipv4PrefixTest, HandsOutNeitherNetworkNorGatewayNorBroadcast) {
  const auto& [cidr, first, last] = GetParam();
  const auto range = AddressRange<4>::parse(cidr);
  ASSERT_EQ(range.has_value(), *first != '\0') << cidr;
  if (!range) {
    EXPECT_NE(range.error().find(cidr), std::string::npos) << range.error();
    return;
  }
  EXPECT_EQ(text(range->at(range->first())), first);
  EXPECT_EQ(text(range->at(range->last())), last);
  EXPECT_FALSE(range->offset_of(range->at(0)));
  EXPECT_FALSE(range->offset_of(range->at(1)));
  EXPECT_FALSE(range->offset_of(range->at(range->last() + 1)));
  EXPECT_EQ(range->offset_of(range->at(range->last())), range->last());
}

INSTANTIATE_TEST_SUITE_P(
    Prefixes, Ipv4PrefixTest,
    ::testing::Values(PrefixCase{"10.1.0.0/16", "10.1.0.2", "10.1.255.254"},
                      PrefixCase{"10.0.0.0/8", "10.0.0.2", "10.255.255.254"},
                      PrefixCase{"0.0.0.0/0", "0.0.0.2", "255.255.255.254"},
                      PrefixCase{"192.0.2.4/30", "192.0.2.6", "192.0.2.6"},
                      PrefixCase{"192.0.2.0/31", "", ""}, PrefixCase{"192.0.2.0/32", "", ""},
                      PrefixCase{"192.0.2.0/33", "", ""}, PrefixCase{"192.0.2.0/-1", "", ""},
                      PrefixCase{"192.0.2.0/", "", ""}, PrefixCase{"192.0.2.0", "", ""},
                      PrefixCase{"192.0.2.0/024", "", ""}, PrefixCase{"192.0.2.0/24 ", "", ""},
                      PrefixCase{" 192.0.2.0/24", "", ""}, PrefixCase{"192.0.2.0/24/24", "", ""},
                      PrefixCase{"192.0.2/24", "", ""}, PrefixCase{"192.0.2.1/24", "", ""},
                      PrefixCase{"fd00::/112", "", ""}, PrefixCase{"", "", ""},
                      PrefixCase{"/16", "", ""}, PrefixCase{"host/16", "", ""},
                      PrefixCase{"192.0.2.0/99999999999999999999", "", ""}));

class Ipv6PrefixTest : public ::testing::TestWithParam<PrefixCase> {};

TEST_P(Ipv6PrefixTest, HandsOutNeitherNetworkNorGatewayNorLast) {
  const auto& [cidr, first, last] = GetParam();
  const auto range = AddressRange<16>::parse(cidr);
  ASSERT_EQ(range.has_value(), *first != '\0') << cidr;
  if (!range) return;
  EXPECT_EQ(text(range->at(range->first())), first);
  EXPECT_EQ(text(range->at(range->last())), last);
  EXPECT_FALSE(range->offset_of(range->at(1)));
  EXPECT_FALSE(range->offset_of(range->at(range->last() + 1)));
}

INSTANTIATE_TEST_SUITE_P(
    Prefixes, Ipv6PrefixTest,
    ::testing::Values(PrefixCase{"fd00::/112", "fd00::2", "fd00::fffe"},
                      PrefixCase{"fd00:1:2:3::/64", "fd00:1:2:3::2",
                                 "fd00:1:2:3:7fff:ffff:ffff:fffe"},
                      PrefixCase{"fd00::/8", "fd00::2", "fd00::7fff:ffff:ffff:fffe"},
                      PrefixCase{"::/0", "::2", "::7fff:ffff:ffff:fffe"},
                      PrefixCase{"2001:db8::4/126", "2001:db8::6", "2001:db8::6"},
                      PrefixCase{"fd00::/127", "", ""}, PrefixCase{"fd00::/128", "", ""},
                      PrefixCase{"fd00::/129", "", ""}, PrefixCase{"fd00::1/112", "", ""},
                      PrefixCase{"fd00::%eth0/64", "", ""}, PrefixCase{"10.1.0.0/16", "", ""}));

TEST(AddressRangeTest, SetBitsBeyondThePrefixNameTheNetworkThatWasMeant) {
  const auto range = AddressRange<4>::parse("10.1.2.3/20");
  ASSERT_FALSE(range);
  EXPECT_EQ(range.error(),
            "'10.1.2.3/20' has bits set beyond its prefix length; the network is 10.1.0.0/20");
}

TEST(AddressRangeTest, NeighbouringRangesShareNoAddress) {
  const auto range = AddressRange<4>::parse("10.1.0.0/16");
  for (const char* outside : {"10.0.255.255", "10.2.0.0", "10.2.0.2", "11.1.0.2", "0.0.0.0"}) {
    EXPECT_FALSE(range->offset_of(ipv4(outside))) << outside;
  }
  const auto wide = AddressRange<16>::parse("fd00::/48");
  EXPECT_FALSE(wide->offset_of(*parse_address<16>("fd00:0:0:1::2")));
  EXPECT_TRUE(wide->offset_of(*parse_address<16>("fd00::1:2")));
}

TEST(FreeAddressesTest, LargestPoolCostsNothingUntilItIsUsed) {
  FreeAddresses<4> free(*AddressRange<4>::parse("10.0.0.0/8"));
  std::set<ByteArray<4>> seen;
  for (int i = 0; i < 1000; ++i)
    EXPECT_TRUE(seen.insert(free.take()).second);
  EXPECT_EQ(text(free.take()), "10.0.3.234");
}

TEST(FreeAddressesTest, UsedAddressesAreSteppedOverInAnyOrder) {
  FreeAddresses<4> free(*AddressRange<4>::parse("10.9.0.0/28"));
  for (const char* used : {"10.9.0.5", "10.9.0.2", "10.9.0.14", "10.9.0.3", "192.0.2.7"}) {
    free.add_used(ipv4(used));
  }
  free.add_released(ipv4("10.9.0.7"));
  free.add_released(ipv4("10.9.0.4"));
  free.finish_loading();
  std::string order;
  while (free.has_next())
    order += text(free.take()).substr(7) + " ";
  EXPECT_EQ(order, "6 8 9 10 11 12 13 7 4 ");
}

TEST(FreeAddressesTest, ResetForgetsEverything) {
  FreeAddresses<4> free(*AddressRange<4>::parse("10.9.0.0/30"));
  free.add_used(ipv4("10.9.0.2"));
  free.finish_loading();
  EXPECT_FALSE(free.has_next());
  free.reset();
  free.finish_loading();
  ASSERT_TRUE(free.has_next());
  EXPECT_EQ(text(free.take()), "10.9.0.2");
  EXPECT_FALSE(free.has_next());
}

TEST(AddressPoolTest, SmallerPoolEndsBothAndLosesNoAddressOfTheOther) {
  auto pool = AddressPool::parse("10.9.0.0/29", "fd00::/126");
  ASSERT_TRUE(pool);
  EXPECT_TRUE(pool->take());
  EXPECT_FALSE(pool->take());
  EXPECT_TRUE(pool->is_exhausted());
  EXPECT_EQ(text(pool->ipv4.take()), "10.9.0.3");
}

TEST(AddressTextTest, TextsGoBackAndForthAndOthersAreNone) {
  EXPECT_EQ(text(*parse_address<16>("FD00:0:0::00a1")), "fd00::a1");
  EXPECT_EQ(text(*parse_address<16>("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")),
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  for (const char* none : {"", "10.1.1", "10.1.1.1.1", "10.1.1.256", "::1", "10.1.1.1 ",
                           "0000000000000000000000000000000000000000000000000000000000000001"}) {
    EXPECT_FALSE(parse_address<4>(none)) << none;
  }
}

}  // namespace
}  // namespace lp::gateway::storage
