#include "lib/base/secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <type_traits>
#include <utility>

#include "lib/base/clock.h"
#include "lib/noise/handshake_state.h"

namespace lp {
namespace {

using testing::Each;
using testing::ElementsAreArray;

ByteArray<32> pattern() {
  ByteArray<32> bytes;
  bytes.fill(0xa5);
  return bytes;
}

template <std::size_t N>
std::string printed(const Secret<N>& secret) {
  std::ostringstream out;
  out << secret;
  return out.str();
}

TEST(Secrets, BytesOutliveTheSecret) {
  alignas(Secret<32>) std::uint8_t storage[sizeof(Secret<32>)];
  auto* const secret = new (storage) Secret<32>(pattern());
  ASSERT_THAT(storage, Each(0xa5));
  std::destroy_at(secret);
  EXPECT_THAT(storage, Each(0));
}

TEST(Secrets, BytesStayWhereASecretWasMovedFrom) {
  Secret<32> from(pattern());
  Secret<32> constructed(std::move(from));
  EXPECT_THAT(from.bytes(), Each(0));  // NOLINT(bugprone-use-after-move): what it is about
  EXPECT_THAT(constructed.bytes(), Each(0xa5));

  Secret<32> assigned;
  assigned = std::move(constructed);
  EXPECT_THAT(constructed.bytes(), Each(0));  // NOLINT(bugprone-use-after-move)
  EXPECT_THAT(assigned.bytes(), Each(0xa5));

  auto& same = assigned;
  assigned = std::move(same);
  EXPECT_THAT(assigned.bytes(), Each(0xa5)) << "assigning a secret to itself loses it";
}

TEST(Secrets, CopyIsMadeUnawares) {
  static_assert(!std::is_copy_constructible_v<Secret<32>>);
  static_assert(!std::is_copy_assignable_v<Secret<32>>);
  static_assert(!std::is_copy_constructible_v<SecretBuffer>);
  static_assert(!std::is_copy_constructible_v<crypto::X25519KeyPair>);
  static_assert(!std::is_copy_constructible_v<noise::CipherState>);
  static_assert(!std::is_copy_constructible_v<noise::Initiator>);
  static_assert(!std::is_copy_constructible_v<noise::TransportKeys>);
  const Secret<32> secret(pattern());
  EXPECT_THAT(secret.clone().bytes(), ElementsAreArray(secret.bytes()));
}

TEST(Secrets, BytesArePrinted) {
  EXPECT_EQ(printed(Secret<32>(pattern())), "<redacted>");
  SecretBuffer buffer;
  buffer.reset(4)[0] = 'x';
  std::ostringstream out;
  out << buffer;
  EXPECT_EQ(out.str(), "<redacted>");
  EXPECT_EQ(testing::PrintToString(Secret<32>(pattern())), "<redacted>");
}

TEST(Secrets, BufferShowsItsFormerContent) {
  SecretBuffer buffer;
  const auto first = buffer.reset(64);
  std::ranges::fill(first, std::uint8_t{0xa5});
  buffer.reset(8);
  EXPECT_EQ(buffer.bytes().size(), 8U);
  EXPECT_THAT(buffer.bytes(), Each(0));
  // The allocation is still the first one: nothing of it may be left behind the new end either.
  ASSERT_EQ(buffer.bytes().data(), first.data());
  EXPECT_THAT(buffer.reset(64), Each(0));
}

TEST(Secrets, BufferMovedFromKeepsItsContent) {
  SecretBuffer from;
  from.reset(4)[0] = 7;
  SecretBuffer to(std::move(from));
  EXPECT_TRUE(from.bytes().empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_THAT(to.bytes(), testing::ElementsAre(7, 0, 0, 0));
  from = std::move(to);
  EXPECT_TRUE(to.bytes().empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_THAT(from.bytes(), testing::ElementsAre(7, 0, 0, 0));
}

TEST(Secrets, ComparisonIgnoresAByteOrTheLength) {
  const Bytes bytes{1, 2, 3};
  EXPECT_TRUE(equal_constant_time(bytes, Bytes{1, 2, 3}));
  EXPECT_TRUE(equal_constant_time({}, {}));
  EXPECT_FALSE(equal_constant_time(bytes, Bytes{1, 2}));
  EXPECT_FALSE(equal_constant_time(bytes, Bytes{1, 2, 3, 0}));
  EXPECT_FALSE(equal_constant_time(bytes, Bytes{9, 2, 3}));
  EXPECT_FALSE(equal_constant_time(bytes, Bytes{1, 2, 2}));
}

TEST(Tolerance, WrapsAroundOrIsOffByOne) {
  EXPECT_TRUE(within_tolerance(1000, 1000, 0));
  EXPECT_TRUE(within_tolerance(970, 1000, 30));
  EXPECT_TRUE(within_tolerance(1030, 1000, 30));
  EXPECT_FALSE(within_tolerance(969, 1000, 30));
  EXPECT_FALSE(within_tolerance(1031, 1000, 30));
  EXPECT_FALSE(within_tolerance(UINT64_MAX, 10, 30)) << "is 11 s before 10 modulo 2^64";
  EXPECT_FALSE(within_tolerance(10, UINT64_MAX, 30));
  EXPECT_TRUE(within_tolerance(0, UINT64_MAX, UINT64_MAX));
}

TEST(WallClock, SystemClockIsNotInSecondsSince1970) {
  // Between 2020 and 2200.
  const UnixSeconds now = SystemWallClock().now();
  EXPECT_GT(now, 1'577'836'800U);
  EXPECT_LT(now, 7'258'118'400U);
}

}  // namespace
}  // namespace lp
