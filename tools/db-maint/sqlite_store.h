// What the SQLite databases of the gateway and of the issuer have in common.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "lib/sqlite/database.h"
#include "tools/db-maint/store.h"

namespace lp::db_maint {

/// What integrity_check and quick_check complain of, line by line; nothing of "ok".
[[nodiscard]] std::vector<std::string> complaints_of(std::string_view verdict);

class SqliteStore : public Store {
 public:
  SqliteStore(std::filesystem::path path, std::chrono::milliseconds lock_timeout,
              const sqlite::Schema& schema, sqlite::Connection connection);

  [[nodiscard]] Result<std::int64_t> count_older(Dated dated, UnixSeconds before) override;
  [[nodiscard]] Result<Batch> remove_older(Dated dated, UnixSeconds before,
                                           std::int64_t limit) override;
  [[nodiscard]] Result<bool> take_exclusively(const std::string& instance) override;
  [[nodiscard]] Status release() override;
  [[nodiscard]] Result<Facts> stats(UnixSeconds now) override;
  [[nodiscard]] Result<Checked> check(UnixSeconds now, std::uint64_t retention) override;
  [[nodiscard]] Outcome<BackupSize> backup(const std::filesystem::path& file,
                                           const OnProgress& on_progress) override;
  [[nodiscard]] Status vacuum() override;
  [[nodiscard]] bool vacuum_is_exclusive() const override { return true; }
  [[nodiscard]] Result<std::int64_t> schema_version() override;
  [[nodiscard]] std::int64_t newest_schema_version() const override {
    return schema_.newest_version();
  }
  [[nodiscard]] Status migrate() override;
  [[nodiscard]] std::int64_t file_bytes() const override;
  [[nodiscard]] std::int64_t log_bytes() const override;

  [[nodiscard]] bool would_lose(const std::filesystem::path& file) const override;

  /// For what is beyond a store: `copy` reads every row.
  [[nodiscard]] sqlite::Connection& connection() noexcept { return connection_; }
  /// Has every program refuse the database from now on, durably. Requires `take_exclusively`.
  [[nodiscard]] Status retire();

 protected:
  /// The condition of rows that are older than ?1, of `SELECT … FROM name(dated)`.
  [[nodiscard]] virtual std::string_view older_than(Dated dated) const = 0;
  /// What DELETE's subquery selects to name a row.
  [[nodiscard]] virtual std::string_view row_name(Dated dated) const = 0;
  /// Name and query (one integer) of the facts in `stats`; ?1 is the time.
  struct Count {
    std::string_view name;
    std::string_view sql;
    bool is_time = false;
  };
  [[nodiscard]] virtual std::span<const Count> counts() const = 0;
  /// The program's own invariants.
  [[nodiscard]] virtual Result<std::vector<Finding>> broken_invariants(UnixSeconds now,
                                                                       std::uint64_t retention) = 0;

  /// BEGIN IMMEDIATE, `work`, COMMIT; afterwards the log is moved into the database once it is
  /// long, so that this falls to nobody who serves clients. `work` returns the rows it changed.
  [[nodiscard]] Result<Batch> write(const std::function<Result<std::int64_t>()>& work);
  /// `work` sees one snapshot. (BEGIN reads nothing and cannot fail but where memory does; `work`
  /// then reads several.)
  template <typename Work>
  [[nodiscard]] auto read(Work work) -> decltype(work()) {
    (void)connection_.execute("BEGIN");
    auto result = work();
    if (connection_.in_transaction()) (void)connection_.execute("ROLLBACK");
    return result;
  }
  /// Steps through the query's rows.
  [[nodiscard]] Status each_row(std::string_view sql, const std::vector<std::int64_t>& parameters,
                                const std::function<void(const sqlite::Query&)>& row);

 private:
  /// Tables, indexes and triggers that the schema has and the database has not.
  [[nodiscard]] Result<std::vector<Finding>> missing_parts();
  [[nodiscard]] Status configure();
  [[nodiscard]] Status reopen();
  [[nodiscard]] Status move_log();

  const std::filesystem::path path_;
  const std::chrono::milliseconds lock_timeout_;
  const sqlite::Schema& schema_;
  int log_frames_ = 0;  ///< in the log after our latest commit
  sqlite::Connection connection_;
};

}  // namespace lp::db_maint
