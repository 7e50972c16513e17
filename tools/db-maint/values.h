// Texts of flags and what they stand for, beyond what every program has (lib/cli/values.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/cli/values.h"

namespace lp::db_maint {

using cli::Parsed;
using cli::print_time;
using cli::printable;

/// "30d", "36h", "90m", "45s"; a number alone is days. At most a hundred years. In seconds.
[[nodiscard]] Parsed<std::uint64_t> parse_age(std::string_view text);
/// "500ms", "5s", "2m"; a number alone is seconds. At most a day.
[[nodiscard]] Parsed<std::chrono::milliseconds> parse_wait(std::string_view text);
/// "2026-11-21T23:45:00Z", or Unix seconds.
[[nodiscard]] Parsed<UnixSeconds> parse_time(std::string_view text);
/// A whole number from `least` to `most`.
[[nodiscard]] Parsed<std::int64_t> parse_number(std::string_view text, std::int64_t least,
                                                std::int64_t most);

/// "1,234,567"
[[nodiscard]] std::string print_number(std::int64_t number);

}  // namespace lp::db_maint
