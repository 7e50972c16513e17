#include "lib/wireguard/blake2s.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>

#include <memory>
#include <new>

namespace lp::wireguard {
namespace {

struct Freed {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  void operator()(EVP_MAC* algorithm) const noexcept { EVP_MAC_free(algorithm); }
  void operator()(EVP_MAC_CTX* context) const noexcept { EVP_MAC_CTX_free(context); }
};

void require(bool done) {
  if (!done) throw std::bad_alloc();
}

Secret<32> hmac(const Secret<32>& key, ByteView input) {
  Secret<32> out;
  unsigned size = 0;
  require(HMAC(EVP_blake2s256(), key.data(), Secret<32>::size, input.data(), input.size(),
               out.mutable_bytes().data(), &size) != nullptr &&
          size == Secret<32>::size);
  return out;
}

}  // namespace

Digest hash(ByteView a, ByteView b) {
  const std::unique_ptr<EVP_MD_CTX, Freed> context(EVP_MD_CTX_new());
  Digest digest;
  require(context && EVP_DigestInit_ex(context.get(), EVP_blake2s256(), nullptr) == 1 &&
          EVP_DigestUpdate(context.get(), a.data(), a.size()) == 1 &&
          EVP_DigestUpdate(context.get(), b.data(), b.size()) == 1 &&
          EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1);
  return digest;
}

MacTag mac(ByteView key, ByteView input) {
  const std::unique_ptr<EVP_MAC, Freed> algorithm(EVP_MAC_fetch(nullptr, "BLAKE2SMAC", nullptr));
  require(algorithm != nullptr);
  const std::unique_ptr<EVP_MAC_CTX, Freed> context(EVP_MAC_CTX_new(algorithm.get()));
  std::size_t size = sizeof(MacTag);
  const std::array parameters{OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                              OSSL_PARAM_construct_end()};
  MacTag tag;
  std::size_t written = 0;
  require(context && EVP_MAC_init(context.get(), key.data(), key.size(), parameters.data()) == 1 &&
          EVP_MAC_update(context.get(), input.data(), input.size()) == 1 &&
          EVP_MAC_final(context.get(), tag.data(), &written, tag.size()) == 1 &&
          written == tag.size());
  return tag;
}

// "Kdf_n(key, input): τ0 := Hmac(key, input), τ1 := Hmac(τ0, 0x1), τi := Hmac(τ0, τi-1 ‖ i)".
template <std::size_t N>
std::array<Secret<32>, N> kdf(const Secret<32>& key, ByteView input) {
  static_assert(N >= 1 && N <= 3);
  const Secret<32> extracted = hmac(key, input);
  std::array<Secret<32>, N> outputs;
  Secret<33> block;  // the output before ‖ its number
  for (std::size_t i = 0; i < N; ++i) {
    block.mutable_bytes()[32] = static_cast<std::uint8_t>(i + 1);
    if (i > 0) std::memcpy(block.mutable_bytes().data(), outputs[i - 1].data(), 32);
    outputs[i] = hmac(extracted, i == 0 ? block.bytes().last(1) : ByteView(block.bytes()));
  }
  return outputs;
}

template std::array<Secret<32>, 1> kdf<1>(const Secret<32>&, ByteView);
template std::array<Secret<32>, 2> kdf<2>(const Secret<32>&, ByteView);
template std::array<Secret<32>, 3> kdf<3>(const Secret<32>&, ByteView);

bool blake2s_works() noexcept {
  // RFC 7693, appendix B: BLAKE2s-256 of "abc", its first bytes.
  static constexpr ByteArray<3> abc{'a', 'b', 'c'};
  static constexpr ByteArray<8> known{0x50, 0x8c, 0x5e, 0x8c, 0x32, 0x7c, 0x14, 0xe2};
  try {
    const Digest digest = hash(abc);
    (void)mac(digest, abc);
    (void)kdf<1>(Secret<32>(digest), abc);
    return to_array<8>(digest) == known;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace lp::wireguard
