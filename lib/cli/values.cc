#include "lib/cli/values.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <ctime>
#include <system_error>
#include <utility>

namespace lp::cli {
namespace {

constexpr std::array<std::pair<char, std::uint64_t>, 4> units{
    {{'d', day}, {'h', 3'600}, {'m', 60}, {'s', 1}}};
constexpr UnixSeconds end_of_9999 = 253'402'300'799;

}  // namespace

std::optional<std::uint64_t> parse_digits(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_duration(std::string_view text, std::uint64_t unit,
                                            std::uint64_t most) noexcept {
  std::string_view digits = text;
  for (const auto& [letter, seconds] : units) {
    if (!text.ends_with(letter)) continue;
    unit = seconds;
    digits.remove_suffix(1);
  }
  const auto value = parse_digits(digits);
  if (!value || *value > most / unit) return std::nullopt;
  return *value * unit;
}

std::string print_duration(std::uint64_t seconds) {
  for (const auto& [letter, unit] : units) {
    if (seconds != 0 && seconds % unit == 0) return fmt::format("{}{}", seconds / unit, letter);
  }
  return "0s";
}

std::string print_time(UnixSeconds time) {
  const auto seconds = static_cast<std::time_t>(time);
  std::tm utc{};
  if (time > end_of_9999 || ::gmtime_r(&seconds, &utc) == nullptr) return fmt::format("{}", time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
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

}  // namespace lp::cli
