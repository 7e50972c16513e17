#include "gateway/ecash/prepared_keys.h"

#include <utility>

namespace lp::gateway::ecash {

std::shared_ptr<const lp::ecash::VerificationKey> PreparedKeys::get(
    const lp::ecash::PublicKey& key) {
  const auto name = key.encode();
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = by_key_.find(name); known != by_key_.end()) {
      uses_.splice(uses_.begin(), uses_, known->second);
      return known->second->second;
    }
  }
  auto made = std::make_shared<const lp::ecash::VerificationKey>(key);
  const std::lock_guard lock(mutex_);
  if (const auto known = by_key_.find(name); known != by_key_.end()) return known->second->second;
  uses_.emplace_front(name, made);
  by_key_.emplace(name, uses_.begin());
  if (uses_.size() > capacity_) {
    by_key_.erase(uses_.back().first);
    uses_.pop_back();
  }
  return made;
}

std::size_t PreparedKeys::size() const {
  const std::lock_guard lock(mutex_);
  return uses_.size();
}

}  // namespace lp::gateway::ecash
