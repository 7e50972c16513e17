// The commands besides `run`. Results go to standard output, a Refusal to whoever calls.
#pragma once

#include <expected>
#include <string_view>

#include "lib/base/exit_code.h"
#include "tools/issuer/options.h"

namespace lp::issuer {

using Outcome = std::expected<void, Refusal>;

[[nodiscard]] Outcome init(const Options& options);
[[nodiscard]] Outcome add_token(const Options& options);
[[nodiscard]] Outcome list_tokens(const Options& options);
[[nodiscard]] Outcome revoke_token(const Options& options);
[[nodiscard]] Outcome list_keys(const Options& options);
[[nodiscard]] Outcome rotate_keys(const Options& options);

/// Writes to standard output and flushes it.
[[nodiscard]] Outcome print(std::string_view text);

}  // namespace lp::issuer
