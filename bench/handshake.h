// A handshake in memory, and what it costs each role.
#pragma once

#include <chrono>
#include <optional>

#include "lib/crypto/keys.h"

namespace lp::bench {

struct Handshake {
  std::chrono::nanoseconds initiator{0};
  std::chrono::nanoseconds responder{0};
};

/// A whole handshake with a gateway that has these keys, and a client with new ones, as a
/// connection has it; each role's share of the time. Nothing where it fails.
[[nodiscard]] std::optional<Handshake> shake_hands(const crypto::X25519KeyPair& gateway);

/// Runs `work`, adds the time it took, and returns what it gave.
template <typename Work>
auto timed(std::chrono::nanoseconds& total, Work work) {
  const auto start = std::chrono::steady_clock::now();
  auto result = work();
  total += std::chrono::steady_clock::now() - start;
  return result;
}

}  // namespace lp::bench
