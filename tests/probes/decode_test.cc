// Packets as text, and what stays hidden in it.
#include "probes/decode.h"

#include <gtest/gtest.h>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "lib/messages/registration.h"
#include "lib/wire/packet.h"
#include "probes/registration.h"
#include "probes/trace.h"

namespace lp::probe {
namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

Bytes hello_frame() {
  crypto::X25519Public key;
  key.bytes.fill(0xab);
  wire::ClientHello hello = wire::ClientHello::make(key, 1'762'819'200);
  Bytes frame;
  hello.append_frame(frame);
  return frame;
}

class DecodeTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }
};

TEST_F(DecodeTest, FramesAreDecodedOneAfterAnother) {
  Bytes input = hello_frame();
  const auto& busy = wire::busy_frame();
  input.insert(input.end(), busy.begin(), busy.end());
  const auto decoded = decode_frames(input, Secrets::redacted);
  EXPECT_EQ(decoded.frames, 2u);
  EXPECT_EQ(decoded.failures, 0u);
  EXPECT_TRUE(contains(decoded.text,
                       "1 at byte 0: ClientHello packet 98 content 64 version 1 session "
                       "0x00000000 counter 0\n"))
      << decoded.text;
  EXPECT_TRUE(contains(decoded.text, "timestamp  1762819200 (2025-11-11 00:00:00 UTC)"));
  EXPECT_TRUE(contains(decoded.text, "2 at byte 102: Busy packet 34 content 0"));
}

TEST_F(DecodeTest, BarePacketIsTakenAsOne) {
  const auto frame = hello_frame();
  const auto decoded = decode_frames(ByteView(frame).subspan(4), Secrets::redacted);
  EXPECT_EQ(decoded.frames, 1u);
  EXPECT_EQ(decoded.failures, 0u);
}

TEST_F(DecodeTest, KeysAreHiddenInTheLinesAndInTheDump) {
  const auto hidden = decode_frames(hello_frame(), Secrets::redacted).text;
  EXPECT_FALSE(contains(hidden, "ab ab"));
  EXPECT_TRUE(contains(hidden, "client key <redacted>"));
  EXPECT_TRUE(contains(hidden, " .. .."));
  const auto shown = decode_frames(hello_frame(), Secrets::shown).text;
  EXPECT_TRUE(contains(shown, "ab ab"));
  EXPECT_FALSE(contains(shown, "redacted"));
}

TEST_F(DecodeTest, EphemeralKeysOfTheHandshakeAreHiddenAndMessage3IsNot) {
  const auto text = [](std::size_t size) {
    const auto frame = wire::make_frame({1, 7, 0, wire::MessageType::handshake}, Bytes(size, 0xcd));
    return decode_frames(frame, Secrets::redacted).text;
  };
  const auto message_1 = text(wire::noise_message_1_size);
  EXPECT_FALSE(contains(message_1, "0010  00 00 cd"));
  EXPECT_TRUE(contains(message_1, " .."));
  EXPECT_FALSE(contains(text(wire::noise_message_3_size), " .."));
}

TEST_F(DecodeTest, TicketAndKeysOfARequestAreHidden) {
  const auto registrant = Registrant::make_mixnet(messages::TicketType::v1_mixnet_entry);
  const auto credential = make_mock_credential(registrant.ticket_type, 1'762'819'200);
  const auto request = make_request(registrant, credential, messages::IpV4{{192, 0, 2, 1}}, 7);
  const auto plaintext = messages::encode(request);
  const auto hidden = describe_request(plaintext, Secrets::redacted);
  const auto shown = describe_request(plaintext, Secrets::shown);
  const auto& client_id = std::get<messages::Mixnet>(request.mode).client_id;
  for (const auto& secret : {to_hex(credential.nullifier), to_hex(credential.signature),
                             request.wg_public_key, to_hex(client_id)}) {
    EXPECT_FALSE(contains(hidden, secret));
    EXPECT_TRUE(contains(shown, secret));
  }
  EXPECT_TRUE(contains(hidden, "mixnet"));
  EXPECT_TRUE(contains(hidden, "200000000"));
}

TEST_F(DecodeTest, BrokenInputIsCountedAndNamed) {
  const auto frame = hello_frame();
  for (std::size_t size = 0; size < frame.size(); ++size) {
    EXPECT_EQ(decode_frames(ByteView(frame).first(size), Secrets::redacted).failures, 1u) << size;
  }
  const Bytes oversize{0, 1, 0, 1};
  EXPECT_TRUE(contains(decode_frames(oversize, Secrets::redacted).text, "65537 bytes"));
  Bytes version_2 = frame;
  version_2[4] = 2;
  const auto decoded = decode_frames(version_2, Secrets::redacted);
  EXPECT_EQ(decoded.failures, 1u);
  EXPECT_TRUE(contains(decoded.text, "version_unsupported")) << decoded.text;
}

TEST_F(DecodeTest, RandomBytesNeverStopIt) {
  for (int i = 0; i < 2000; ++i) {
    Bytes input(crypto::random_u32() % 300);
    crypto::random_bytes(input);
    if (!input.empty() && i % 2 == 0) input[0] = static_cast<std::uint8_t>(i % 4 == 0 ? 0 : 1);
    const auto decoded = decode_frames(input, Secrets::redacted);
    EXPECT_GE(decoded.frames + decoded.failures, 1u);
    EXPECT_FALSE(describe_request(input, Secrets::shown).empty());
    EXPECT_FALSE(describe_response(input, Secrets::shown).empty());
  }
}

TEST_F(DecodeTest, UndecodableTimeIsShownAsANumber) {
  auto request = make_request(Registrant::make_dvpn(messages::TicketType::v1_wireguard_entry),
                              make_mock_credential(messages::TicketType::v1_wireguard_entry, 0),
                              messages::IpV6{}, UINT64_MAX);
  EXPECT_TRUE(contains(describe_request(messages::encode(request), Secrets::redacted),
                       "18446744073709551615\n"));
}

TEST_F(DecodeTest, MockTicketIsNewEachTime) {
  const auto type = messages::TicketType::v1_wireguard_exit;
  EXPECT_NE(make_mock_credential(type, 1).nullifier, make_mock_credential(type, 1).nullifier);
  EXPECT_EQ(make_mock_credential(type, 1).bandwidth_amount, 500'000'000u);
  EXPECT_GT(make_mock_credential(type, 1).expiry, 1u);
}

}  // namespace
}  // namespace lp::probe
