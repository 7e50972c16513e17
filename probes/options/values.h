// Values as flags, environment variables and the configuration file give them: text that is
// checked.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace lp::probe::options {

/// A value, or one sentence that says what is wrong with it and what would be right.
template <typename T>
using Parsed = std::expected<T, std::string>;

/// "1.5s", "250ms", "2m", "1h"; a bare number is seconds. More than 0 and at most a day.
[[nodiscard]] Parsed<std::chrono::nanoseconds> parse_duration(std::string_view text);
/// The same, and 0.
[[nodiscard]] Parsed<std::chrono::nanoseconds> parse_interval(std::string_view text);
/// A decimal number in [min, max].
[[nodiscard]] Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t min,
                                                 std::uint64_t max);
/// So many a second: "200", "0.5", "200/s". From 0.001 to 1,000,000.
[[nodiscard]] Parsed<double> parse_rate(std::string_view text);
/// true, false, yes, no, on, off, 1, 0.
[[nodiscard]] Parsed<bool> parse_bool(std::string_view text);

/// "1.9 ms", "12.3 s": three significant digits, for people.
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds time);
[[nodiscard]] constexpr double to_seconds(std::chrono::nanoseconds time) noexcept {
  return std::chrono::duration<double>(time).count();
}

}  // namespace lp::probe::options
