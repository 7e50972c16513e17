// The verification keys that a chain's e-cash contract has (docs/ecash.md, "Chain"). Target
// lp_chain.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/ecash/ticket.h"
#include "lib/messages/registration.h"
#include "lib/net/fetch.h"

namespace lp::net {

inline constexpr std::size_t max_verification_keys = 4'096;

/// The key of one epoch and ticket type.
struct ChainKey {
  std::uint64_t epoch_id = 0;
  messages::TicketType type = messages::TicketType::v1_wireguard_entry;
  UnixSeconds expiry = 0;  ///< between 1 and 2^63 - 1
  ecash::PublicKey public_key;
  friend bool operator==(const ChainKey&, const ChainKey&) = default;
};

/// Reads the body of an answer to the smart query {"verification_keys":{}}. Takes all or nothing:
/// refuses what is malformed, a point that fails its checks, more than `max_verification_keys`, two
/// keys for one type and expiry, and one public key under two of them. Members that it does not
/// know are passed over. May be empty. The error names what was wrong and where.
[[nodiscard]] std::expected<std::vector<ChainKey>, std::string> parse_verification_keys(
    std::string_view body);

struct ChainError {
  enum class Kind : std::uint8_t {
    unreachable,  ///< resolve, refused, closed
    timeout,
    tls,
    http_status,  ///< anything but 200; redirects are not followed
    too_large,
    malformed,  ///< no HTTP, or what parse_verification_keys refuses
    cancelled
  };
  Kind kind = Kind::unreachable;
  std::string detail;  ///< names host and port; printable
};

/// The URL of the smart query at a chain's REST endpoint `base`.
[[nodiscard]] Url verification_keys_url(const Url& base, std::string_view contract);

/// Asks the chain once. Blocks as `get` does.
[[nodiscard]] std::expected<std::vector<ChainKey>, ChainError> fetch_verification_keys(
    const Url& base, std::string_view contract, const FetchOptions& options = {});

}  // namespace lp::net
