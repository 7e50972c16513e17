// What the writer does to the database: transactions, and inside them tickets accepted and undone,
// usage debited, peers removed, removals confirmed, sessions recorded. Knows no threads.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "gateway/storage/address_pool.h"
#include "gateway/storage/sqlite.h"
#include "gateway/storage/statements.h"
#include "gateway/storage/storage.h"

namespace lp::gateway::storage {

/// An error from any function inside a transaction means: call `roll_back`.
class Ledger {
 public:
  /// Prepares the statements and reads the address pool's state.
  [[nodiscard]] static StorageResult<Ledger> open(Connection connection, AddressPool pool);

  /// Takes the write lock; waits for another process's up to the connection's patience.
  StorageStatus begin();
  /// Returns once what was done is durable.
  StorageStatus commit();
  void roll_back();

  [[nodiscard]] StorageResult<AcceptanceResult> accept(const Acceptance& acceptance);
  [[nodiscard]] StorageResult<Storage::Compensated> compensate(const Owner& owner,
                                                               const messages::Nullifier& nullifier,
                                                               UnixSeconds now);
  StorageStatus confirm_removals(const std::vector<crypto::X25519Public>& keys);
  [[nodiscard]] StorageResult<UsageOutcome> record_usage(const std::vector<PeerUsage>& usage,
                                                         UnixSeconds now);
  [[nodiscard]] StorageResult<RemovedPeer> remove_peer(const crypto::X25519Public& key);
  StorageStatus record_session(const SessionRecord& record);

  /// A durable write that changes nothing, to learn whether writing works. Not in a transaction.
  StorageStatus probe();
  /// Moves the log into the database file and closes. Nothing else may follow.
  void close();

  /// Waits for locks are short from now on. From any thread.
  void hurry() noexcept { connection_.patience().hurry(); }
  /// Statements run so far, besides BEGIN, COMMIT and ROLLBACK.
  [[nodiscard]] std::uint64_t statements_run() const noexcept { return statements_.runs(); }

 private:
  Ledger(Connection connection, Statements statements, AddressPool pool)
      : connection_(std::move(connection)),
        statements_(std::move(statements)),
        pool_(std::move(pool)) {}

  [[nodiscard]] StorageResult<AcceptanceResult> accept_new(const Acceptance& acceptance);
  [[nodiscard]] StorageResult<AcceptanceResult> accept_existing(const Acceptance& acceptance,
                                                                ClientRowId id);
  [[nodiscard]] StorageResult<AcceptanceResult> answer_spent(const Acceptance& acceptance);
  StorageStatus record_usage(const PeerUsage& usage, UnixSeconds now, UsageOutcome& outcome);
  [[nodiscard]] StorageResult<std::optional<AddressPair>> take_addresses();
  StorageStatus load_pool();
  StorageStatus load_released_addresses();

  Connection connection_;  // before what is prepared on it
  Statements statements_;
  AddressPool pool_;
  bool pool_loaded_ = false;
  bool released_in_transaction_ = false;
  std::int64_t released_seen_ = 0;  ///< rows of released_addresses up to here are in the pool
};

/// The ticket with this nullifier, if it was spent. For any connection.
[[nodiscard]] StorageResult<std::optional<SpentTicket>> find_spent_ticket(
    Statements& statements, const messages::Nullifier& nullifier);
[[nodiscard]] StorageResult<std::vector<Peer>> read_peers(Statements& statements,
                                                          const PeerPage& page);
[[nodiscard]] StorageResult<std::optional<Peer>> find_peer(Statements& statements,
                                                           const crypto::X25519Public& key);
[[nodiscard]] StorageResult<std::vector<crypto::X25519Public>> read_removals(
    Statements& statements);

}  // namespace lp::gateway::storage
