// Databases as the gateway's storage makes them, aged and damaged by hand, and the real lp-db-maint
// on them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/storage/sqlite_storage.h"
#include "lib/postgres/postgres.h"
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

/// A database in PostgreSQL of instance a, with `clients` WireGuard clients and `old` tickets that
/// are to be removed.
class OnPostgres : public ::testing::Test {
 protected:
  void SetUp() override;
  void fill(std::uint64_t clients, int old) const;
  [[nodiscard]] std::string url() const;
  /// As of `now`.
  [[nodiscard]] std::vector<std::string> arguments(std::vector<std::string> args) const;
  [[nodiscard]] Finished maintain(std::vector<std::string> args) const;
  std::string execute(const std::string& sql) const;
  [[nodiscard]] std::int64_t count(const std::string& table) const;
  void expect_clean() const;
  [[nodiscard]] postgres::Connection connect() const;

  std::string name_;
};

/// A file system of a few MiB: `options` are tmpfs's, "size=4m,mode=0700". Only root may mount one.
class SmallDisk {
 public:
  static constexpr std::string_view not_mounted = "a small file system cannot be mounted here";

  /// Makes the directory where it is not there.
  SmallDisk(std::filesystem::path place, const std::string& options);
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk();
  [[nodiscard]] bool mounted() const { return mounted_; }
  [[nodiscard]] const std::filesystem::path& path() const { return place_; }
  /// Leaves so many bytes free.
  void fill_up(std::uintmax_t left) const;
  void make_room() const;

 private:
  std::filesystem::path place_;
  bool mounted_ = false;
};

/// lp-db-maint with these arguments alone.
[[nodiscard]] Finished lp_db_maint(std::vector<std::string> args);

/// A number in the JSON object that a command printed: "a.b" is member b of the first of `rows`
/// whose first member's value is a, "b" a member of the object. Throws where there is none.
[[nodiscard]] std::int64_t number(const Finished& finished, const std::string& name);

/// `check` finds nothing.
void expect_clean(const Database& database);

}  // namespace lp::db_maint::test
