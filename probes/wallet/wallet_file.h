// The wallet's file: whose it is, which version, whether it is whole.
#pragma once

#include <filesystem>

#include "probes/errors.h"
#include "probes/wallet/database.h"

namespace lp::probe::wallet {

/// Opens the file; makes it with mode 0600 where it is missing, and its directory with mode 0700.
/// Errors:
/// - wallet_exposed: others can read or write it, or it is another user's;
/// - wallet_corrupt: damaged, or no database;
/// - wallet_version: of a newer version of lp-probe;
/// - wallet_unusable: cannot be made, opened, written or locked, or is another program's.
[[nodiscard]] Outcome<Database> open_wallet_file(const std::filesystem::path& path);

/// Empties the write-ahead log, in which a page stands as it was before something in it was erased.
/// Does what it can: a log that another process reads is emptied by the next one that asks.
void empty_log(Database& database);

}  // namespace lp::probe::wallet
