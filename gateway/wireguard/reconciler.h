// Keeps database and WireGuard equal, and debits what went through the tunnels (docs/gateway.md,
// "WireGuard"). The database is right about who is a peer, the device about what a peer has used.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "gateway/storage/storage.h"
#include "gateway/wireguard/controller.h"
#include "gateway/wireguard/leases.h"
#include "gateway/wireguard/metering.h"
#include "lib/base/clock.h"

namespace lp::gateway::wireguard {

/// What the last comparison found and did.
struct Comparison {
  bool completed = false;  ///< both sides could be read
  std::size_t added = 0;   ///< were missing, or had other addresses or settings
  std::size_t removed = 0;
  std::size_t unknown = 0;           ///< peers not in the database and left alone
  std::size_t pending_removals = 0;  ///< noted and not confirmed yet
};

/// What one poll of the transfer counters came to.
struct Metered {
  enum class Result : std::uint8_t { success, wireguard_failed, storage_failed };
  Result result = Result::success;
  std::int64_t bytes = 0;  ///< debited, also where not everything could be
  std::size_t spent = 0;   ///< peers whose removal was noted
  std::size_t resets = 0;  ///< peers that the device counts from zero again
};

/// One pass over the peers. Each meters and carries out removals; a full one compares as well.
struct Pass {
  bool full = false;
  Comparison comparison;
  Metered metered;
};

struct ReconcilerOptions {
  /// `longest` is also the time from one comparison to the next.
  PollInterval interval{};
  /// Remove peers that the database does not know.
  bool own_interface = false;
  /// Called after each pass, on the thread that made it.
  std::function<void(const Pass&)> after_each = {};
  /// What rates are measured with.
  std::function<MonotonicTime()> now = [] { return std::chrono::steady_clock::now(); };
};

class Reconciler {
 public:
  virtual ~Reconciler() = default;
  /// Meters, carries out removals and compares, now and on the calling thread.
  virtual Pass compare() = 0;
  /// Meters and carries out removals, now and on the calling thread.
  virtual Pass poll() = 0;
  /// Compares soon, on the reconciler's thread.
  virtual void trigger() = 0;
  /// The latest comparison; `pending_removals` is that of the latest pass.
  [[nodiscard]] virtual Comparison last() const = 0;
  /// How long after the latest pass the next poll is due.
  [[nodiscard]] virtual std::chrono::milliseconds next_poll() const = 0;
  virtual void shut_down() = 0;
};

/// Compares once before it returns, then goes on on a thread of its own. References must outlive
/// it.
[[nodiscard]] std::unique_ptr<Reconciler> start_reconciler(storage::Storage& storage,
                                                           Controller& controller, Leases& leases,
                                                           const WallClock& clock,
                                                           ReconcilerOptions options = {});

}  // namespace lp::gateway::wireguard
