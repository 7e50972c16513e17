// Errors as the parts of the storage make them, whichever database is behind it.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/storage/storage.h"

namespace lp::gateway::storage {

[[nodiscard]] inline std::unexpected<StorageError> storage_fail(StorageError::Kind kind,
                                                                std::string detail) {
  return std::unexpected(StorageError{kind, std::move(detail)});
}

/// For a value that no program of ours can have written.
[[nodiscard]] inline StorageError damaged(std::string_view what) {
  return {StorageError::Kind::corrupt, "the database holds " + std::string(what)};
}

}  // namespace lp::gateway::storage
