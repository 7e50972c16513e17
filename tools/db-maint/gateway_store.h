// The gateway's database (docs/storage.md).
#pragma once

#include "tools/db-maint/sqlite_store.h"

namespace lp::db_maint {

class GatewayStore final : public SqliteStore {
 public:
  using SqliteStore::SqliteStore;

  [[nodiscard]] StoreKind kind() const override { return StoreKind::gateway; }
  [[nodiscard]] std::span<const Dated> dated() const override;
  [[nodiscard]] Result<std::optional<UnixSeconds>> newest_activity() override;
  [[nodiscard]] Result<std::vector<StalePeer>> stale_peers(UnixSeconds before) override;
  [[nodiscard]] Result<Batch> retire_peers(std::span<const std::int64_t> ids, UnixSeconds before,
                                           UnixSeconds now) override;
  [[nodiscard]] Result<std::vector<std::int64_t>> unconfirmed_peers(
      std::span<const std::int64_t> ids) override;
  [[nodiscard]] Result<Batch> remove_peers(std::span<const std::int64_t> ids, UnixSeconds before,
                                           Removable removable) override;
  [[nodiscard]] Result<Table> report(std::int64_t limit) override;

 protected:
  [[nodiscard]] std::string_view older_than(Dated dated) const override;
  [[nodiscard]] std::string_view row_name(Dated dated) const override;
  [[nodiscard]] std::span<const Count> counts() const override;
  [[nodiscard]] Result<std::vector<Finding>> broken_invariants(UnixSeconds now,
                                                               std::uint64_t retention) override;
};

}  // namespace lp::db_maint
