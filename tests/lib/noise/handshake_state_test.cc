#include "lib/noise/handshake_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/lib/outcome.h"
#include "tests/support/vectors.h"

namespace lp::noise {
namespace {

using crypto::X25519KeyPair;
using crypto::X25519Public;
using test::error_of;
using test::HandshakeVector;
using testing::ElementsAreArray;

/// Both halves with a vector's keys.
struct Halves {
  explicit Halves(const HandshakeVector& from = test::lp_v1().handshakes[0])
      : vector(from),
        gateway(from.gateway()),
        initiator(from.client(), gateway.public_key, from.initiator_ephemeral_pair()),
        responder(gateway, from.responder_ephemeral_pair()),
        psk(from.psk) {}

  /// Up to where the initiator can write message 3.
  void exchange_two() {
    message_1 = initiator.write_message_1().value();
    ASSERT_TRUE(responder.read_message_1(message_1));
    message_2 = responder.write_message_2().value();
    ASSERT_TRUE(initiator.read_message_2(message_2));
  }

  const HandshakeVector& vector;
  X25519KeyPair gateway;
  Initiator initiator;
  Responder responder;
  Secret<32> psk;
  Message1 message_1{};
  Message2 message_2{};
};

TEST(NoiseHandshake, MessagesDifferFromTheVectors) {
  for (const auto& vector : test::lp_v1().handshakes) {
    Halves halves(vector);
    ASSERT_NO_FATAL_FAILURE(halves.exchange_two());
    EXPECT_THAT(halves.message_1, ElementsAreArray(vector.noise_message_1));
    EXPECT_THAT(halves.message_2, ElementsAreArray(vector.noise_message_2));

    const auto message_3 = halves.initiator.write_message_3(halves.psk);
    ASSERT_TRUE(message_3);
    EXPECT_THAT(*message_3, ElementsAreArray(vector.noise_message_3));
    EXPECT_EQ(halves.responder.read_message_3_static(*message_3), vector.client_public);
    ASSERT_TRUE(halves.responder.read_message_3_psk(*message_3, halves.psk));
    EXPECT_EQ(halves.initiator.handshake_hash(), vector.handshake_hash);
    EXPECT_EQ(halves.responder.handshake_hash(), vector.handshake_hash);
  }
}

TEST(NoiseHandshake, DirectionsShareAKeyOrAreSwapped) {
  Halves halves;
  ASSERT_NO_FATAL_FAILURE(halves.exchange_two());
  const auto message_3 = halves.initiator.write_message_3(halves.psk).value();
  ASSERT_TRUE(halves.responder.read_message_3_static(message_3));
  ASSERT_TRUE(halves.responder.read_message_3_psk(message_3, halves.psk));
  auto client = halves.initiator.split();
  auto gateway = halves.responder.split();

  const Bytes plaintext{1, 2, 3, 4};
  Bytes up(plaintext.size() + CipherState::tag_size);
  Bytes down(up.size());
  Bytes out(plaintext.size());
  ASSERT_TRUE(client.send.encrypt_at(0, plaintext, up));
  ASSERT_TRUE(gateway.send.encrypt_at(0, plaintext, down));
  EXPECT_NE(up, down);
  EXPECT_TRUE(gateway.receive.decrypt_at(0, up, out));
  EXPECT_TRUE(client.receive.decrypt_at(0, down, out));
  EXPECT_EQ(error_of(client.receive.decrypt_at(0, up, out)), Error::noise_decrypt);
}

TEST(NoiseHandshake, ClientTakesAGatewayWithAnotherStaticKey) {
  Halves halves;
  const auto impostor_key = X25519KeyPair::generate();
  Responder impostor(impostor_key, halves.vector.responder_ephemeral_pair());
  const auto message_1 = halves.initiator.write_message_1().value();
  EXPECT_EQ(error_of(impostor.read_message_1(message_1)), Error::noise_decrypt);
  // Even one that goes on blindly is found out at message 2.
  const auto message_2 = impostor.write_message_2().value();
  EXPECT_EQ(error_of(halves.initiator.read_message_2(message_2)), Error::noise_decrypt);
}

TEST(NoiseHandshake, OtherPskIsTaken) {
  Halves halves;
  ASSERT_NO_FATAL_FAILURE(halves.exchange_two());
  ByteArray<32> other = halves.vector.psk;
  other[31] ^= 0x80;
  const auto message_3 = halves.initiator.write_message_3(Secret<32>(other)).value();
  EXPECT_EQ(halves.responder.read_message_3_static(message_3), halves.vector.client_public)
      << "the static key comes before the PSK";
  EXPECT_EQ(error_of(halves.responder.read_message_3_psk(message_3, halves.psk)),
            Error::noise_decrypt);
}

TEST(NoiseHandshake, StaticKeyWithoutItsSecretIsTaken) {
  // The initiator knows everything but the secret that belongs to the public key it sends.
  Halves halves;
  X25519KeyPair forged = X25519KeyPair::generate();
  forged.public_key = halves.vector.client_public;
  Initiator impostor(std::move(forged), halves.gateway.public_key,
                     halves.vector.initiator_ephemeral_pair());
  ASSERT_TRUE(halves.responder.read_message_1(impostor.write_message_1().value()));
  ASSERT_TRUE(impostor.read_message_2(halves.responder.write_message_2().value()));
  const auto message_3 = impostor.write_message_3(halves.psk).value();
  EXPECT_EQ(halves.responder.read_message_3_static(message_3), halves.vector.client_public);
  EXPECT_EQ(error_of(halves.responder.read_message_3_psk(message_3, halves.psk)),
            Error::noise_decrypt);
}

TEST(NoiseHandshake, FlippedBitIsTaken) {
  const auto flipped = [](auto message, std::size_t bit) {
    message[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    return message;
  };
  for (std::size_t bit = 0; bit < wire::noise_message_1_size * 8; ++bit) {
    Halves halves;
    const auto message_1 = flipped(halves.initiator.write_message_1().value(), bit);
    ASSERT_EQ(error_of(halves.responder.read_message_1(message_1)), Error::noise_decrypt)
        << "message 1, bit " << bit;
  }
  for (std::size_t bit = 0; bit < wire::noise_message_2_size * 8; ++bit) {
    Halves halves;
    ASSERT_TRUE(halves.responder.read_message_1(halves.initiator.write_message_1().value()));
    const auto message_2 = flipped(halves.responder.write_message_2().value(), bit);
    ASSERT_EQ(error_of(halves.initiator.read_message_2(message_2)), Error::noise_decrypt)
        << "message 2, bit " << bit;
  }
  for (std::size_t bit = 0; bit < wire::noise_message_3_size * 8; ++bit) {
    Halves halves;
    ASSERT_NO_FATAL_FAILURE(halves.exchange_two());
    const auto message_3 = flipped(halves.initiator.write_message_3(halves.psk).value(), bit);
    const auto client = halves.responder.read_message_3_static(message_3);
    if (bit < 48 * 8) {
      ASSERT_EQ(error_of(client), Error::noise_decrypt) << "message 3, bit " << bit;
    } else {
      ASSERT_TRUE(client);
      ASSERT_EQ(error_of(halves.responder.read_message_3_psk(message_3, halves.psk)),
                Error::noise_decrypt)
          << "message 3, bit " << bit;
    }
  }
}

/// Points whose every multiple by a clamped scalar is the neutral element.
constexpr X25519Public low_order_points[] = {{ByteArray<32>{0}}, {ByteArray<32>{1}}};

TEST(NoiseHandshake, LowOrderEphemeralKeyIsTaken) {
  for (const auto& point : low_order_points) {
    Halves halves;
    Message1 message_1{};
    std::ranges::copy(point.bytes, message_1.begin());
    EXPECT_EQ(error_of(halves.responder.read_message_1(message_1)), Error::key_low_order);
    (void)halves.initiator.write_message_1();
    Message2 message_2{};
    std::ranges::copy(point.bytes, message_2.begin());
    EXPECT_EQ(error_of(halves.initiator.read_message_2(message_2)), Error::key_low_order);
  }
}

TEST(NoiseHandshake, LowOrderStaticKeyIsTaken) {
  for (const auto& point : low_order_points) {
    // The gateway's: message 1 already needs it.
    Halves halves;
    Initiator to_nowhere(halves.vector.client(), point, halves.vector.initiator_ephemeral_pair());
    EXPECT_EQ(error_of(to_nowhere.write_message_1()), Error::key_low_order);

    // The client's: token se.
    X25519KeyPair weak = halves.vector.client();
    weak.public_key = point;
    Initiator initiator(std::move(weak), halves.gateway.public_key,
                        halves.vector.initiator_ephemeral_pair());
    ASSERT_TRUE(halves.responder.read_message_1(initiator.write_message_1().value()));
    ASSERT_TRUE(initiator.read_message_2(halves.responder.write_message_2().value()));
    const auto message_3 = initiator.write_message_3(halves.psk).value();
    EXPECT_EQ(halves.responder.read_message_3_static(message_3), point);
    EXPECT_EQ(error_of(halves.responder.read_message_3_psk(message_3, halves.psk)),
              Error::key_low_order);
  }
}

}  // namespace
}  // namespace lp::noise
