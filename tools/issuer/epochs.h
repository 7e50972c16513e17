// When epochs begin and end.
#pragma once

#include <algorithm>
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
/// How long expired keys stay, for whoever's clock is late. Nothing is signed with them.
inline constexpr std::uint64_t default_retention = 86'400;

/// The expiry of the epoch after the one that expires at `newest` (0: there is none): the first
/// multiple of the length that neither has come nor is taken.
[[nodiscard]] constexpr UnixSeconds next_expiry(UnixSeconds newest, UnixSeconds now,
                                                std::uint64_t length) noexcept {
  return (std::max(newest, now) / length + 1) * length;
}

}  // namespace lp::issuer
