// When epochs begin and end.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/clock.h"

namespace lp::issuer {

/// Tickets of the current epoch and of the next: whoever withdraws shortly before an expiry takes
/// one of the next epoch. So many unexpired epochs there are at any time, at least.
inline constexpr std::size_t epochs_ahead = 2;

/// Gateways ask the chain at once for a key they do not have that expires within 60 days
/// (docs/ecash.md, "Chain"). Two epochs fit.
inline constexpr std::uint64_t key_horizon = 60 * 86'400;
inline constexpr std::uint64_t max_epoch_length = key_horizon / epochs_ahead;
inline constexpr std::uint64_t default_epoch_length = 7 * 86'400;
/// How long expired keys stay, counted from the moment at which they were first seen to be expired:
/// a clock that is ahead for less than that loses none. Nothing is signed with them.
inline constexpr std::uint64_t default_retention = 86'400;

/// Epochs expire at the multiples of their length: the `n`th such time after `now`, from 0. What
/// epochs there are has no part in it: those that a clock which was ahead has left in the far
/// future take no place in the present.
[[nodiscard]] constexpr UnixSeconds expiry_after(UnixSeconds now, std::uint64_t length,
                                                 std::size_t n) noexcept {
  return (now / length + 1 + n) * length;
}

}  // namespace lp::issuer
