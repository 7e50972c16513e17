#include "tests/gateway/storage/storage_test.h"

#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "gateway/storage/postgres_schema.h"
#include "gateway/storage/sqlite_storage.h"

namespace lp::gateway::storage::test {
namespace {

void execute(const std::string& url, const std::string& sql) {
  Rows(url).execute(sql);
}

}  // namespace

std::string database_name(const ::testing::TestParamInfo<Database>& info) {
  return info.param == Database::sqlite ? "Sqlite" : "Postgres";
}

bool long_tests() {
  const char* const value = std::getenv("LP_TEST_LONG");
  return value != nullptr && std::string_view(value) == "1";
}

lp::test::PostgresServer& postgres_server() {
  static lp::test::PostgresServer server({.tcp = true,
                                          .access = {"host all guarded 127.0.0.1/32 scram-sha-256"},
                                          .settings = {"deadlock_timeout=50ms"}});
  return server;
}

std::string new_postgres_database() {
  auto& server = postgres_server();
  static int number = 0;
  if (number == 0) {
    execute(server.url(), "CREATE DATABASE template");
    auto connection = postgres::Connection::open(
        postgres::Url::parse(server.url("template")).value(), {.application_name = "test"});
    if (!connection) throw std::runtime_error(connection.error().detail);
    const auto migrated = postgres::migrate(*connection, postgres_schema());
    if (!migrated) throw std::runtime_error(migrated.error().detail);
  }
  const auto name = "test_" + std::to_string(++number);
  execute(server.url(), "CREATE DATABASE " + name + " TEMPLATE template STRATEGY file_copy");
  return server.url(name);
}

ServingInstance instance(const std::string& name) {
  const auto seed = static_cast<std::uint64_t>(name.front());
  return {.name = name,
          .wireguard_public_key = {bytes32(seed + 7'000'000)},
          .announced_host = "192.0.2." + std::to_string(seed),
          .announced_port = static_cast<std::uint16_t>(51'000 + seed)};
}

StorageResult<std::unique_ptr<Storage>> open_database(const std::filesystem::path& database,
                                                      const Options& options) {
  if (!postgres::Url::looks_like(database.string())) {
    return open_sqlite({.path = database,
                        .ipv4_pool = options.ipv4_pool,
                        .ipv6_pool = options.ipv6_pool,
                        .commit_each = options.commit_each});
  }
  return open_postgres({.url = database.string(),
                        .instance = instance(options.instance),
                        .ipv4_pool = options.ipv4_pool,
                        .ipv6_pool = options.ipv6_pool,
                        .commit_each = options.commit_each,
                        .statement_timeout = options.statement_timeout});
}

void StorageTestBase::set_up(Database kind) {
  kind_ = kind;
  if (kind == Database::sqlite) {
    database_ = directory_.path() / "test.sqlite";
  } else {
    if (!lp::test::PostgresServer::installed()) {
      GTEST_SKIP() << lp::test::PostgresServer::not_installed;
    }
    database_ = new_postgres_database();
  }
  open();
}

void StorageTestBase::TearDown() {
  close();
  if (!HasFatalFailure() && !IsSkipped()) expect_invariants(database_);
}

void StorageTestBase::open(const Options& options) {
  close();
  auto storage = open_database(database_, options);
  ASSERT_TRUE(storage) << storage.error().detail;
  storage_ = std::move(*storage);
}

}  // namespace lp::gateway::storage::test
