#include "lib/crypto/random.h"

#include <sodium.h>

#include "lib/crypto/blake3.h"

namespace lp::crypto {

Status initialise() noexcept {
  if (sodium_init() < 0) return fail(Error::randomness_unavailable);
  // BLAKE3 keeps what it finds out about the processor in a plain variable: a data race where its
  // first callers are two threads.
  [[maybe_unused]] static const auto first_use = blake3({});
  return {};
}

void random_bytes(MutableByteView out) noexcept {
  // libsodium takes no null pointer, even for nothing.
  if (!out.empty()) randombytes_buf(out.data(), out.size());
}

std::uint32_t random_u32() noexcept {
  return randombytes_random();
}

}  // namespace lp::crypto
