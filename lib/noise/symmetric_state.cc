#include "lib/noise/symmetric_state.h"

#include <algorithm>

namespace lp::noise {

// "If protocol_name is less than or equal to HASHLEN bytes in length, sets h equal to protocol_name
// with zero bytes appended to make HASHLEN bytes. Otherwise sets h = HASH(protocol_name). Sets
// ck = h."
SymmetricState::SymmetricState(std::string_view protocol_name) noexcept {
  const ByteView name(reinterpret_cast<const std::uint8_t*>(protocol_name.data()),
                      protocol_name.size());
  if (name.size() <= h_.size()) {
    std::ranges::copy(name, h_.begin());
  } else {
    h_ = crypto::sha256(name);
  }
  ck_ = Secret<32>(h_);
}

void SymmetricState::mix_key(ByteView input_key_material) noexcept {
  auto [ck, key] = crypto::noise_hkdf<2>(ck_, input_key_material);
  ck_ = std::move(ck);
  cipher_.initialize_key(std::move(key));
}

void SymmetricState::mix_hash(ByteView data) noexcept {
  h_ = crypto::sha256(h_, data);
}

void SymmetricState::mix_key_and_hash(ByteView input_key_material) noexcept {
  auto [ck, hash, key] = crypto::noise_hkdf<3>(ck_, input_key_material);
  ck_ = std::move(ck);
  mix_hash(hash.bytes());
  cipher_.initialize_key(std::move(key));
}

Status SymmetricState::encrypt_and_hash(ByteView plaintext, MutableByteView out) noexcept {
  if (auto sealed = cipher_.encrypt_with_ad(h_, plaintext, out); !sealed) return sealed;
  mix_hash(out);
  return {};
}

Status SymmetricState::decrypt_and_hash(ByteView ciphertext, MutableByteView out) noexcept {
  // The hash takes the ciphertext, which decryption may overwrite: hash first, keep it only on
  // success.
  const crypto::Sha256Digest next = crypto::sha256(h_, ciphertext);
  if (auto opened = cipher_.decrypt_with_ad(h_, ciphertext, out); !opened) return opened;
  h_ = next;
  return {};
}

std::pair<CipherState, CipherState> SymmetricState::split() noexcept {
  auto [key_1, key_2] = crypto::noise_hkdf<2>(ck_, {});
  std::pair<CipherState, CipherState> ciphers;
  ciphers.first.initialize_key(std::move(key_1));
  ciphers.second.initialize_key(std::move(key_2));
  return ciphers;
}

}  // namespace lp::noise
