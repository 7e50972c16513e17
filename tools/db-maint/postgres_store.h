// A gateway's database in PostgreSQL, which several instances may share (docs/storage.md, "Several
// instances on PostgreSQL").
//
// There is no lock on the whole database: what others do meanwhile goes on. A transaction that met
// a deadlock or a serialisation failure is run again, some times.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/postgres/postgres.h"
#include "tools/db-maint/store.h"

namespace lp::db_maint {

struct Session {
  postgres::Url url;
  postgres::Connection connection;
};
/// Connects as lp-db-maint with the URL that this option has given. The server may be one that can
/// only be read. The failure names the database without its password.
[[nodiscard]] Outcome<Session> connect(const std::string& url, std::string_view option,
                                       std::chrono::milliseconds lock_timeout);

class PostgresStore final : public Store {
 public:
  /// Opens a database that a gateway, `migrate` or `copy` has made.
  [[nodiscard]] static Outcome<std::unique_ptr<Store>> open(const StoreOptions& options);
  PostgresStore(postgres::Url url, postgres::Connection connection,
                std::chrono::milliseconds lock_timeout);

  [[nodiscard]] StoreKind kind() const override { return StoreKind::gateway; }
  [[nodiscard]] std::span<const Dated> dated() const override;
  [[nodiscard]] Result<std::optional<UnixSeconds>> newest_activity() override;
  [[nodiscard]] Result<std::int64_t> count_older(Dated dated, UnixSeconds before) override;
  [[nodiscard]] Result<Batch> remove_older(Dated dated, UnixSeconds before,
                                           std::int64_t limit) override;

  [[nodiscard]] Result<std::vector<StalePeer>> stale_peers(UnixSeconds before) override;
  [[nodiscard]] Result<Batch> retire_peers(std::span<const std::int64_t> ids, UnixSeconds before,
                                           UnixSeconds now) override;
  [[nodiscard]] Result<std::vector<std::int64_t>> unconfirmed_peers(
      std::span<const std::int64_t> ids) override;
  [[nodiscard]] Result<Batch> remove_peers(std::span<const std::int64_t> ids, UnixSeconds before,
                                           Removable removable) override;
  [[nodiscard]] Result<bool> take_exclusively(const std::string& instance) override;
  [[nodiscard]] Status release() override;

  [[nodiscard]] Result<Table> report(std::int64_t limit) override;
  [[nodiscard]] Result<Facts> stats(UnixSeconds now) override;
  [[nodiscard]] Result<Checked> check(UnixSeconds now, std::uint64_t retention) override;
  /// With pg_dump, which must be there and no older than the server.
  [[nodiscard]] Outcome<BackupSize> backup(const std::filesystem::path& file,
                                           const OnProgress& on_progress) override;
  [[nodiscard]] Status vacuum() override;
  [[nodiscard]] bool vacuum_is_exclusive() const override { return false; }
  [[nodiscard]] bool is_shared() const override { return true; }
  [[nodiscard]] Result<std::int64_t> schema_version() override;
  [[nodiscard]] std::int64_t newest_schema_version() const override;
  [[nodiscard]] Status migrate() override;
  /// Of the gateway's tables and their indexes.
  [[nodiscard]] std::int64_t file_bytes() const override;
  /// The server's log is not this database's alone.
  [[nodiscard]] std::int64_t log_bytes() const override { return 0; }

 private:
  /// BEGIN, `work`, COMMIT; again after a conflict. `work` returns the rows it changed.
  [[nodiscard]] Result<Batch> write(const std::function<Result<std::int64_t>()>& work);
  /// `work` sees one snapshot.
  template <typename Work>
  [[nodiscard]] auto read(Work work) -> decltype(work()) {
    auto begun = connection_->execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    if (!begun) return std::unexpected(std::move(begun.error()));
    auto result = work();
    (void)connection_->execute("ROLLBACK");
    return result;
  }
  /// Keeps tickets of these clients from being taken until the end of the transaction.
  [[nodiscard]] Status lock_clients(std::span<const std::int64_t> ids);
  [[nodiscard]] Result<std::vector<std::string>> instances();
  [[nodiscard]] Result<std::vector<Finding>> broken_constraints();
  [[nodiscard]] Result<std::vector<Finding>> damaged_indexes(std::string& not_checked);

  const postgres::Url url_;
  const std::chrono::milliseconds lock_timeout_;
  std::unique_ptr<postgres::Connection> connection_;
  std::vector<std::string> taken_;  ///< instances that are kept from running
};

}  // namespace lp::db_maint
