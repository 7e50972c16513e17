// Compares database and WireGuard (docs/gateway.md, "WireGuard"): at start, every 30 seconds, and
// at once when a backend that failed comes back. The database is right.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include "gateway/storage/storage.h"
#include "gateway/wireguard/controller.h"
#include "gateway/wireguard/leases.h"

namespace lp::gateway::wireguard {

struct ReconcilerOptions {
  std::chrono::milliseconds interval{30'000};
  /// Remove peers that the database does not know.
  bool own_interface = false;
  /// Called after each comparison, on the reconciler's thread.
  std::function<void()> after_each = {};
};

/// What the last comparison found and did.
struct Comparison {
  bool completed = false;  ///< both sides could be read
  std::size_t added = 0;
  std::size_t removed = 0;
  std::size_t unknown = 0;           ///< peers not in the database and left alone
  std::size_t pending_removals = 0;  ///< noted and not confirmed yet
};

class Reconciler {
 public:
  virtual ~Reconciler() = default;
  /// Compares now, on the calling thread, and says what it did.
  virtual Comparison compare() = 0;
  /// Compares soon, on the reconciler's thread.
  virtual void trigger() = 0;
  [[nodiscard]] virtual Comparison last() const = 0;
  virtual void shut_down() = 0;
};

/// Compares once before it returns, then goes on on a thread of its own. References must outlive
/// it.
[[nodiscard]] std::unique_ptr<Reconciler> start_reconciler(storage::Storage& storage,
                                                           Controller& controller, Leases& leases,
                                                           ReconcilerOptions options = {});

}  // namespace lp::gateway::wireguard
