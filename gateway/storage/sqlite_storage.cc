#include "gateway/storage/sqlite_storage.h"

#include <fmt/core.h>

#include <system_error>
#include <utility>

#include "gateway/storage/address_pool.h"
#include "gateway/storage/queued_storage.h"
#include "gateway/storage/schema.h"
#include "gateway/storage/sqlite_ledger.h"
#include "gateway/storage/sqlite_lookup.h"

namespace lp::gateway::storage {
namespace {

StorageResult<std::unique_ptr<Storage>> open_parts(const std::filesystem::path& path,
                                                   AddressPool pool, bool commit_each) {
  auto connection = sqlite::open_database(path, schema());
  if (!connection) return std::unexpected(std::move(connection.error()));
  auto ledger = SqliteLedger::open(std::move(*connection), std::move(pool));
  if (!ledger) return std::unexpected(std::move(ledger.error()));
  auto reader = sqlite::open_reader(path);
  if (!reader) return std::unexpected(std::move(reader.error()));
  auto lookup = SqliteLookup::open(std::move(*reader));
  if (!lookup) return std::unexpected(std::move(lookup.error()));
  return make_queued_storage(std::move(*ledger), commit_each, std::move(*lookup));
}

}  // namespace

StorageResult<std::unique_ptr<Storage>> open_sqlite(SqliteOptions options) {
  // Absolute: to SQLite an empty path and ":memory:" are databases without a file.
  std::error_code error;
  const auto path = std::filesystem::absolute(options.path, error);
  if (options.path.empty() || error) {
    return storage_fail(StorageError::Kind::unavailable, "no path is given for the database");
  }
  try {
    auto pool = AddressPool::parse(options.ipv4_pool, options.ipv6_pool);
    if (!pool) return std::unexpected(std::move(pool.error()));
    auto storage = open_parts(path, std::move(*pool), options.commit_each);
    if (!storage) {
      storage.error().detail = fmt::format("{}: {}", options.path.string(), storage.error().detail);
    }
    return storage;
  } catch (const std::exception& exception) {  // no thread to be had, out of memory
    return storage_fail(StorageError::Kind::unavailable, exception.what());
  }
}

}  // namespace lp::gateway::storage
