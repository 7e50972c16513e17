// The ledger in a PostgreSQL database, for one of the instances that share it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gateway/storage/address_pool.h"
#include "gateway/storage/ledger.h"
#include "gateway/storage/postgres_session.h"
#include "gateway/storage/postgres_storage.h"

namespace lp::gateway::storage {

/// Most of what a batch does is a function of the schema (postgres_functions.cc), called once for
/// all calls that follow each other.
class PostgresLedger final : public Ledger {
 public:
  /// Connects, migrates, takes the lock on the instance's name, which it has on every connection
  /// that it writes to, and reads the address pool's state.
  [[nodiscard]] static StorageResult<std::unique_ptr<Ledger>> open(const postgres::Url& url,
                                                                   const PostgresOptions& options,
                                                                   AddressPool pool);

  StorageStatus begin() override;
  StorageStatus commit() override;
  RolledBack roll_back() override;

  StorageStatus accept(std::span<AcceptJob* const> jobs, Counts& counts) override;
  StorageResult<Storage::Compensated> compensate(const CompensationRequest& request) override;
  StorageStatus confirm_removals(const std::vector<crypto::X25519Public>& keys) override;
  StorageResult<UsageOutcome> record_usage(const UsageRequest& request) override;
  StorageResult<RemovedPeer> remove_peer(const crypto::X25519Public& key) override;
  StorageStatus record_sessions(std::span<SessionJob* const> jobs) override;

  /// Other instances wait for the rows that a transaction has locked.
  std::size_t largest_batch() const noexcept override { return 1'000; }
  StorageStatus probe() override;
  std::chrono::milliseconds look_interval() const override { return std::chrono::seconds(2); }
  StorageStatus look() override;
  void close() override;

  void hurry() noexcept override { session_.hurry(); }
  std::uint64_t statements_run() const noexcept override { return session_.statements_run(); }

 private:
  using Instances = std::map<std::string, std::optional<ServingInstance>, std::less<>>;
  PostgresLedger(const postgres::Url& url, const PostgresOptions& options, AddressPool pool);

  StorageStatus set_up(postgres::Connection& connection);
  StorageStatus lock_instance(postgres::Connection& connection);
  StorageStatus write_instance(postgres::Connection& connection);
  [[nodiscard]] StorageResult<postgres::Rows> run(const char* name, const postgres::Params& params);

  StorageStatus accept_distinct(std::span<AcceptJob* const> jobs, Counts& counts);
  [[nodiscard]] StorageResult<std::vector<AddressPair>> take_addresses(std::size_t count);
  StorageStatus set_result(AcceptJob& job, const postgres::Rows& rows, std::size_t row,
                           Instances& instances);
  [[nodiscard]] StorageResult<std::optional<ServingInstance>> find_instance(std::string_view name,
                                                                            Instances& known);
  StorageStatus write_sessions(std::span<SessionJob* const> jobs);
  StorageStatus load_pool();
  StorageStatus load_news(std::span<const AddressPair> taken);
  StorageStatus load_released_addresses(const std::vector<std::int64_t>& families,
                                        std::span<const AddressPair> without);

  PostgresOptions options_;
  PostgresSession session_;
  AddressPool pool_;
  bool pool_loaded_ = false;
  bool migrated_ = false;
  bool connected_ = false;  ///< in this transaction
  bool committing_ = false;
  bool conflict_ = false;
};

}  // namespace lp::gateway::storage
