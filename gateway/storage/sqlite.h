// lib/sqlite under the storage's names.
#pragma once

#include <string>
#include <utility>

#include "gateway/storage/ledger.h"
#include "lib/sqlite/sqlite.h"

namespace lp::gateway::storage {

using sqlite::Connection;
using sqlite::error_kind;
using sqlite::last_error;
using sqlite::LockPatience;
using sqlite::Query;
using sqlite::Statement;

[[nodiscard]] inline std::unexpected<StorageError> storage_fail(StorageError::Kind kind,
                                                                std::string detail) {
  return sqlite::fail(kind, std::move(detail));
}

}  // namespace lp::gateway::storage
