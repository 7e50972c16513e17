#include "lib/crypto/siphash.h"

#include <bit>

namespace lp::crypto {
namespace {

/// The state of SipHash (Aumasson and Bernstein, 2012, section 2).
struct State {
  std::uint64_t v0, v1, v2, v3;

  void round() noexcept {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }

  /// One round for each word of input: the 1 of SipHash-1-3.
  void compress(std::uint64_t word) noexcept {
    v3 ^= word;
    round();
    v0 ^= word;
  }

  /// Three rounds at the end: the 3 of SipHash-1-3.
  [[nodiscard]] std::uint64_t finish() noexcept {
    v2 ^= 0xff;
    for (int i = 0; i < 3; ++i)
      round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace

std::uint64_t siphash13(std::uint64_t k0, std::uint64_t k1, ByteView input) noexcept {
  State state{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
              k1 ^ 0x7465646279746573};
  const std::size_t length = input.size();
  for (; input.size() >= 8; input = input.subspan(8)) {
    state.compress(load_le<std::uint64_t>(input.data()));
  }
  ByteArray<8> last{};
  for (std::size_t i = 0; i < input.size(); ++i)
    last[i] = input[i];
  last[7] = static_cast<std::uint8_t>(length);
  state.compress(load_le<std::uint64_t>(last.data()));
  return state.finish();
}

}  // namespace lp::crypto
