// Each role's part of a handshake against its bound: the X25519 multiplications that the protocol
// asks of it, done by libsodium in the same round (docs/performance.md, "Handshake").
//
//   lp-handshake-bench [ROUNDS]
//
// A round times one of each, one after the other. What is reported are the fastest of all rounds
// and the ratio of these: what else the machine does makes a round slower and never faster.
#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string_view>
#include <vector>

#include "bench/handshake.h"
#include "bench/median.h"
#include "lib/crypto/keys.h"
#include "lib/crypto/random.h"

namespace lp::bench {
namespace {

using Nanoseconds = std::chrono::nanoseconds;

/// The multiplications of one role. Every handshake needs the ephemeral key (one from the base
/// point); ee, es, se, and static-static for the PSK. The initiator has a new static key for each
/// connection.
struct Bound {
  int base_point;
  int variable_point;
};
constexpr Bound responder_bound{1, 4};
constexpr Bound initiator_bound{2, 4};

std::optional<Nanoseconds> multiply(Bound bound) {
  std::array<std::uint8_t, crypto_scalarmult_BYTES> scalar{};
  std::array<std::uint8_t, crypto_scalarmult_BYTES> point{};
  std::array<std::uint8_t, crypto_scalarmult_BYTES> product{};
  crypto::random_bytes(scalar);
  Nanoseconds total{0};
  const bool good = timed(total, [&] {
    int failed = 0;
    for (int i = 0; i < bound.base_point; ++i)
      failed |= crypto_scalarmult_base(point.data(), scalar.data());
    for (int i = 0; i < bound.variable_point; ++i)
      failed |= crypto_scalarmult(product.data(), scalar.data(), point.data());
    return failed == 0;
  });
  return good ? std::optional(total) : std::nullopt;
}

struct Measured {
  std::string_view name;
  std::vector<double> microseconds{};

  void add(Nanoseconds time) { microseconds.push_back(static_cast<double>(time.count()) / 1e3); }
  [[nodiscard]] double fastest() const {
    return *std::min_element(microseconds.begin(), microseconds.end());
  }
};

int run(unsigned rounds) {
  const auto gateway = crypto::X25519KeyPair::generate();
  Measured responder{"responder"};
  Measured responder_multiplications{"1 base-point + 4 variable-point"};
  Measured initiator{"initiator"};
  Measured initiator_multiplications{"2 base-point + 4 variable-point"};
  for (unsigned round = 0; round < rounds; ++round) {
    const auto for_responder = multiply(responder_bound);
    const auto handshake = shake_hands(gateway);
    const auto for_initiator = multiply(initiator_bound);
    if (!for_responder || !handshake || !for_initiator) {
      std::fputs("lp-handshake-bench: a handshake or a multiplication failed\n", stderr);
      return 70;
    }
    responder.add(handshake->responder);
    responder_multiplications.add(*for_responder);
    initiator.add(handshake->initiator);
    initiator_multiplications.add(*for_initiator);
  }
  fmt::print("{} rounds; microseconds\n\n", rounds);
  fmt::print("| | fastest | median | ratio of the fastest |\n| --- | --- | --- | --- |\n");
  const auto row = [](const Measured& measured, const Measured& bound) {
    fmt::print("| {} | {:.1f} | {:.1f} | 1 |\n", bound.name, bound.fastest(),
               median(bound.microseconds));
    fmt::print("| {} | {:.1f} | {:.1f} | {:.3f} |\n", measured.name, measured.fastest(),
               median(measured.microseconds), measured.fastest() / bound.fastest());
  };
  row(responder, responder_multiplications);
  row(initiator, initiator_multiplications);
  return 0;
}

}  // namespace
}  // namespace lp::bench

int main(int argc, char** argv) {
  unsigned rounds = 5'000;
  if (argc > 1) {
    const std::string_view text(argv[1]);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rounds);
    if (argc > 2 || error != std::errc{} || end != text.data() + text.size() || rounds == 0) {
      std::fputs("usage: lp-handshake-bench [ROUNDS]\n", stderr);
      return 64;
    }
  }
  if (!lp::crypto::initialise()) return 70;
  return lp::bench::run(rounds);
}
