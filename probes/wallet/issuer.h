// The two servers of a withdrawal: the chain, which has the verification keys, and the issuer,
// which signs (docs/ecash.md, "Withdrawal" and "Chain"). Neither is trusted with more than that.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "lib/net/fetch.h"
#include "lib/net/verification_keys.h"
#include "probes/errors.h"

namespace lp::probe::wallet {

/// Where tickets come from.
struct Source {
  net::Url chain;
  std::string contract;
  net::Url issuer;
  std::string token_file;
  std::chrono::milliseconds limit{};  ///< of one question to either
  int cancel_fd = -1;
};

/// As many points are sent in one request at most.
inline constexpr std::size_t max_batch = 64;

/// The chain's keys. Fails with chain_unreachable, chain_timeout, chain_invalid, interrupted.
[[nodiscard]] Outcome<std::vector<net::ChainKey>> ask_chain(const Source& source);

/// Of the keys for `type` that have not expired the one that does so last: its tickets are good for
/// longest. Fails with no_verification_key.
[[nodiscard]] Outcome<net::ChainKey> choose_key(const std::vector<net::ChainKey>& keys,
                                                messages::TicketType type, UnixSeconds now);

/// The bearer token in a file: one line, white space around it left out. Fails with
/// issuer_token_unreadable, also where the file is empty or has more than one line;
/// issuer_token_exposed where others can read or write it.
[[nodiscard]] Outcome<std::string> read_token(const std::string& path);

/// One request to the issuer: what it gave for each blinded point, in their order, not looked at
/// further. An issuer that is busy and says when to come again (503 with Retry-After) is asked
/// again, as long as `source.limit` allows. Fails with issuer_unreachable, issuer_timeout,
/// issuer_invalid (also another number of signatures than points), issuer_refused,
/// issuer_token_rejected, issuer_allowance, interrupted, and as read_token does.
[[nodiscard]] Outcome<std::vector<Bytes>> ask_issuer(const Source& source, std::uint64_t epoch_id,
                                                     messages::TicketType type,
                                                     std::span<const crypto::G1Encoding> blinded);

}  // namespace lp::probe::wallet
