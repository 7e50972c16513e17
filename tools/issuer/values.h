// Texts of flags and what they stand for, beyond what every program has (lib/cli/values.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lib/cli/values.h"
#include "tools/issuer/store.h"

namespace lp::issuer {

using cli::Parsed;
using cli::print_duration;
using cli::print_time;

/// "7d", "36h", "90m", "45s", or seconds alone; between `least` and `most` seconds.
[[nodiscard]] Parsed<std::uint64_t> parse_duration(std::string_view text, std::uint64_t least,
                                                   std::uint64_t most);
/// The most tickets that a token may be allowed.
inline constexpr std::int64_t max_allowance = 1'000'000'000;
[[nodiscard]] Parsed<std::int64_t> parse_allowance(std::string_view text);
/// "V1WireguardEntry=100", each type once.
[[nodiscard]] Parsed<std::map<TicketType, std::int64_t>> parse_type_allowances(
    std::span<const std::string> texts);

/// A new contract address, in the form of a chain's. No chain has it.
[[nodiscard]] std::string generate_contract_address();

/// Printable UTF-8-safe text: no control characters, at most 64 bytes.
[[nodiscard]] bool is_label(std::string_view text) noexcept;

}  // namespace lp::issuer
