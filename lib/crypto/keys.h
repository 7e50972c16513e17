// X25519 key pairs and Ed25519 identities (lp-protocol(7), "Keys").
#pragma once

#include <string>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/base/secret.h"

namespace lp::crypto {

/// An X25519 public key: LP static and ephemeral keys, WireGuard keys.
struct X25519Public {
  ByteArray<32> bytes{};
  friend bool operator==(const X25519Public&, const X25519Public&) = default;
  friend auto operator<=>(const X25519Public&, const X25519Public&) = default;
};

using X25519Secret = Secret<32>;
using SharedSecret = Secret<32>;

struct X25519KeyPair {
  X25519Secret secret;
  X25519Public public_key;

  [[nodiscard]] static X25519KeyPair generate() noexcept;
  /// Computes the public key: one base-point multiplication.
  [[nodiscard]] static X25519KeyPair from_secret(X25519Secret secret) noexcept;
  [[nodiscard]] X25519KeyPair clone() const noexcept;
};

/// X25519(secret, public). Fails with key_low_order where the result is all zero.
[[nodiscard]] Result<SharedSecret> x25519(const X25519Secret& secret,
                                          const X25519Public& peer) noexcept;

/// True where every X25519 result with this key is all zero, whatever the secret.
[[nodiscard]] bool is_low_order(const X25519Public& key) noexcept;

/// A gateway's Ed25519 public key; its base58 form names the gateway.
struct Identity {
  ByteArray<32> bytes{};
  friend bool operator==(const Identity&, const Identity&) = default;

  [[nodiscard]] std::string to_base58() const;
  /// Fails with base58_invalid, or key_invalid where the bytes are no Ed25519 point of prime order.
  [[nodiscard]] static Result<Identity> from_base58(std::string_view text);
  /// The gateway's LP static key: the birational map (RFC 7748 section 4.1). Fails with
  /// key_invalid.
  [[nodiscard]] Result<X25519Public> to_x25519() const noexcept;
};

/// A gateway's Ed25519 key pair, held as its 32-byte seed.
struct IdentityKeyPair {
  Secret<32> seed;
  Identity identity;

  [[nodiscard]] static IdentityKeyPair generate() noexcept;
  [[nodiscard]] static IdentityKeyPair from_seed(Secret<32> seed) noexcept;
  /// Secret: the first 32 bytes of SHA-512(seed), clamped.
  [[nodiscard]] X25519KeyPair to_x25519() const noexcept;
};

/// Verifies an Ed25519 signature over `message`.
[[nodiscard]] bool verify(const Identity& identity, ByteView message,
                          std::span<const std::uint8_t, 64> signature) noexcept;

}  // namespace lp::crypto
