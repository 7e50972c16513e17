#include "lib/psk/psk.h"

#include <algorithm>
#include <string_view>

#include "lib/crypto/blake3.h"
#include "lib/crypto/siphash.h"

namespace lp::psk {
namespace {

constexpr std::string_view psk_context = "nym-lp-psk-v1";
constexpr std::uint8_t id_separator = 0xcc;

}  // namespace

Result<Psk> derive_psk(const crypto::X25519Secret& own_secret, const crypto::X25519Public& peer,
                       const wire::Salt& salt) noexcept {
  const auto shared = crypto::x25519(own_secret, peer);
  if (!shared) return fail(shared.error());
  return crypto::blake3_derive_key(psk_context, {shared->bytes(), salt});
}

std::uint32_t lp_id(const crypto::X25519Public& a, const crypto::X25519Public& b) noexcept {
  const auto& [smaller, larger] = std::minmax(a, b);
  ByteArray<32 + 1 + 32> input;
  std::ranges::copy(smaller.bytes, input.begin());
  input[32] = id_separator;
  std::ranges::copy(larger.bytes, input.begin() + 33);
  return static_cast<std::uint32_t>(crypto::siphash13(0, 0, input));
}

}  // namespace lp::psk
