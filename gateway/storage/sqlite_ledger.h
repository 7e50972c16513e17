// The ledger in an SQLite file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "gateway/storage/address_pool.h"
#include "gateway/storage/ledger.h"
#include "gateway/storage/sqlite.h"
#include "gateway/storage/statements.h"
#include "gateway/storage/storage.h"

namespace lp::gateway::storage {

class SqliteLedger final : public Ledger {
 public:
  /// Prepares the statements and reads the address pool's state.
  [[nodiscard]] static StorageResult<std::unique_ptr<Ledger>> open(Connection connection,
                                                                   AddressPool pool);

  /// Takes the write lock; waits for another process's up to the connection's patience.
  StorageStatus begin() override;
  StorageStatus commit() override;
  RolledBack roll_back() override;

  StorageStatus accept(std::span<AcceptJob* const> jobs, Counts& counts) override;
  StorageResult<Storage::Compensated> compensate(const CompensationRequest& request) override;
  StorageStatus confirm_removals(const std::vector<crypto::X25519Public>& keys) override;
  StorageResult<UsageOutcome> record_usage(const UsageRequest& request) override;
  StorageResult<RemovedPeer> remove_peer(const crypto::X25519Public& key) override;
  StorageStatus record_sessions(std::span<SessionJob* const> jobs) override;

  StorageStatus probe() override;
  /// Moves the log into the database file and closes.
  void close() override;

  void hurry() noexcept override { connection_.patience().hurry(); }
  std::uint64_t statements_run() const noexcept override { return statements_.runs(); }

 private:
  SqliteLedger(Connection connection, Statements statements, AddressPool pool)
      : connection_(std::move(connection)),
        statements_(std::move(statements)),
        pool_(std::move(pool)) {}

  [[nodiscard]] StorageResult<AcceptanceResult> accept(const Acceptance& acceptance);
  [[nodiscard]] StorageResult<AcceptanceResult> accept_new(const Acceptance& acceptance);
  [[nodiscard]] StorageResult<AcceptanceResult> accept_existing(const Acceptance& acceptance,
                                                                ClientRowId id);
  [[nodiscard]] StorageResult<AcceptanceResult> answer_spent(const Acceptance& acceptance);
  StorageStatus record_usage(const PeerUsage& usage, UnixSeconds now, UsageOutcome& outcome);
  StorageStatus record_session(const SessionRecord& record);
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

}  // namespace lp::gateway::storage
