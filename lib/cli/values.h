// Texts of flags and what they stand for, and the other way round, as every program's command line
// has them.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/clock.h"

namespace lp::cli {

/// A text that does not fit is answered with what it must be, as the end of a sentence.
template <typename T>
using Parsed = std::expected<T, std::string>;

/// Decimal digits and nothing else, below 2^64.
[[nodiscard]] std::optional<std::uint64_t> parse_digits(std::string_view text) noexcept;

inline constexpr std::uint64_t day = 86'400;
/// "7d", "36h", "90m" or "45s", or a number alone, of units of `unit` seconds; at most `most`
/// seconds. In seconds.
[[nodiscard]] std::optional<std::uint64_t> parse_duration(std::string_view text, std::uint64_t unit,
                                                          std::uint64_t most) noexcept;
/// The shortest of these forms: "7d", "25h", "0s".
[[nodiscard]] std::string print_duration(std::uint64_t seconds);

/// "2026-11-21T23:45:00Z"; the number where the calendar of four digits has no such day.
[[nodiscard]] std::string print_time(UnixSeconds time);

/// Printable ASCII stays, every other byte becomes \xNN: what others wrote reaches terminals.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace lp::cli
