// Texts of flags and what they stand for. A text that does not fit is answered with what it must
// be, as the end of a sentence.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "lib/base/clock.h"

namespace lp::db_maint {

template <typename T>
using Parsed = std::expected<T, std::string>;

/// "30d", "36h", "90m", "45s"; a number alone is days. At most a hundred years. In seconds.
[[nodiscard]] Parsed<std::uint64_t> parse_age(std::string_view text);
/// "500ms", "5s", "2m"; a number alone is seconds. At most a day.
[[nodiscard]] Parsed<std::chrono::milliseconds> parse_wait(std::string_view text);
/// "2026-11-21T23:45:00Z", or Unix seconds.
[[nodiscard]] Parsed<UnixSeconds> parse_time(std::string_view text);
/// A whole number from `least` to `most`.
[[nodiscard]] Parsed<std::int64_t> parse_number(std::string_view text, std::int64_t least,
                                                std::int64_t most);

/// The shortest of the forms of `parse_age`: "30d".
[[nodiscard]] std::string print_age(std::uint64_t seconds);
/// "2026-11-21T23:45:00Z"; the number where the calendar has no such day.
[[nodiscard]] std::string print_time(UnixSeconds time);
/// "1,234,567"
[[nodiscard]] std::string print_number(std::int64_t number);
/// Printable ASCII stays, every other byte becomes \xNN: the database's texts reach terminals.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace lp::db_maint
