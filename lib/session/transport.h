// The encrypted half of a connection: counters, keys and the replay window of both directions
// (lp-protocol(7), "Transport" and "Replay window").
#pragma once

#include <cstdint>

#include "lib/base/bytes.h"
#include "lib/base/error.h"
#include "lib/noise/handshake_state.h"
#include "lib/replay/window.h"

namespace lp::session {

/// Seals and opens the content of EncryptedData. The nonce of a packet is its counter less the
/// handshake packets that its sender sent, so the counter is authenticated although it stands in
/// the clear. Move-only, not thread-safe.
class Transport {
 public:
  static constexpr std::size_t tag_size = noise::CipherState::tag_size;

  /// Packets of the handshake, by direction: they have used the counters before the first one here.
  struct HandshakePackets {
    std::uint64_t sent;
    std::uint64_t received;
  };
  Transport(noise::TransportKeys keys, HandshakePackets handshake) noexcept;

  /// The counter of the next packet sealed. Fails with counter_exhausted after 2^64 - 1.
  [[nodiscard]] Result<std::uint64_t> next_counter() const noexcept;
  /// Leaves out the counters below `counter`; never goes back.
  void skip_to(std::uint64_t counter) noexcept;

  /// Writes plaintext.size() + tag_size bytes to `out` and uses up next_counter(). Fails with
  /// counter_exhausted.
  [[nodiscard]] Status seal(ByteView plaintext, MutableByteView out) noexcept;

  /// Writes ciphertext.size() - tag_size bytes to `out`. Checks the counter, decrypts, then marks:
  /// what fails leaves no trace. Fails with counter_not_transport, replay_too_old,
  /// replay_duplicate, noise_decrypt.
  [[nodiscard]] Status open(std::uint64_t counter, ByteView ciphertext,
                            MutableByteView out) noexcept;

 private:
  noise::TransportKeys keys_;
  HandshakePackets handshake_;
  std::uint64_t next_counter_;
  bool exhausted_ = false;
  replay::Window received_;
};

}  // namespace lp::session
