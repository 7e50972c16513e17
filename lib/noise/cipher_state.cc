#include "lib/noise/cipher_state.h"

#include <sodium.h>

namespace lp::noise {
namespace {

static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == 32);
static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == CipherState::tag_size);

using NonceBytes = ByteArray<crypto_aead_chacha20poly1305_ietf_NPUBBYTES>;

/// "The 96-bit nonce is formed by encoding 32 bits of zeros followed by little-endian encoding of
/// n" (Noise specification, section 12.3).
NonceBytes encode_nonce(std::uint64_t n) noexcept {
  NonceBytes bytes{};
  store_le(bytes.data() + 4, n);
  return bytes;
}

void seal(const Secret<32>& key, std::uint64_t nonce, ByteView ad, ByteView plaintext,
          MutableByteView out) noexcept {
  (void)crypto_aead_chacha20poly1305_ietf_encrypt(out.data(), nullptr, plaintext.data(),
                                                  plaintext.size(), ad.data(), ad.size(), nullptr,
                                                  encode_nonce(nonce).data(), key.data());
}

Status open(const Secret<32>& key, std::uint64_t nonce, ByteView ad, ByteView ciphertext,
            MutableByteView out) noexcept {
  if (ciphertext.size() < CipherState::tag_size ||
      crypto_aead_chacha20poly1305_ietf_decrypt(out.data(), nullptr, nullptr, ciphertext.data(),
                                                ciphertext.size(), ad.data(), ad.size(),
                                                encode_nonce(nonce).data(), key.data()) != 0) {
    return fail(Error::noise_decrypt);
  }
  return {};
}

void copy(ByteView from, MutableByteView to) noexcept {
  if (!from.empty()) std::memmove(to.data(), from.data(), from.size());
}

}  // namespace

void CipherState::initialize_key(Secret<32> key) noexcept {
  key_ = std::move(key);
  nonce_ = 0;
  has_key_ = true;
}

Status CipherState::encrypt_with_ad(ByteView ad, ByteView plaintext, MutableByteView out) noexcept {
  if (!has_key_) {
    copy(plaintext, out);
    return {};
  }
  if (nonce_ == max_nonce) return fail(Error::counter_exhausted);
  seal(key_, nonce_, ad, plaintext, out);
  ++nonce_;
  return {};
}

Status CipherState::decrypt_with_ad(ByteView ad, ByteView ciphertext,
                                    MutableByteView out) noexcept {
  if (!has_key_) {
    copy(ciphertext, out);
    return {};
  }
  if (nonce_ == max_nonce) return fail(Error::counter_exhausted);
  if (auto opened = open(key_, nonce_, ad, ciphertext, out); !opened) return opened;
  ++nonce_;
  return {};
}

Status CipherState::encrypt_at(std::uint64_t nonce, ByteView plaintext,
                               MutableByteView out) const noexcept {
  if (nonce == max_nonce) return fail(Error::counter_exhausted);
  seal(key_, nonce, {}, plaintext, out);
  return {};
}

Status CipherState::decrypt_at(std::uint64_t nonce, ByteView ciphertext,
                               MutableByteView out) const noexcept {
  if (nonce == max_nonce) return fail(Error::counter_exhausted);
  return open(key_, nonce, {}, ciphertext, out);
}

}  // namespace lp::noise
