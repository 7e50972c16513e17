// What the threads of a storage ask of its database, whichever it is. A Ledger is what the writer
// writes to, a Lookup is one connection of a reader. Both know no threads: one at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "gateway/storage/jobs.h"
#include "gateway/storage/storage.h"

namespace lp::gateway::storage {

using StorageStatus = StorageResult<void>;

/// Transactions, and inside them tickets accepted and undone, usage debited, peers removed,
/// removals confirmed, sessions recorded. An error from any function inside a transaction, or from
/// `begin` or `commit`, means: call `roll_back`.
class Ledger {
 public:
  /// What a transaction adds to the statistics once it is committed.
  struct Counts {
    std::uint64_t registrations = 0;
    std::uint64_t registration_statements = 0;
  };
  struct RolledBack {
    /// `commit` was called, and whether it was carried out is not known.
    bool in_doubt = false;
    /// The error was about this moment: the same transaction may succeed when it is run again.
    bool repeatable = false;
  };

  virtual ~Ledger() = default;

  /// Waits, where it must, for another process's lock or for a server to come back.
  virtual StorageStatus begin() = 0;
  /// Returns once what was done is durable.
  virtual StorageStatus commit() = 0;
  virtual RolledBack roll_back() = 0;

  /// Sets the result of each of them.
  virtual StorageStatus accept(std::span<AcceptJob* const> jobs, Counts& counts) = 0;
  [[nodiscard]] virtual StorageResult<Storage::Compensated> compensate(
      const CompensationRequest& request) = 0;
  virtual StorageStatus confirm_removals(const std::vector<crypto::X25519Public>& keys) = 0;
  [[nodiscard]] virtual StorageResult<UsageOutcome> record_usage(const UsageRequest& request) = 0;
  [[nodiscard]] virtual StorageResult<RemovedPeer> remove_peer(const crypto::X25519Public& key) = 0;
  /// Records that do not fit are dropped: they must not take a registration along.
  virtual StorageStatus record_sessions(std::span<SessionJob* const> jobs) = 0;

  /// How many jobs a transaction takes at most.
  [[nodiscard]] virtual std::size_t largest_batch() const noexcept { return SIZE_MAX; }

  /// A durable write that changes nothing, to learn whether writing works. Not in a transaction.
  virtual StorageStatus probe() = 0;
  /// How often `look` is to be called while nothing else is: a connection may be lost unnoticed. 0:
  /// never.
  [[nodiscard]] virtual std::chrono::milliseconds look_interval() const {
    return std::chrono::milliseconds(0);
  }
  /// Whether the database is still there. Not in a transaction.
  virtual StorageStatus look() { return {}; }
  /// Leaves everything as a clean stop does. Nothing else may follow.
  virtual void close() = 0;

  /// What waits is short from now on. From any thread.
  virtual void hurry() noexcept = 0;
  /// Statements run so far, besides BEGIN, COMMIT and ROLLBACK.
  [[nodiscard]] virtual std::uint64_t statements_run() const noexcept = 0;
};

class Lookup {
 public:
  virtual ~Lookup() = default;

  [[nodiscard]] virtual StorageResult<std::optional<SpentTicket>> find_spent(
      const messages::Nullifier& nullifier) = 0;
  [[nodiscard]] virtual StorageResult<std::vector<Peer>> list_peers(const PeerPage& page) = 0;
  [[nodiscard]] virtual StorageResult<std::optional<Peer>> find_peer(
      const crypto::X25519Public& key) = 0;
  [[nodiscard]] virtual StorageResult<std::vector<crypto::X25519Public>> list_removals() = 0;

  virtual void close() = 0;
  /// As Ledger::hurry.
  virtual void hurry() noexcept = 0;
};

}  // namespace lp::gateway::storage
