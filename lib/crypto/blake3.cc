#include "lib/crypto/blake3.h"

#include <blake3.h>
#include <sodium.h>

namespace lp::crypto {

static_assert(BLAKE3_OUT_LEN == 32);

Secret<32> blake3_derive_key(std::string_view context,
                             std::initializer_list<ByteView> parts) noexcept {
  blake3_hasher hasher;
  blake3_hasher_init_derive_key_raw(&hasher, context.data(), context.size());
  for (const ByteView part : parts)
    blake3_hasher_update(&hasher, part.data(), part.size());
  Secret<32> key;
  blake3_hasher_finalize(&hasher, key.mutable_bytes().data(), Secret<32>::size);
  sodium_memzero(&hasher, sizeof hasher);  // its chunk buffer holds the key material
  return key;
}

ByteArray<32> blake3(ByteView input) noexcept {
  blake3_hasher hasher;
  blake3_hasher_init(&hasher);
  blake3_hasher_update(&hasher, input.data(), input.size());
  ByteArray<32> digest;
  blake3_hasher_finalize(&hasher, digest.data(), digest.size());
  return digest;
}

}  // namespace lp::crypto
