#include "tools/issuer/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <utility>

#include "lib/crypto/random.h"

namespace lp::issuer {
namespace {

constexpr std::array<std::pair<char, std::uint64_t>, 4> units{
    {{'d', 86'400}, {'h', 3'600}, {'m', 60}, {'s', 1}}};

/// Decimal digits only.
std::optional<std::uint64_t> parse_digits(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Parsed<std::uint64_t> parse_duration(std::string_view text, std::uint64_t least,
                                     std::uint64_t most) {
  std::string_view digits = text;
  std::uint64_t factor = 1;
  for (const auto& [letter, seconds] : units) {
    if (!text.ends_with(letter)) continue;
    factor = seconds;
    digits.remove_suffix(1);
  }
  const auto value = parse_digits(digits);
  if (!value || *value > most || *value * factor < least || *value * factor > most) {
    return std::unexpected(fmt::format("must be from {} to {}, written as 7d, 36h, 90m or 45s",
                                       print_duration(least), print_duration(most)));
  }
  return *value * factor;
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
  if (::gmtime_r(&seconds, &utc) == nullptr) return fmt::format("{}", time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

Parsed<std::int64_t> parse_allowance(std::string_view text) {
  const auto value = parse_digits(text);
  if (!value || *value > static_cast<std::uint64_t>(max_allowance)) {
    return std::unexpected(fmt::format("must be a whole number up to {}", max_allowance));
  }
  return static_cast<std::int64_t>(*value);
}

Parsed<std::map<TicketType, std::int64_t>> parse_type_allowances(
    std::span<const std::string> texts) {
  std::map<TicketType, std::int64_t> allowances;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    const auto type = messages::ticket_type_from_name(std::string_view(text).substr(0, equals));
    if (equals == std::string::npos || !type) {
      return std::unexpected(fmt::format(
          "\"{}\" must be TYPE=NUMBER with one of the types V1MixnetEntry, V1MixnetExit, "
          "V1WireguardEntry, V1WireguardExit",
          text));
    }
    const auto number = parse_allowance(std::string_view(text).substr(equals + 1));
    if (!number) return std::unexpected(fmt::format("\"{}\": {}", text, number.error()));
    if (!allowances.emplace(*type, *number).second) {
      return std::unexpected(fmt::format("names {} twice", messages::name(*type)));
    }
  }
  return allowances;
}

std::string generate_contract_address() {
  constexpr std::string_view alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
  ByteArray<38> random{};
  crypto::random_bytes(random);
  std::string address = "lp1";
  for (const std::uint8_t byte : random)
    address += alphabet[byte % alphabet.size()];
  return address;
}

bool is_label(std::string_view text) noexcept {
  return text.size() <= 64 && std::ranges::none_of(text, [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

}  // namespace lp::issuer
