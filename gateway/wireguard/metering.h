// What the device's transfer counters cost its peers, and when to read them again (docs/gateway.md,
// "WireGuard"). Calculates only; whoever polls is the reconciler.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "gateway/storage/storage.h"
#include "gateway/wireguard/controller.h"
#include "lib/base/clock.h"

namespace lp::gateway::wireguard {

/// The time between two polls: the longest as a rule, less where a peer may run out before.
struct PollInterval {
  std::chrono::milliseconds shortest{1'000};
  std::chrono::milliseconds longest{30'000};
};

/// What a reading of one peer is to be recorded as; nothing where it is what the row says already.
///
/// A counter that is smaller than the row's has begun again, and all that both show is new. A peer
/// without bandwidth and without a noted removal always gives an entry, so that the removal is
/// noted. A peer that the controller has added for another client of this key is none of this
/// row's: that one was removed, and is about to leave the device.
[[nodiscard]] std::optional<storage::PeerUsage> usage_of(const storage::Peer& row,
                                                         const PeerState& state);
[[nodiscard]] bool has_begun_again(const storage::Peer& row, const PeerState& state);
/// The device counts this peer from zero: nothing to be debited.
[[nodiscard]] storage::PeerUsage counters_at_zero(const storage::Peer& row);

/// For one thread.
class Metering {
 public:
  explicit Metering(PollInterval interval) : interval_(interval), next_poll_(interval.longest) {}

  struct Readings {
    std::vector<storage::PeerUsage> usage;  ///< to be recorded; empty where nothing has changed
    std::size_t resets = 0;                 ///< peers that the device counts from zero again
  };

  /// Compares the rows with the device. The rows must have been read before the device: usage that
  /// is recorded in between makes the storage leave the entry out, and nothing is debited twice.
  ///
  /// `now` gives the rates: bytes since the same peer's last reading, or, for one that is new,
  /// since the poll before.
  [[nodiscard]] Readings read(const std::vector<storage::Peer>& rows,
                              const std::map<crypto::X25519Public, PeerState>& present,
                              MonotonicTime now);

  /// How long to wait for the next poll after the latest `read`: half of the time that the first
  /// peer to run out has left at its rate, so that a peer that gets faster is noticed as well.
  [[nodiscard]] std::chrono::milliseconds next_poll() const noexcept { return next_poll_; }

 private:
  [[nodiscard]] std::chrono::milliseconds time_left(std::int64_t available, std::int64_t bytes,
                                                    MonotonicTime::duration elapsed) const;

  const PollInterval interval_;
  std::chrono::milliseconds next_poll_;
  std::unordered_map<storage::ClientRowId, MonotonicTime> last_read_;
  std::optional<MonotonicTime> last_poll_;
};

}  // namespace lp::gateway::wireguard
