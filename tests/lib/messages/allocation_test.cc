// What is allocated, and what is left in memory that is given back. This program's operator new and
// delete are its own.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <vector>

#include "lib/base/encoding.h"
#include "lib/messages/registration.h"
#include "lib/session/state_machine.h"
#include "lib/wire/frame_reader.h"
#include "lib/wire/packet.h"
#include "tests/lib/outcome.h"
#include "tests/support/vectors.h"

namespace {

/// What the program's allocator watches.
struct Watch {
  bool counting = false;
  std::size_t allocations = 0;
  std::size_t allocated_bytes = 0;
  std::size_t largest = 0;
  std::size_t releases = 0;

  static constexpr std::size_t max_markers = 8;
  lp::ByteView markers[max_markers];  ///< byte strings that no freed block may hold
  std::size_t marker_count = 0;
  std::size_t freed_with_marker = 0;
} watch;

void* allocate(std::size_t size) {
  if (watch.counting) {
    ++watch.allocations;
    watch.allocated_bytes += size;
    watch.largest = std::max(watch.largest, size);
  }
  void* const block = std::malloc(size == 0 ? 1 : size);
  if (block == nullptr) throw std::bad_alloc();
  // An old block's bytes would count as this one's.
  std::memset(block, 0, malloc_usable_size(block));
  return block;
}

void release(void* block) noexcept {
  if (block == nullptr) return;
  if (watch.counting) ++watch.releases;
  const lp::ByteView bytes(static_cast<const std::uint8_t*>(block), malloc_usable_size(block));
  for (std::size_t i = 0; i < watch.marker_count; ++i) {
    if (!std::ranges::search(bytes, watch.markers[i]).empty()) ++watch.freed_with_marker;
  }
  std::free(block);
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
void operator delete(void* block) noexcept {
  release(block);
}
void operator delete[](void* block) noexcept {
  release(block);
}
void operator delete(void* block, std::size_t) noexcept {
  release(block);
}
void operator delete[](void* block, std::size_t) noexcept {
  release(block);
}

namespace lp {
namespace {

struct Allocated {
  std::size_t allocations = 0;
  std::size_t bytes = 0;
  std::size_t largest = 0;
  std::size_t releases = 0;
};

template <typename Use>
Allocated allocated_by(Use use) {
  watch.allocations = watch.allocated_bytes = watch.largest = watch.releases = 0;
  watch.counting = true;
  use();
  watch.counting = false;
  return {watch.allocations, watch.allocated_bytes, watch.largest, watch.releases};
}

/// Blocks given back by `use` that still held one of `secrets`.
template <typename Use>
std::size_t freed_with(std::vector<ByteView> secrets, Use use) {
  std::ranges::copy(secrets, watch.markers);
  watch.freed_with_marker = 0;
  watch.marker_count = secrets.size();
  use();
  watch.marker_count = 0;
  return watch.freed_with_marker;
}

constexpr std::uint64_t lies[] = {1U << 16,
                                  1U << 20,
                                  std::uint64_t{1} << 32,
                                  std::uint64_t{1} << 48,
                                  std::uint64_t{1} << 63,
                                  UINT64_MAX - 8,
                                  UINT64_MAX};

TEST(Allocation, LengthInARequestAllocates) {
  const Bytes original = test::lp_v1().requests[0].bincode;
  for (const std::uint64_t lie : lies) {
    Bytes key_lies = original;
    store_le(key_lies.data(), lie);
    const auto by_key = allocated_by([&] { EXPECT_FALSE(messages::decode_request(key_lies)); });
    EXPECT_EQ(by_key.allocations, 0U) << lie;

    Bytes signature_lies = original;
    store_le(signature_lies.data() + 8 + 44 + 32, lie);
    const auto by_signature =
        allocated_by([&] { EXPECT_FALSE(messages::decode_request(signature_lies)); });
    EXPECT_LE(by_signature.bytes, 64U) << lie << ": the key's 44 characters, and no more";
  }
}

TEST(Allocation, LengthInAResponseAllocates) {
  messages::RegistrationResponse response;
  response.error = "no";
  Bytes input = encode(response);
  for (const std::uint64_t lie : lies) {
    store_le(input.data() + 2, lie);
    const auto allocated = allocated_by([&] { EXPECT_FALSE(messages::decode_response(input)); });
    EXPECT_EQ(allocated.allocations, 0U) << lie;
  }
}

TEST(Allocation, DecodingAllocatesMoreThanItsInput) {
  for (const auto& vector : test::lp_v1().requests) {
    const auto allocated =
        allocated_by([&] { EXPECT_TRUE(messages::decode_request(vector.bincode)); });
    EXPECT_LE(allocated.bytes, vector.bincode.size());
  }
}

// "A connection holds memory for the bytes that have come, whatever a length announces."
TEST(Allocation, FrameLengthAllocates) {
  for (const std::uint32_t length : {98U, 8192U, 65'536U, 65'537U, 0xffff'ffffU}) {
    Bytes head = wire::make_frame({.type = wire::MessageType::encrypted_data}, Bytes(64));
    store_be(head.data(), length);
    head.resize(22);
    const auto allocated = allocated_by([&] {
      wire::FrameReader reader;
      for (const std::uint8_t byte : head) {
        reader.append({&byte, 1});
        (void)reader.next();
      }
    });
    EXPECT_LE(allocated.largest, 64U) << length;
  }
}

TEST(Allocation, FrameReaderHoldsMoreThanTwiceItsBytes) {
  Bytes head = wire::make_frame({.type = wire::MessageType::encrypted_data}, Bytes(4000));
  store_be(head.data(), std::uint32_t{65'536});
  const auto allocated = allocated_by([&] {
    wire::FrameReader reader;
    for (const std::uint8_t byte : head) {
      reader.append({&byte, 1});
      (void)reader.next();
    }
  });
  EXPECT_LE(allocated.largest, 2 * head.size());
}

TEST(Allocation, HostileTextAllocates) {
  const std::string long_text(1 << 20, 'z');
  EXPECT_LE(allocated_by([&] { EXPECT_FALSE(from_base58<32>(long_text)); }).largest, 128U);
  EXPECT_EQ(
      allocated_by([&] { EXPECT_FALSE(messages::parse_wg_public_key(long_text)); }).allocations,
      0U);
}

/// One connection with a vector's keys, from message 1 to what the gateway is given, and its
/// answer.
enum class Answer : bool { no, yes };
void run_connection(const test::HandshakeVector& vector, ByteView plaintext, Answer answer) {
  using namespace session;
  const auto gateway_key = vector.gateway();
  auto gateway = StateMachine::responder(gateway_key, vector.client_public, vector.salt,
                                         vector.responder_ephemeral_pair());
  auto client = StateMachine::initiator(vector.client(), gateway_key.public_key, vector.salt,
                                        vector.initiator_ephemeral_pair());
  const auto packet = [](const Result<Actions>& actions) {
    return actions->find<SendPacket>()->frame.subspan(wire::frame_length_size);
  };
  const auto first = packet(client.process(StartHandshake{}));
  const auto second = packet(gateway.process(ReceivePacket{first}));
  const auto third = packet(client.process(ReceivePacket{second}));
  ASSERT_TRUE(gateway.process(ReceivePacket{third}));
  const auto request = packet(client.process(SendData{plaintext}));
  const auto delivered = gateway.process(ReceivePacket{request});
  ASSERT_TRUE(delivered);
  // Compared without a matcher, which would keep a copy.
  ASSERT_TRUE(std::ranges::equal(delivered->find<DeliverData>()->plaintext, plaintext));
  if (answer == Answer::no) return;
  ASSERT_TRUE(gateway.process(SendData{Bytes(8)}));
}

TEST(FreedMemory, HoldsAKeyOfTheHandshake) {
  for (const auto& vector : test::lp_v1().handshakes) {
    const Bytes nothing{0x42};
    EXPECT_EQ(freed_with({vector.client_secret, vector.gateway_secret, vector.initiator_ephemeral,
                          vector.responder_ephemeral, vector.psk},
                         [&] { run_connection(vector, nothing, Answer::yes); }),
              0U);
  }
}

TEST(FreedMemory, HoldsADeliveredPlaintext) {
  // Bytes that occur nowhere else, in pieces: neither the plaintext's start nor its end may be
  // left.
  static constexpr ByteArray<16> marker{0xde, 0xad, 0xfa, 0xce, 1, 2,  3,  4,
                                        5,    6,    7,    8,    9, 10, 11, 12};
  ByteArray<16 * 40> plaintext;
  for (std::size_t i = 0; i < plaintext.size(); ++i)
    plaintext[i] = marker[i % marker.size()];
  for (const Answer answer : {Answer::no, Answer::yes}) {
    EXPECT_EQ(freed_with({marker},
                         [&] { run_connection(test::lp_v1().handshakes[0], plaintext, answer); }),
              0U);
  }
}

// The test's own allocator must see what it looks for.
TEST(FreedMemory, WatchIsBlind) {
  static constexpr ByteArray<8> marker{0xba, 0xdc, 0x0f, 0xfe, 1, 2, 3, 4};
  EXPECT_EQ(freed_with({marker}, [&] { Bytes(marker.begin(), marker.end()); }), 1U);
}

TEST(StateMachineMemory, IdleConnectionTakesKilobytes) {
  const auto& vector = test::lp_v1().handshakes[0];
  const auto gateway_key = vector.gateway();
  const auto allocated = allocated_by([&] {
    auto gateway = session::StateMachine::responder(gateway_key, vector.client_public, vector.salt);
    const auto answer = gateway.process(
        session::ReceivePacket{vector.frames[test::HandshakeVector::message_1].packet()});
    EXPECT_TRUE(answer);
  });
  EXPECT_LE(sizeof(session::StateMachine) + allocated.bytes, 2048U);
}

TEST(StateMachineMemory, FailedMachineKeepsItsHandshake) {
  const auto& vector = test::lp_v1().handshakes[0];
  const auto gateway_key = vector.gateway();
  auto gateway = session::StateMachine::responder(gateway_key, vector.client_public, vector.salt,
                                                  vector.responder_ephemeral_pair());
  const auto failing =
      allocated_by([&] { EXPECT_FALSE(gateway.process(session::ReceivePacket{})); });
  EXPECT_EQ(failing.releases, 1U);
  EXPECT_EQ(failing.allocations, 0U);
}

}  // namespace
}  // namespace lp
