// The address of the e-cash contract on its chain (docs/ecash.md, "Chain").
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace lp::ecash {

inline constexpr std::size_t min_contract_address = 3;
inline constexpr std::size_t max_contract_address = 128;
/// What `is_contract_address` asks for, for the end of a sentence.
inline constexpr std::string_view contract_address_rule = "3 to 128 lower-case letters and digits";

/// Addresses are in bech32, which chains write in lower case alone. The checksum is the chain's to
/// check; here it matters that the address is one segment of a URL's path, as it stands.
[[nodiscard]] constexpr bool is_contract_address(std::string_view text) noexcept {
  return text.size() >= min_contract_address && text.size() <= max_contract_address &&
         std::ranges::all_of(
             text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

}  // namespace lp::ecash
