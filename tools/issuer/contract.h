// What the chain's contract would show: the verification keys. For one thread, which is another
// than the one that signs: however much there is to sign, gateways and clients get their keys.
#pragma once

#include <expected>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "tools/issuer/sign_request.h"
#include "tools/issuer/store.h"

namespace lp::issuer {

class Contract {
 public:
  /// The clock must outlive it.
  Contract(Store store, const WallClock& clock) : store_(std::move(store)), clock_(clock) {}

  /// {"data":{"keys":[…]}}: the answer to {"verification_keys":{}}. Makes the keys that are due,
  /// for itself and for those who sign. Kept until there are other epochs.
  [[nodiscard]] std::expected<std::string, Refused> verification_keys();

 private:
  Store store_;
  const WallClock& clock_;
  std::vector<EpochId> answered_epochs_;
  std::string answer_;
};

}  // namespace lp::issuer
