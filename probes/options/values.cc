#include "probes/options/values.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "probes/errors.h"

namespace lp::probe::options {
namespace {

struct Unit {
  std::string_view name;
  double seconds;
};
constexpr std::array units{Unit{"ms", 1e-3}, Unit{"us", 1e-6},  Unit{"s", 1.0},
                           Unit{"m", 60.0},  Unit{"h", 3600.0}, Unit{"", 1.0}};
constexpr double day = 86'400.0;

Parsed<std::chrono::nanoseconds> parse_time(std::string_view text, bool zero_allowed) {
  const auto bad = [&] {
    return std::unexpected(fmt::format("'{}' is not a time such as 250ms, 1.5s or 2m{}",
                                       printable(text, 40), zero_allowed ? "" : " above 0"));
  };
  double number = 0;
  const char* end = text.data() + text.size();
  // No exponent, sign, "inf" or "nan": only digits and a point begin a time.
  if (text.empty() || text.front() < '0' || text.front() > '9') return bad();
  const auto [stop, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc{}) return bad();
  const std::string_view suffix(stop, static_cast<std::size_t>(end - stop));
  for (const auto& unit : units) {
    if (unit.name != suffix) continue;
    const double seconds = number * unit.seconds;
    if (seconds > day) return std::unexpected(fmt::format("'{}' is more than a day", text));
    const auto time = std::chrono::nanoseconds(std::llround(seconds * 1e9));
    if (time.count() == 0 && !zero_allowed) return bad();
    return time;
  }
  return bad();
}

}  // namespace

Parsed<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  return parse_time(text, false);
}

Parsed<std::chrono::nanoseconds> parse_interval(std::string_view text) {
  return parse_time(text, true);
}

Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t min, std::uint64_t max) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stop != end || number < min || number > max) {
    return std::unexpected(
        fmt::format("'{}' is not a number from {} to {}", printable(text, 40), min, max));
  }
  return number;
}

Parsed<double> parse_rate(std::string_view text) {
  const auto number = text.ends_with("/s") ? text.substr(0, text.size() - 2) : text;
  const char* end = number.data() + number.size();
  double rate = 0;
  const bool begins = !number.empty() && number.front() >= '0' && number.front() <= '9';
  const auto [stop, error] = std::from_chars(number.data(), end, rate, std::chars_format::fixed);
  if (!begins || error != std::errc{} || stop != end || !(rate >= 1e-3) || rate > 1e6) {
    return std::unexpected(
        fmt::format("'{}' is not a number a second from 0.001 to 1000000", printable(text, 40)));
  }
  return rate;
}

Parsed<bool> parse_bool(std::string_view text) {
  for (const std::string_view word : {"true", "yes", "on", "1"}) {
    if (text == word) return true;
  }
  for (const std::string_view word : {"false", "no", "off", "0"}) {
    if (text == word) return false;
  }
  return std::unexpected(fmt::format("'{}' is neither true nor false", printable(text, 40)));
}

std::string format_duration(std::chrono::nanoseconds time) {
  const double seconds = to_seconds(time);
  const double milliseconds = seconds * 1e3;
  if (milliseconds < 9.995) return fmt::format("{:.2f} ms", milliseconds);
  if (milliseconds < 99.95) return fmt::format("{:.1f} ms", milliseconds);
  if (milliseconds < 999.5) return fmt::format("{:.0f} ms", milliseconds);
  if (seconds < 9.995) return fmt::format("{:.2f} s", seconds);
  return fmt::format("{:.1f} s", seconds);
}

}  // namespace lp::probe::options
