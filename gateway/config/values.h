// Texts of settings and what they stand for. A text that does not fit is answered with what it must
// be, as the end of a sentence: "must be a whole number from 1 to 10".
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace lp::gateway::config {

template <typename T>
using Parsed = std::expected<T, std::string>;

/// Decimal digits only: no sign, no space, no exponent.
[[nodiscard]] Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t least,
                                                 std::uint64_t most);

/// true, yes, on, 1, false, no, off, 0.
[[nodiscard]] Parsed<bool> parse_boolean(std::string_view text);

/// Seconds, with up to three decimals ("0.25"): from 0.001 to 3600.
[[nodiscard]] Parsed<std::chrono::milliseconds> parse_seconds(std::string_view text);
[[nodiscard]] std::string print_seconds(std::chrono::milliseconds value);

/// An IPv4 or IPv6 address; no name, no port, no brackets.
[[nodiscard]] bool is_ip_address(std::string_view text);
/// 127.0.0.0/8, ::1, and 127.0.0.0/8 mapped into IPv6.
[[nodiscard]] bool is_loopback(std::string_view address);

enum class Family : std::uint8_t { ipv4, ipv6, either };
struct Network {
  Family family = Family::ipv4;
  unsigned prefix = 0;
};
/// ADDRESS/PREFIX whose host bits are zero; where `family` is `either` an address alone is a
/// network of one.
[[nodiscard]] Parsed<Network> parse_network(std::string_view text, Family family);

/// A connection URI of libpq with its password redacted, wherever the URI may have one; what is no
/// URI as it is. Where an unescaped character makes the password's end doubtful, more goes.
[[nodiscard]] std::string redacted_url(std::string_view url);

/// The number of single-character changes that make `b` of `a`.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace lp::gateway::config
