#include "gateway/wireguard/metering.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace lp::gateway::wireguard {
namespace {

using storage::TransferCounters;

constexpr auto most = std::numeric_limits<std::int64_t>::max();

/// A device that talks nonsense costs its peers everything, and the database nothing.
std::int64_t clamped(std::uint64_t count) noexcept {
  return static_cast<std::int64_t>(std::min(count, static_cast<std::uint64_t>(most)));
}

std::int64_t saturating_sum(std::int64_t a, std::int64_t b) noexcept {
  return a > most - b ? most : a + b;
}

TransferCounters counters_of(const PeerState& state) noexcept {
  return {.rx = clamped(state.rx_bytes), .tx = clamped(state.tx_bytes)};
}

bool has_begun_again(const TransferCounters& before, const TransferCounters& after) noexcept {
  return after.rx < before.rx || after.tx < before.tx;
}

}  // namespace

bool has_begun_again(const storage::Peer& row, const PeerState& state) {
  return has_begun_again(row.counters, counters_of(state));
}

std::optional<storage::PeerUsage> usage_of(const storage::Peer& row, const PeerState& state) {
  if (state.client_id != 0 && state.client_id != row.client_id) return std::nullopt;
  storage::PeerUsage usage{.client_id = row.client_id,
                           .before = row.counters,
                           .after = counters_of(state),
                           .last_seen = std::nullopt};
  const auto from = has_begun_again(usage.before, usage.after) ? TransferCounters{} : usage.before;
  usage.bytes = saturating_sum(usage.after.rx - from.rx, usage.after.tx - from.tx);
  if (state.last_handshake > row.last_seen.value_or(0) &&
      state.last_handshake <= static_cast<UnixSeconds>(most)) {
    usage.last_seen = state.last_handshake;
  }
  const bool must_leave = row.available <= 0 && !row.removal_noted;
  if (usage.after == usage.before && !usage.last_seen && !must_leave) return std::nullopt;
  return usage;
}

storage::PeerUsage counters_at_zero(const storage::Peer& row) {
  return {.client_id = row.client_id, .before = row.counters, .last_seen = std::nullopt};
}

Metering::Readings Metering::read(const std::vector<storage::Peer>& rows,
                                  const std::map<crypto::X25519Public, PeerState>& present,
                                  MonotonicTime now) {
  Readings readings;
  std::unordered_map<storage::ClientRowId, MonotonicTime> read_now;
  read_now.reserve(present.size());
  next_poll_ = interval_.longest;
  for (const auto& row : rows) {
    const auto found = present.find(row.public_key);
    if (found == present.end()) continue;
    read_now.emplace(row.client_id, now);
    const auto usage = usage_of(row, found->second);
    if (!usage) continue;
    readings.usage.push_back(*usage);
    if (has_begun_again(row, found->second)) ++readings.resets;

    const auto last = last_read_.find(row.client_id);
    const auto since = last != last_read_.end() ? std::optional(last->second) : last_poll_;
    if (!since) continue;
    const auto available = row.available > usage->bytes ? row.available - usage->bytes : 0;
    next_poll_ = std::min(next_poll_, time_left(available, usage->bytes, now - *since) / 2);
  }
  last_read_ = std::move(read_now);
  last_poll_ = now;
  next_poll_ = std::max(next_poll_, interval_.shortest);
  return readings;
}

std::chrono::milliseconds Metering::time_left(std::int64_t available, std::int64_t bytes,
                                              MonotonicTime::duration elapsed) const {
  // Spent ones leave with this poll; idle ones last.
  if (available <= 0 || bytes <= 0) return interval_.longest * 2;
  const auto milliseconds = std::chrono::duration<double, std::milli>(elapsed).count() *
                            static_cast<double>(available) / static_cast<double>(bytes);
  const auto longest = static_cast<double>(interval_.longest.count()) * 2;
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::min(milliseconds, longest)));
}

}  // namespace lp::gateway::wireguard
