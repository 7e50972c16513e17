#include "lib/crypto/keys.h"

#include <sodium.h>

#include <utility>

#include "lib/base/encoding.h"

namespace lp::crypto {

X25519KeyPair X25519KeyPair::generate() noexcept {
  X25519Secret secret;
  randombytes_buf(secret.mutable_bytes().data(), X25519Secret::size);
  return from_secret(std::move(secret));
}

X25519KeyPair X25519KeyPair::from_secret(X25519Secret secret) noexcept {
  X25519KeyPair pair{std::move(secret), {}};
  // Always succeeds: the base point has prime order, and libsodium clamps the scalar.
  (void)crypto_scalarmult_curve25519_base(pair.public_key.bytes.data(), pair.secret.data());
  return pair;
}

X25519KeyPair X25519KeyPair::clone() const noexcept {
  return {secret.clone(), public_key};
}

Result<SharedSecret> x25519(const X25519Secret& secret, const X25519Public& peer) noexcept {
  SharedSecret shared;
  // libsodium fails on the all-zero result, which RFC 7748 section 6.1 lets us refuse and LP must.
  if (crypto_scalarmult_curve25519(shared.mutable_bytes().data(), secret.data(),
                                   peer.bytes.data()) != 0 ||
      sodium_is_zero(shared.data(), SharedSecret::size) != 0) {
    return fail(Error::key_low_order);
  }
  return shared;
}

bool is_low_order(const X25519Public& key) noexcept {
  // A clamped scalar is a multiple of the cofactor and of no larger order of curve or twist, so any
  // one scalar tells.
  ByteArray<32> scalar{};
  scalar[0] = 8;
  return !x25519(X25519Secret(std::span<const std::uint8_t, 32>(scalar)), key);
}

std::string Identity::to_base58() const {
  return lp::to_base58(bytes);
}

Result<Identity> Identity::from_base58(std::string_view text) {
  auto bytes = lp::from_base58<32>(text);
  if (!bytes) return fail(bytes.error());
  if (crypto_core_ed25519_is_valid_point(bytes->data()) != 1) return fail(Error::key_invalid);
  return Identity{*bytes};
}

Result<X25519Public> Identity::to_x25519() const noexcept {
  X25519Public key;
  if (crypto_sign_ed25519_pk_to_curve25519(key.bytes.data(), bytes.data()) != 0) {
    return fail(Error::key_invalid);
  }
  return key;
}

IdentityKeyPair IdentityKeyPair::generate() noexcept {
  Secret<32> seed;
  randombytes_buf(seed.mutable_bytes().data(), Secret<32>::size);
  return from_seed(std::move(seed));
}

IdentityKeyPair IdentityKeyPair::from_seed(Secret<32> seed) noexcept {
  IdentityKeyPair pair{std::move(seed), {}};
  Secret<crypto_sign_ed25519_SECRETKEYBYTES> expanded;
  crypto_sign_ed25519_seed_keypair(pair.identity.bytes.data(), expanded.mutable_bytes().data(),
                                   pair.seed.data());
  return pair;
}

X25519KeyPair IdentityKeyPair::to_x25519() const noexcept {
  // libsodium's secret key is seed ‖ public key; the conversion reads the seed alone.
  Secret<crypto_sign_ed25519_SECRETKEYBYTES> expanded;
  std::memcpy(expanded.mutable_bytes().data(), seed.data(), Secret<32>::size);
  X25519Secret secret;
  crypto_sign_ed25519_sk_to_curve25519(secret.mutable_bytes().data(), expanded.data());
  return X25519KeyPair::from_secret(std::move(secret));
}

bool verify(const Identity& identity, ByteView message,
            std::span<const std::uint8_t, 64> signature) noexcept {
  return crypto_sign_ed25519_verify_detached(signature.data(), message.data(), message.size(),
                                             identity.bytes.data()) == 0;
}

}  // namespace lp::crypto
