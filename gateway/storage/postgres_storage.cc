#include "gateway/storage/postgres_storage.h"

#include <algorithm>

#include "gateway/storage/sqlite.h"

namespace lp::gateway::storage {

bool is_instance_name(std::string_view text) noexcept {
  constexpr std::size_t longest = 63;
  return !text.empty() && text.size() <= longest && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '_' || c == '-';
  });
}

StorageResult<std::unique_ptr<Storage>> open_postgres(PostgresOptions) {
  return storage_fail(StorageError::Kind::unavailable, "is not to be had yet");
}

}  // namespace lp::gateway::storage
