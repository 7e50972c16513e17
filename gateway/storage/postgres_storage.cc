#include "gateway/storage/postgres_storage.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "gateway/storage/address_pool.h"
#include "gateway/storage/postgres_ledger.h"
#include "gateway/storage/postgres_lookup.h"
#include "gateway/storage/queued_storage.h"

namespace lp::gateway::storage {
namespace {

StorageResult<std::unique_ptr<Storage>> open_parts(const postgres::Url& url,
                                                   const PostgresOptions& options,
                                                   AddressPool pool) {
  auto ledger = PostgresLedger::open(url, options, std::move(pool));
  if (!ledger) return std::unexpected(std::move(ledger.error()));
  auto lookup = PostgresLookup::open(url, options);
  if (!lookup) return std::unexpected(std::move(lookup.error()));
  auto lists = PostgresLookup::open(url, options);
  if (!lists) return std::unexpected(std::move(lists.error()));
  return make_queued_storage(std::move(*ledger), options.commit_each, std::move(*lookup),
                             std::move(*lists));
}

}  // namespace

bool is_instance_name(std::string_view text) noexcept {
  constexpr std::size_t longest = 63;
  return !text.empty() && text.size() <= longest && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

StorageResult<std::unique_ptr<Storage>> open_postgres(PostgresOptions options) {
  const auto invalid = [](std::string detail) {
    return std::unexpected(StorageError{StorageError::Kind::invalid, std::move(detail)});
  };
  auto url = postgres::Url::parse(options.url);
  if (!url) return std::unexpected(std::move(url.error()));
  const auto& instance = options.instance;
  if (!is_instance_name(instance.name)) {
    return invalid(fmt::format(
        "'{}' is no name of an instance: 1 to 63 letters, digits, '.', '_' or '-'", instance.name));
  }
  if (instance.announced_host.empty() || instance.announced_port == 0) {
    return invalid("an instance needs an address and a port to announce");
  }
  try {
    auto pool = AddressPool::parse(options.ipv4_pool, options.ipv6_pool);
    if (!pool) return std::unexpected(std::move(pool.error()));
    auto storage = open_parts(*url, options, std::move(*pool));
    if (!storage) {
      storage.error().detail = fmt::format("{}: {}", url->display(), storage.error().detail);
    }
    return storage;
  } catch (const std::exception& exception) {  // no thread to be had, out of memory
    return std::unexpected(
        StorageError{StorageError::Kind::unavailable, url->redact(exception.what())});
  }
}

}  // namespace lp::gateway::storage
