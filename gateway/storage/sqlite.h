// lib/sqlite under the storage's names.
#pragma once

#include "gateway/storage/error.h"
#include "gateway/storage/ledger.h"
#include "lib/sqlite/sqlite.h"

namespace lp::gateway::storage {

using sqlite::Connection;
using sqlite::error_kind;
using sqlite::last_error;
using sqlite::LockPatience;
using sqlite::Query;
using sqlite::Statement;

}  // namespace lp::gateway::storage
