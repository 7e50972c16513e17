// A chain and an issuer for tests of wallets, on one port of 127.0.0.1: the smart query for the
// verification keys and POST /v1/sign, with real keys, and misbehaving on request.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lib/ecash/issuer_key.h"
#include "lib/messages/registration.h"

namespace lp::test {

enum class IssuerFault : std::uint8_t {
  none,
  // what is signed is recorded as such, the answer is not what it should be
  lost_answer,       ///< the connection ends without an answer
  other_key,         ///< signed with a key that is not the chain's
  second_other_key,  ///< the same for every second signature of an answer
  one_too_few,
  one_too_many,
  not_in_subgroup,
  not_on_curve,
  infinity,
  no_point,   ///< 47 bytes
  no_base64,  ///< "!"
  no_list,    ///< {"signatures":{}}
  junk,       ///< no JSON
  deep,       ///< JSON of a thousand brackets
  huge,       ///< a megabyte
  silence,
  no_http,
  // refused before anything is signed
  bad_request,
  unauthorised,
  conflict,
  too_many,
  server_error,
  busy_once,  ///< 503 with Retry-After to every other request, the first among them
  busy,       ///< the same to all, with an hour
  redirect,
};

enum class ChainFault : std::uint8_t {
  none,
  no_keys,
  expired_keys,
  other_types,
  bad_key,  ///< a public key that is no point
  twice,    ///< the keys, twice
  junk,
  huge,
  silence,
  server_error,
  redirect,
};

class ScriptedIssuer {
 public:
  static constexpr const char* token = "lp-test-token";
  static constexpr const char* contract = "n1test";

  /// One key for each ticket type, epoch 7, with this expiry. Throws where it cannot listen.
  explicit ScriptedIssuer(UnixSeconds expiry);
  ~ScriptedIssuer();
  ScriptedIssuer(const ScriptedIssuer&) = delete;
  ScriptedIssuer& operator=(const ScriptedIssuer&) = delete;

  void set(IssuerFault fault);
  void set(ChainFault fault);
  /// One more key of epoch 8 for `type`.
  void add_key(messages::TicketType type, UnixSeconds expiry);

  /// From now on nothing is signed for it; the chain still has its keys.
  void close_epoch(std::uint64_t epoch_id);

  [[nodiscard]] std::string url() const;  ///< http://127.0.0.1:PORT
  [[nodiscard]] ecash::PublicKey public_key(messages::TicketType type) const;

  /// The points that an allowance was debited for: each once, however often it came.
  [[nodiscard]] std::set<crypto::G1Encoding> debited() const;
  /// Requests to sign so far.
  [[nodiscard]] std::size_t requests() const;
  /// All bytes that ever came.
  [[nodiscard]] std::string seen() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// An encoding that G1Point::decode refuses with this error, which is point_not_on_curve or
/// point_not_in_subgroup.
[[nodiscard]] crypto::G1Encoding bad_point(Error error);

}  // namespace lp::test
