#include "tools/issuer/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/crypto/random.h"

namespace lp::issuer {

Parsed<std::uint64_t> parse_duration(std::string_view text, std::uint64_t least,
                                     std::uint64_t most) {
  const auto value = cli::parse_duration(text, 1, most);
  if (!value || *value < least) {
    return std::unexpected(fmt::format("must be from {} to {}, written as 7d, 36h, 90m or 45s",
                                       cli::print_duration(least), cli::print_duration(most)));
  }
  return *value;
}

Parsed<std::int64_t> parse_allowance(std::string_view text) {
  const auto value = cli::parse_digits(text);
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
