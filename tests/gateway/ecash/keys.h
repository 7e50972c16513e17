// Authorities with many keys, and chains that a test answers for.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "gateway/ecash/known_keys.h"
#include "lib/base/encoding.h"
#include "lib/ecash/issuer_key.h"
#include "lib/ecash/withdrawal.h"

namespace lp::gateway::ecash::test {

using messages::TicketType;

/// What the authority has for one type and expiry.
struct Signer {
  lp::ecash::IssuerKey issuer = lp::ecash::IssuerKey::generate();
  TicketType type = TicketType::v1_wireguard_entry;
  UnixSeconds expiry = 0;
  std::uint64_t epoch_id = 1;

  [[nodiscard]] Key key() const {
    return {
        .epoch_id = epoch_id, .type = type, .expiry = expiry, .public_key = issuer.public_key()};
  }
};

inline Key new_key(TicketType type, UnixSeconds expiry, std::uint64_t epoch_id = 1) {
  return {.epoch_id = epoch_id,
          .type = type,
          .expiry = expiry,
          .public_key = lp::ecash::IssuerKey::generate().public_key()};
}

inline Key renamed(Key key, TicketType type, UnixSeconds expiry) {
  key.type = type;
  key.expiry = expiry;
  return key;
}

inline std::string base64_of(const Key& key) {
  return to_base64(key.public_key.encode());
}

/// The body of a chain's answer.
inline std::string answer_of(const std::vector<Key>& keys) {
  std::string rows;
  for (const auto& key : keys) {
    rows += fmt::format(R"({}{{"epoch_id":{},"ticket_type":"{}","expiry":{},"public_key":"{}"}})",
                        rows.empty() ? "" : ",", key.epoch_id, messages::name(key.type), key.expiry,
                        base64_of(key));
  }
  return fmt::format(R"({{"data":{{"keys":[{}]}}}})", rows);
}

/// A ticket, withdrawn blindly as a client does it. Throws where the protocol fails.
inline messages::Credential withdraw(const Signer& signer, const crypto::Identity& gateway) {
  const auto withdrawal = lp::ecash::Withdrawal::start(gateway, signer.type, signer.expiry);
  const auto blinded = crypto::G1Point::decode(withdrawal.blinded()).value();
  const auto signature = signer.issuer.sign(blinded).encode();
  return withdrawal.finish(signature, lp::ecash::VerificationKey(signer.issuer.public_key()))
      .value();
}

}  // namespace lp::gateway::ecash::test
