// The authority: blind signing against allowances. For one thread, which blocks on the database and
// on curve arithmetic.
#pragma once

#include <cstddef>
#include <expected>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/ecash/issuer_key.h"
#include "tools/issuer/counters.h"
#include "tools/issuer/sign_request.h"
#include "tools/issuer/store.h"

namespace lp::issuer {

class Issuer {
 public:
  /// Clock and counters must outlive it.
  Issuer(Store store, const WallClock& clock, Counters& counters)
      : store_(std::move(store)), clock_(clock), counters_(counters) {}

  /// Signs the points of a request body for the bearer of `token`. Charged and recorded before
  /// anything is signed; what was signed for this token before is signed again without a charge.
  [[nodiscard]] std::expected<std::vector<crypto::G1Encoding>, Refused> sign(std::string_view token,
                                                                             std::string_view body);

  /// Makes the keys that are due and forgets those that are over. The other calls do so too.
  [[nodiscard]] std::expected<void, Refused> rotate();

 private:
  [[nodiscard]] std::expected<TokenId, Refused> authenticate(std::string_view token);
  [[nodiscard]] std::expected<const ecash::IssuerKey*, Refused> key(EpochId epoch, TicketType type);

  Store store_;
  const WallClock& clock_;
  Counters& counters_;
  /// Keys in use; those of an epoch never change.
  std::map<std::pair<EpochId, TicketType>, ecash::IssuerKey> keys_;
};

}  // namespace lp::issuer
