// What a gateway knows of the authority's keys, and what an answer of the chain changes in it
// (docs/ecash.md, "Chain"). Values in, values out.
#pragma once

#include <compare>
#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/messages/registration.h"
#include "lib/net/verification_keys.h"

namespace lp::gateway::ecash {

using Key = net::ChainKey;

/// What a ticket names its key by.
struct KeyId {
  messages::TicketType type = messages::TicketType::v1_wireguard_entry;
  UnixSeconds expiry = 0;
  friend auto operator<=>(const KeyId&, const KeyId&) = default;
};
[[nodiscard]] inline KeyId id_of(const Key& key) noexcept {
  return {.type = key.type, .expiry = key.expiry};
}
/// "V1WireguardEntry with expiry 1763424000".
[[nodiscard]] std::string to_string(const KeyId& id);

/// A public key is at most once in `trusted` and `revoked` together, and so is a type with expiry.
struct KnownKeys {
  /// Tickets are verified with these. Sorted by KeyId.
  std::vector<Key> trusted;
  /// Were trusted, and are absent from the chain. Nothing is verified with them; they are kept
  /// until they expire, so that another key cannot come in their place by way of absence.
  std::vector<Key> revoked;
  /// In the chain's last answer, and against what is known: another public key for a type and
  /// expiry, or a known public key for another one. Refused until somebody accepts them.
  std::vector<Key> offered;
  UnixSeconds confirmed_at = 0;  ///< when the chain last gave keys; 0: never
  friend bool operator==(const KnownKeys&, const KnownKeys&) = default;
};

/// Revoked keys kept at most; those that expire first go first.
inline constexpr std::size_t max_revoked_keys = net::max_verification_keys;

/// What is known after `answer`, which has no clashes in itself. An empty answer changes nothing.
[[nodiscard]] KnownKeys apply(const KnownKeys& known, const std::vector<Key>& answer,
                              UnixSeconds now);

/// The offered key whose base64 begins with `prefix` is trusted from now on, and what it
/// contradicts is forgotten. Fails with a sentence where no offered key or more than one begins so,
/// or where the prefix has fewer than `min_prefix` characters: an operator compares it with what
/// the authority announced, and nobody should be able to make a key that fits.
inline constexpr std::size_t min_prefix = 16;
struct Accepted {
  KnownKeys known;
  Key key;
};
[[nodiscard]] std::expected<Accepted, std::string> accept(const KnownKeys& known,
                                                          std::string_view prefix);

/// The trusted key with that id; none: null.
[[nodiscard]] const Key* find(const KnownKeys& known, const KeyId& id) noexcept;

}  // namespace lp::gateway::ecash
