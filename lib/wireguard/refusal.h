// Why a WireGuard message was not taken. WireGuard answers none of these: whoever gets one drops
// the datagram and waits for a better one.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

namespace lp::wireguard {

enum class Refusal : std::uint8_t {
  message_type,      ///< none of the four types, or the three reserved bytes are not zero
  message_size,      ///< not the size of its type
  receiver_unknown,  ///< the receiver index is not the one this side gave
  mac1_invalid,      ///< mac1 is not over this message with this side's public key
  authentication,    ///< an authentication tag does not verify: another key, or changed bytes
  key_low_order,     ///< X25519 gave the all-zero result
  not_expected,      ///< no handshake waits for this message, or it was answered before
  replay_duplicate,  ///< the counter was accepted before
  replay_too_old,    ///< the counter lies below the replay window
  expired,           ///< the keys are older, or more used, than WireGuard allows
};

/// The enumerator's name.
[[nodiscard]] std::string_view name(Refusal refusal) noexcept;
/// One sentence for people, without a full stop.
[[nodiscard]] std::string_view gloss(Refusal refusal) noexcept;

template <typename T>
using Result = std::expected<T, Refusal>;

[[nodiscard]] inline std::unexpected<Refusal> refuse(Refusal refusal) noexcept {
  return std::unexpected<Refusal>(refusal);
}

}  // namespace lp::wireguard
