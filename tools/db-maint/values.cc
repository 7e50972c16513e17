#include "tools/db-maint/values.h"

#include <fmt/format.h>

#include <ctime>
#include <utility>

namespace lp::db_maint {
namespace {

constexpr std::uint64_t longest_age = 36'525 * cli::day;
constexpr UnixSeconds end_of_9999 = 253'402'300'799;

}  // namespace

Parsed<std::uint64_t> parse_age(std::string_view text) {
  const auto age = cli::parse_duration(text, cli::day, longest_age);
  if (!age) {
    return std::unexpected(
        "must be at most a hundred years, written as 30d, 36h, 90m or 45s; a number alone is days");
  }
  return *age;
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
  const auto value = cli::parse_digits(digits);
  if (!value || *value > cli::day * 1'000 / unit) {
    return std::unexpected("must be at most a day, written as 500ms, 5s or 2m");
  }
  return std::chrono::milliseconds(*value * unit);
}

Parsed<UnixSeconds> parse_time(std::string_view text) {
  if (const auto seconds = cli::parse_digits(text); seconds && *seconds <= end_of_9999)
    return *seconds;
  std::tm utc{};
  const std::string terminated(text);
  const char* const end = ::strptime(terminated.c_str(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  if (end != nullptr && *end == '\0') {
    // timegm makes 2 March of 30 February.
    const std::tm written = utc;
    const auto time = ::timegm(&utc);
    const bool is_day = utc.tm_mday == written.tm_mday && utc.tm_sec == written.tm_sec;
    if (time >= 0 && is_day) return static_cast<UnixSeconds>(time);
  }
  return std::unexpected("must be a time such as 2026-11-21T23:45:00Z, or Unix seconds");
}

Parsed<std::int64_t> parse_number(std::string_view text, std::int64_t least, std::int64_t most) {
  const auto value = cli::parse_digits(text);
  if (!value || std::cmp_less(*value, least) || std::cmp_greater(*value, most)) {
    return std::unexpected(fmt::format("must be a whole number from {} to {}", least, most));
  }
  return static_cast<std::int64_t>(*value);
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

}  // namespace lp::db_maint
