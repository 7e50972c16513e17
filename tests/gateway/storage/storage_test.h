// A storage on a new database of one kind or the other, which its tests run against:
//
//   class AcceptanceTest : public StorageTest {};
//   INSTANTIATE_TEST_SUITE_P(Databases, AcceptanceTest, both_databases, database_name);
//   TEST_P(AcceptanceTest, …)
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "gateway/storage/postgres_storage.h"
#include "tests/gateway/storage/fixture.h"
#include "tests/support/postgres_server.h"

namespace lp::gateway::storage::test {

enum class Database : std::uint8_t { sqlite, postgres };
[[nodiscard]] std::string database_name(const ::testing::TestParamInfo<Database>& info);
inline const auto both_databases = ::testing::Values(Database::sqlite, Database::postgres);

/// Whether the numbers of connections, rounds and kills are the large ones (scripts/test --long).
[[nodiscard]] bool long_tests();

/// The program's PostgreSQL server. Its databases find a deadlock within 50 ms.
[[nodiscard]] lp::test::PostgresServer& postgres_server();
/// The URL of a new database with the schema in it.
[[nodiscard]] std::string new_postgres_database();

struct Options {
  std::string ipv4_pool = "10.1.0.0/16";
  std::string ipv6_pool = "fd00::/112";
  bool commit_each = false;
  std::string instance = "a";  ///< of PostgreSQL, as is what follows
  std::chrono::milliseconds statement_timeout{20'000};
};

/// What instance `name` of the tests announces.
[[nodiscard]] ServingInstance instance(const std::string& name);
/// Opens a file or a URL.
[[nodiscard]] StorageResult<std::unique_ptr<Storage>> open_database(
    const std::filesystem::path& database, const Options& options);

/// A storage on a new database, checked against the invariants at the end of the test.
class StorageTestBase : public ::testing::Test {
 protected:
  void TearDown() override;
  void set_up(Database kind);

  /// Closes the storage if it is open, and opens it (again).
  void open(const Options& options = {});
  void close() { storage_.reset(); }
  [[nodiscard]] Storage& storage() { return *storage_; }
  /// The file, or the URL.
  [[nodiscard]] const std::filesystem::path& database() const { return database_; }
  [[nodiscard]] Rows rows() const { return Rows(database_); }
  [[nodiscard]] bool is_postgres() const { return kind_ == Database::postgres; }

 private:
  TemporaryDirectory directory_;
  Database kind_ = Database::sqlite;
  std::filesystem::path database_;
  std::unique_ptr<Storage> storage_;
};
class StorageTest : public StorageTestBase, public ::testing::WithParamInterface<Database> {
 protected:
  void SetUp() override { set_up(GetParam()); }
};

}  // namespace lp::gateway::storage::test
