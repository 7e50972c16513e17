#include "lib/noise/cipher_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/encoding.h"
#include "lib/noise/symmetric_state.h"
#include "tests/lib/outcome.h"

namespace lp::noise {
namespace {

using test::error_of;

CipherState cipher(std::uint8_t key_byte = 0x42) {
  ByteArray<32> key;
  key.fill(key_byte);
  CipherState state;
  state.initialize_key(Secret<32>(key));
  return state;
}

Bytes sealed(CipherState& state, ByteView ad, ByteView plaintext) {
  Bytes out(plaintext.size() + CipherState::tag_size);
  EXPECT_TRUE(state.encrypt_with_ad(ad, plaintext, out));
  return out;
}

const Bytes hello{'h', 'e', 'l', 'l', 'o'};
const Bytes ad{1, 2, 3};

TEST(CipherState, WithoutAKeyItDoesNotCopy) {
  CipherState state;
  EXPECT_FALSE(state.has_key());
  Bytes out(hello.size());
  ASSERT_TRUE(state.encrypt_with_ad(ad, hello, out));
  EXPECT_EQ(out, hello);
  Bytes back(hello.size());
  ASSERT_TRUE(state.decrypt_with_ad(ad, out, back));
  EXPECT_EQ(back, hello);
  EXPECT_EQ(state.nonce(), 0U);
}

TEST(CipherState, NonceIsUsedTwice) {
  auto state = cipher();
  const Bytes first = sealed(state, ad, hello);
  EXPECT_EQ(state.nonce(), 1U);
  const Bytes second = sealed(state, ad, hello);
  EXPECT_EQ(state.nonce(), 2U);
  EXPECT_NE(first, second);
  EXPECT_NE(Bytes(first.begin(), first.begin() + 5), Bytes(second.begin(), second.begin() + 5));

  auto reader = cipher();
  Bytes out(hello.size());
  EXPECT_TRUE(reader.decrypt_with_ad(ad, first, out));
  EXPECT_TRUE(reader.decrypt_with_ad(ad, second, out));
  EXPECT_EQ(out, hello);
}

// "If an authentication failure occurs in DECRYPT() then n is not incremented" (section 5.1).
TEST(CipherState, ForgedCiphertextMovesTheNonce) {
  auto writer = cipher();
  const Bytes good = sealed(writer, ad, hello);
  auto reader = cipher();
  Bytes out(hello.size());
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes forged = good;
    forged[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    ASSERT_EQ(error_of(reader.decrypt_with_ad(ad, forged, out)), Error::noise_decrypt) << bit;
    ASSERT_EQ(reader.nonce(), 0U);
  }
  EXPECT_EQ(error_of(reader.decrypt_with_ad({}, good, out)), Error::noise_decrypt);
  EXPECT_TRUE(reader.decrypt_with_ad(ad, good, out));
  EXPECT_EQ(out, hello);
}

TEST(CipherState, CiphertextShorterThanItsTagIsOpened) {
  auto state = cipher();
  for (std::size_t size = 0; size < CipherState::tag_size; ++size) {
    const Bytes ciphertext(size);
    EXPECT_EQ(error_of(state.decrypt_with_ad({}, ciphertext, {})), Error::noise_decrypt) << size;
    EXPECT_EQ(error_of(state.decrypt_at(0, ciphertext, {})), Error::noise_decrypt) << size;
  }
}

TEST(CipherState, EncryptionInPlaceGivesOtherBytes) {
  auto a = cipher();
  const Bytes apart = sealed(a, ad, hello);
  auto b = cipher();
  Bytes buffer = hello;
  buffer.resize(hello.size() + CipherState::tag_size);
  ASSERT_TRUE(b.encrypt_with_ad(ad, ByteView(buffer).first(hello.size()), buffer));
  EXPECT_EQ(buffer, apart);
}

TEST(CipherState, ExplicitNonceIsNotTheImplicitOne) {
  auto implicit = cipher();
  const auto explicit_one = cipher();
  for (std::uint64_t nonce = 0; nonce < 3; ++nonce) {
    const Bytes expected = sealed(implicit, {}, hello);
    Bytes out(expected.size());
    ASSERT_TRUE(explicit_one.encrypt_at(nonce, hello, out));
    EXPECT_EQ(out, expected);
    Bytes back(hello.size());
    ASSERT_TRUE(explicit_one.decrypt_at(nonce, out, back));
    EXPECT_EQ(back, hello);
    EXPECT_EQ(error_of(explicit_one.decrypt_at(nonce + 1, out, back)), Error::noise_decrypt);
  }
  EXPECT_EQ(explicit_one.nonce(), 0U);
}

// "The maximum n value (2^64-1) is reserved for other use" (section 5.1).
TEST(CipherState, ReservedNonceIsUsed) {
  const auto state = cipher();
  Bytes out(hello.size() + CipherState::tag_size);
  EXPECT_EQ(error_of(state.encrypt_at(CipherState::max_nonce, hello, out)),
            Error::counter_exhausted);
  EXPECT_EQ(error_of(state.decrypt_at(CipherState::max_nonce, out, out)), Error::counter_exhausted);
  EXPECT_TRUE(state.encrypt_at(CipherState::max_nonce - 1, hello, out));
}

TEST(CipherState, NewKeyKeepsTheNonce) {
  auto state = cipher();
  (void)sealed(state, {}, hello);
  state.initialize_key(Secret<32>());
  EXPECT_EQ(state.nonce(), 0U);
}

TEST(SymmetricState, ShortProtocolNameIsHashed) {
  const SymmetricState exact("Noise_XX_25519_ChaChaPoly_SHA256");
  EXPECT_EQ(to_hex(exact.handshake_hash()),
            "4e6f6973655f58585f32353531395f436861436861506f6c795f534841323536");
  const SymmetricState shorter("Noise_N_25519_ChaChaPoly_SHA256");
  EXPECT_EQ(to_hex(shorter.handshake_hash()),
            "4e6f6973655f4e5f32353531395f436861436861506f6c795f53484132353600");
}

TEST(SymmetricState, LongProtocolNameIsCut) {
  constexpr std::string_view long_name = "Noise_XKpsk3_25519_ChaChaPoly_SHA256";
  const SymmetricState state(long_name);
  const Bytes bytes(long_name.begin(), long_name.end());
  EXPECT_EQ(state.handshake_hash(), crypto::sha256(bytes));
}

TEST(SymmetricState, ForgedCiphertextMovesTheHash) {
  SymmetricState writer("test");
  SymmetricState reader("test");
  writer.mix_key(ad);
  reader.mix_key(ad);
  Bytes message(hello.size() + CipherState::tag_size);
  ASSERT_TRUE(writer.encrypt_and_hash(hello, message));

  Bytes forged = message;
  forged.back() ^= 1;
  const auto before = reader.handshake_hash();
  Bytes out(hello.size());
  EXPECT_EQ(error_of(reader.decrypt_and_hash(forged, out)), Error::noise_decrypt);
  EXPECT_EQ(reader.handshake_hash(), before);
  EXPECT_TRUE(reader.decrypt_and_hash(message, out));
  EXPECT_EQ(out, hello);
  EXPECT_EQ(reader.handshake_hash(), writer.handshake_hash());
}

TEST(SymmetricState, MixKeyAndHashLeavesTheHash) {
  SymmetricState a("test");
  SymmetricState b("test");
  a.mix_key(ad);
  b.mix_key_and_hash(ad);
  EXPECT_NE(a.handshake_hash(), b.handshake_hash());
}

}  // namespace
}  // namespace lp::noise
