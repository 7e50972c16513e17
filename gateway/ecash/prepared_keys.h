// Verification keys with their pairing lines computed, for the keys in use.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <mutex>

#include "lib/ecash/verification_key.h"

namespace lp::gateway::ecash {

/// Keeps the most recently used, each of about 20 kB. Any thread.
class PreparedKeys {
 public:
  explicit PreparedKeys(std::size_t capacity = 128) : capacity_(capacity) {}

  /// Makes it where it is not there, which takes less time than one verification.
  [[nodiscard]] std::shared_ptr<const lp::ecash::VerificationKey> get(
      const lp::ecash::PublicKey& key);
  [[nodiscard]] std::size_t size() const;

 private:
  using Prepared = std::shared_ptr<const lp::ecash::VerificationKey>;
  using Uses = std::list<std::pair<crypto::G2Encoding, Prepared>>;  // latest first

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  Uses uses_;
  std::map<crypto::G2Encoding, Uses::iterator> by_key_;
};

}  // namespace lp::gateway::ecash
