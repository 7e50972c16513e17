#include "lib/wireguard/symmetric_state.h"

#include <string_view>

namespace lp::wireguard {
namespace {

constexpr std::string_view construction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
constexpr std::string_view identifier = "WireGuard v1 zx2c4 Jason@zx2c4.com";

ByteView bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

// "C_i := Hash(Construction), H_i := Hash(C_i ‖ Identifier), H_i := Hash(H_i ‖ S_r^pub)" (section
// 5.4.2): the name is longer than a hash, so Noise hashes it.
SymmetricState::SymmetricState(const crypto::X25519Public& responder_static)
    : ck_(hash(bytes_of(construction))), h_(hash(ck_.bytes(), bytes_of(identifier))) {
  mix_hash(responder_static.bytes);
}

void SymmetricState::mix_key(ByteView input_key_material) {
  auto [ck, key] = kdf<2>(ck_, input_key_material);
  ck_ = std::move(ck);
  cipher_.initialize_key(std::move(key));
}

void SymmetricState::mix_hash(ByteView data) {
  h_ = hash(h_, data);
}

void SymmetricState::mix_key_and_hash(ByteView input_key_material) {
  auto [ck, temp, key] = kdf<3>(ck_, input_key_material);
  ck_ = std::move(ck);
  mix_hash(temp.bytes());
  cipher_.initialize_key(std::move(key));
}

void SymmetricState::mix_ephemeral(const crypto::X25519Public& ephemeral) {
  mix_hash(ephemeral.bytes);
  mix_key(ephemeral.bytes);
}

Result<void> SymmetricState::mix_dh(const crypto::X25519Secret& own,
                                    const crypto::X25519Public& peer) {
  const auto shared = crypto::x25519(own, peer);
  if (!shared) return refuse(Refusal::key_low_order);
  mix_key(shared->bytes());
  return {};
}

void SymmetricState::encrypt_and_hash(ByteView plaintext, MutableByteView out) {
  // Every key encrypts once here, so the nonce cannot be exhausted.
  (void)cipher_.encrypt_with_ad(h_, plaintext, out);
  mix_hash(out);
}

Result<void> SymmetricState::decrypt_and_hash(ByteView ciphertext, MutableByteView out) {
  const Digest next = hash(h_, ciphertext);
  if (!cipher_.decrypt_with_ad(h_, ciphertext, out)) return refuse(Refusal::authentication);
  h_ = next;
  return {};
}

SymmetricState SymmetricState::fork() const {
  return {ck_, h_};
}

std::pair<noise::CipherState, noise::CipherState> SymmetricState::split() {
  auto [key_1, key_2] = kdf<2>(ck_, {});
  std::pair<noise::CipherState, noise::CipherState> ciphers;
  ciphers.first.initialize_key(std::move(key_1));
  ciphers.second.initialize_key(std::move(key_2));
  return ciphers;
}

}  // namespace lp::wireguard
