#include "tools/db-maint/values.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <ctime>
#include <optional>
#include <utility>

namespace lp::db_maint {
namespace {

constexpr std::uint64_t day = 86'400;
constexpr std::uint64_t longest_age = 36'525 * day;
constexpr std::array<std::pair<char, std::uint64_t>, 4> age_units{
    {{'d', day}, {'h', 3'600}, {'m', 60}, {'s', 1}}};
constexpr UnixSeconds end_of_9999 = 253'402'300'799;

std::optional<std::uint64_t> parse_digits(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Parsed<std::uint64_t> parse_age(std::string_view text) {
  std::string_view digits = text;
  std::uint64_t unit = day;
  for (const auto& [letter, seconds] : age_units) {
    if (!text.ends_with(letter)) continue;
    unit = seconds;
    digits.remove_suffix(1);
  }
  const auto value = parse_digits(digits);
  if (!value || *value > longest_age / unit) {
    return std::unexpected(
        "must be at most a hundred years, written as 30d, 36h, 90m or 45s; a number alone is days");
  }
  return *value * unit;
}

Parsed<std::chrono::milliseconds> parse_wait(std::string_view text) {
  std::string_view digits = text;
  std::uint64_t unit = 1'000;
  if (digits.ends_with("ms")) {
    digits.remove_suffix(2);
    unit = 1;
  } else if (digits.ends_with('s')) {
    digits.remove_suffix(1);
  } else if (digits.ends_with('m')) {
    digits.remove_suffix(1);
    unit = 60'000;
  }
  const auto value = parse_digits(digits);
  if (!value || *value > day * 1'000 / unit) {
    return std::unexpected("must be at most a day, written as 500ms, 5s or 2m");
  }
  return std::chrono::milliseconds(*value * unit);
}

Parsed<UnixSeconds> parse_time(std::string_view text) {
  if (const auto seconds = parse_digits(text); seconds && *seconds <= end_of_9999) return *seconds;
  std::tm utc{};
  const std::string terminated(text);
  const char* const end = ::strptime(terminated.c_str(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  if (end != nullptr && *end == '\0') {
    const auto time = ::timegm(&utc);
    if (time >= 0) return static_cast<UnixSeconds>(time);
  }
  return std::unexpected("must be a time such as 2026-11-21T23:45:00Z, or Unix seconds");
}

Parsed<std::int64_t> parse_number(std::string_view text, std::int64_t least, std::int64_t most) {
  const auto value = parse_digits(text);
  if (!value || std::cmp_less(*value, least) || std::cmp_greater(*value, most)) {
    return std::unexpected(fmt::format("must be a whole number from {} to {}", least, most));
  }
  return static_cast<std::int64_t>(*value);
}

std::string print_age(std::uint64_t seconds) {
  for (const auto& [letter, unit] : age_units) {
    if (seconds != 0 && seconds % unit == 0) return fmt::format("{}{}", seconds / unit, letter);
  }
  return "0s";
}

std::string print_time(UnixSeconds time) {
  if (time > end_of_9999) return fmt::format("{}", time);
  return fmt::format("{:%FT%TZ}", fmt::gmtime(static_cast<std::time_t>(time)));
}

std::string print_number(std::int64_t number) {
  std::string digits = fmt::format("{}", number);
  const std::size_t sign = number < 0 ? 1 : 0;
  for (std::size_t at = digits.size(); at > sign + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string printable(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      shown += c;
    } else {
      shown += fmt::format("\\x{:02x}", byte);
    }
  }
  return shown;
}

}  // namespace lp::db_maint
