// Databases as the gateway's storage makes them, aged and damaged by hand, and the real lp-db-maint
// on them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/storage/sqlite_storage.h"
#include "tests/gateway/storage/fixture.h"
#include "tests/support/postgres_server.h"
#include "tests/support/process.h"

namespace lp::db_maint::test {

using gateway::storage::test::bytes32;
using gateway::storage::test::Rows;
using gateway::storage::test::ticket_amount;
using lp::test::Child;
using lp::test::Finished;
using lp::test::TempDir;

inline constexpr std::int64_t day = 86'400;
/// What ages are judged by, some time before the clock's now: `--as-of`.
inline constexpr std::int64_t now = 1'760'000'000;

[[nodiscard]] bool long_run();

/// A gateway's database in a directory of its own.
class Database {
 public:
  Database();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path beside(const std::string& name) const { return dir_ / name; }
  [[nodiscard]] Rows rows() const { return Rows(path_); }

  /// Opened as the gateway opens it; it stays open as long as the storage lives.
  [[nodiscard]] std::unique_ptr<gateway::storage::Storage> open() const;
  /// Accepts a ticket with this nullifier for the WireGuard key of this number. Throws where it is
  /// not accepted.
  static void accept(gateway::storage::Storage& storage, std::uint64_t owner,
                     std::uint64_t nullifier, std::int64_t expiry, std::int64_t spent_at);
  void accept(std::uint64_t owner, std::uint64_t nullifier, std::int64_t expiry,
              std::int64_t spent_at) const;
  /// Nullifiers of clients that are gone, quickly: `count` of them that expired at `expiry`.
  void add_spent(int count, std::int64_t expiry) const;

  /// Runs lp-db-maint on it, as of `now`.
  [[nodiscard]] Finished maintain(std::vector<std::string> args) const;
  /// The arguments of `maintain`.
  [[nodiscard]] std::vector<std::string> arguments(std::vector<std::string> args) const;

 private:
  TempDir dir_;
  std::filesystem::path path_;
};

/// Tests that hold for SQLite and for PostgreSQL: `database` is filled, then `filled` copies it to
/// PostgreSQL where that is the parameter, with `lp-db-maint copy`; from then on the database is
/// the one or the other.
enum class Kind : std::uint8_t { sqlite, postgres };
class EveryDatabase : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override;
  void filled();
  [[nodiscard]] std::string storage() const;
  /// As of `now`.
  [[nodiscard]] Finished maintain(std::vector<std::string> args) const;
  void execute(const std::string& sql) const;
  [[nodiscard]] std::int64_t integer(const std::string& sql) const;
  [[nodiscard]] std::int64_t count(const std::string& table) const;
  void expect_clean() const;

  const Database database;

 private:
  std::string name_;
};
[[nodiscard]] std::string kind_name(const ::testing::TestParamInfo<Kind>& info);

/// The server of this test program.
[[nodiscard]] lp::test::PostgresServer& postgres();
/// A database of a name of its own, without tables. Its name.
[[nodiscard]] std::string new_postgres_database();
/// The number that a query gives, read with psql.
[[nodiscard]] std::int64_t postgres_integer(const std::string& database, const std::string& sql);
/// Copies it there as instance `a`; the source stays usable.
void copy_to_postgres(const Database& source, const std::string& database);

/// lp-db-maint with these arguments alone.
[[nodiscard]] Finished lp_db_maint(std::vector<std::string> args);

/// A number in the JSON object that a command printed: "a.b" is member b of the first of `rows`
/// whose first member's value is a, "b" a member of the object. Throws where there is none.
[[nodiscard]] std::int64_t number(const Finished& finished, const std::string& name);

/// `check` finds nothing.
void expect_clean(const Database& database);

}  // namespace lp::db_maint::test
