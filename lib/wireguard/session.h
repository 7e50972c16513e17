// The keys of a finished handshake and what they carry (WireGuard's paper, sections 5.4.6 and 6).
#pragma once

#include <chrono>
#include <cstdint>

#include "lib/base/clock.h"
#include "lib/noise/cipher_state.h"
#include "lib/replay/window.h"
#include "lib/wireguard/messages.h"

namespace lp::wireguard {

// Section 6.1. A session is used for at most reject_after_time; who needs one for longer makes a
// new handshake.
inline constexpr std::chrono::seconds rekey_timeout{5};  ///< between two initiations
inline constexpr std::chrono::seconds reject_after_time{180};
inline constexpr std::uint64_t reject_after_messages = UINT64_MAX - (std::uint64_t{1} << 13);

/// One side of a session. Move-only; the keys wipe themselves. Used by one thread.
class Session {
 public:
  /// `local` and `remote` are the indices by which this side and the other know the session;
  /// `begun` is when the handshake did.
  Session(noise::CipherState send, noise::CipherState receive, std::uint32_t local,
          std::uint32_t remote, MonotonicTime begun) noexcept;

  /// Replaces `out` with the transport message that carries `packet`, padded with zeros to a
  /// multiple of 16 bytes. An empty packet is a keepalive. Fails with expired.
  [[nodiscard]] Result<void> seal(ByteView packet, MonotonicTime now, Bytes& out);

  /// Replaces `packet` with what the message carries, padding included, which the packet's own
  /// length tells apart; nothing in a keepalive. A message that fails changes nothing: not the
  /// window, not `packet`. Fails with receiver_unknown, expired, replay_duplicate, replay_too_old,
  /// authentication.
  [[nodiscard]] Result<void> open(const Transport& message, MonotonicTime now, Bytes& packet);

  [[nodiscard]] std::uint32_t local() const noexcept { return local_; }
  [[nodiscard]] std::uint32_t remote() const noexcept { return remote_; }
  /// Messages sealed so far.
  [[nodiscard]] std::uint64_t sent() const noexcept { return next_counter_; }

 private:
  noise::CipherState send_;
  noise::CipherState receive_;
  replay::Window window_;
  std::uint64_t next_counter_ = 0;
  std::uint32_t local_;
  std::uint32_t remote_;
  MonotonicTime begun_;
};

}  // namespace lp::wireguard
