// Texts of flags and what they stand for. A text that does not fit is answered with what it must
// be, as the end of a sentence.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "tools/issuer/store.h"

namespace lp::issuer {

template <typename T>
using Parsed = std::expected<T, std::string>;

/// "7d", "36h", "90m", "45s", or seconds alone; between `least` and `most` seconds.
[[nodiscard]] Parsed<std::uint64_t> parse_duration(std::string_view text, std::uint64_t least,
                                                   std::uint64_t most);
/// The shortest of these forms.
[[nodiscard]] std::string print_duration(std::uint64_t seconds);

/// "2026-11-21T23:45:00Z"
[[nodiscard]] std::string print_time(UnixSeconds time);

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
