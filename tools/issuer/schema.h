// The schema of the issuer's database: the one place where keys, tokens, allowances and withdrawals
// are kept.
#pragma once

#include "lib/sqlite/database.h"

namespace lp::issuer {

/// PRAGMA application_id: "LPIS".
inline constexpr std::int64_t application_id = 0x4c504953;

[[nodiscard]] const sqlite::Schema& schema() noexcept;

}  // namespace lp::issuer
