#include "gateway/connection/admission.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <thread>
#include <vector>

#include "lib/crypto/random.h"

namespace lp::gateway::connection {
namespace {

using metrics::RejectReason;

messages::IpAddress ip(const char* text) {
  return messages::ip_address_from_string(text).value();
}

TEST(AddressBlock, AnIpv6SubscriberIsOneBlockWhateverAddressesItUses) {
  EXPECT_EQ(block_of(ip("2001:db8:1:2::1")), block_of(ip("2001:db8:1:2:ffff:ffff:ffff:ffff")));
  EXPECT_NE(block_of(ip("2001:db8:1:2::1")), block_of(ip("2001:db8:1:3::1")));
}

TEST(AddressBlock, Ipv4AddressesAreBlocksOfTheirOwn) {
  EXPECT_NE(block_of(ip("192.0.2.1")), block_of(ip("192.0.2.2")));
  // Nor does an IPv6 block with the same bits count as the same.
  EXPECT_NE(block_of(ip("0.0.0.0")), block_of(ip("::")));
  EXPECT_NE(block_of(ip("0.0.0.1")), block_of(ip("0:0:0:1::")));
}

sockaddr_storage ipv6_socket_address(const char* text, std::uint16_t port) {
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET6, text, &in.sin6_addr), 1);
  sockaddr_storage storage{};
  std::memcpy(&storage, &in, sizeof in);
  return storage;
}

TEST(SocketAddress, AnIpv4MappedAddressIsTheIpv4Address) {
  EXPECT_EQ(messages::to_string(socket_address(ipv6_socket_address("::ffff:192.0.2.7", 41264))),
            "192.0.2.7:41264");
  EXPECT_EQ(messages::to_string(socket_address(ipv6_socket_address("2001:db8::7", 1))),
            "[2001:db8::7]:1");
  // Looks alike, is not: no ff:ff before the last 32 bits.
  EXPECT_EQ(messages::to_string(socket_address(ipv6_socket_address("::fffe:192.0.2.7", 1)).ip)
                .substr(0, 2),
            "::");
}

class AdmissionTest : public testing::Test {
 protected:
  AdmissionTest() { EXPECT_TRUE(crypto::initialise()); }
};

TEST_F(AdmissionTest, ASlotIsGivenBackWithItsOwner) {
  Admission admission;
  {
    auto slot = admission.admit(ip("192.0.2.1"), {1, 1});
    ASSERT_TRUE(slot);
    const Slot moved = std::move(*slot);
    EXPECT_EQ(admission.active(), 1);
    const auto second = admission.admit(ip("192.0.2.2"), {1, 1});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error(), RejectReason::max_connections);
  }
  EXPECT_EQ(admission.active(), 0);
  EXPECT_EQ(admission.blocks(), 0);
}

TEST_F(AdmissionTest, ALimitPerBlockDoesNotGrowWithTheAddressesInIt) {
  Admission admission;
  const auto first = admission.admit(ip("2001:db8::1"), {10, 2});
  const auto second = admission.admit(ip("2001:db8::2"), {10, 2});
  const auto third = admission.admit(ip("2001:db8::3"), {10, 2});
  EXPECT_TRUE(first && second);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error(), RejectReason::per_address);
  EXPECT_TRUE(admission.admit(ip("2001:db8:0:1::1"), {10, 2}));
}

TEST_F(AdmissionTest, ALoweredLimitHoldsForThoseWhoCome) {
  Admission admission;
  std::vector<Slot> slots;
  for (int i = 0; i < 5; ++i) {
    slots.push_back(std::move(*admission.admit(ip("192.0.2.1"), {100, 0})));
  }
  EXPECT_FALSE(admission.admit(ip("192.0.2.1"), {100, 5}));
  EXPECT_FALSE(admission.admit(ip("192.0.2.2"), {3, 5}));
  slots.pop_back();
  EXPECT_TRUE(admission.admit(ip("192.0.2.1"), {100, 5}));
}

TEST_F(AdmissionTest, ThreadsThatComeAndGoLeaveNothingBehind) {
  Admission admission;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&admission] {
      for (std::uint8_t n = 0; n < 250; ++n) {
        const auto slot = admission.admit(messages::IpV4{{10, 0, 0, n}}, {3, 2});
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(admission.active(), 0);
  EXPECT_EQ(admission.blocks(), 0);
}

}  // namespace
}  // namespace lp::gateway::connection
