#include "gateway/wireguard/leases.h"

#include <utility>
#include <vector>

#include "lib/crypto/random.h"
#include "lib/crypto/siphash.h"

namespace lp::gateway::wireguard {
namespace {

// Keys come from the network: an unkeyed hash would let a client pick colliding ones.
const std::uint64_t hash_seed = [] {
  std::uint64_t seed = 0;
  crypto::random_bytes({reinterpret_cast<std::uint8_t*>(&seed), sizeof seed});
  return seed;
}();

// Grants run in a loop instead of one inside the other: a queue of thousands that all answer at
// once would otherwise be that many stack frames.
thread_local std::vector<std::pair<Leases::Granted, Lease>>* running_grants = nullptr;

void run_grant(Leases::Granted granted, Lease lease) {
  if (running_grants != nullptr) {
    running_grants->emplace_back(std::move(granted), std::move(lease));
    return;
  }
  std::vector<std::pair<Leases::Granted, Lease>> queue;
  running_grants = &queue;
  granted(std::move(lease));
  for (std::size_t i = 0; i < queue.size(); ++i) {
    auto [next, next_lease] = std::move(queue[i]);
    next(std::move(next_lease));
  }
  running_grants = nullptr;
}

}  // namespace

Lease::Lease(Lease&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)), key_(other.key_) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    release();
    owner_ = std::exchange(other.owner_, nullptr);
    key_ = other.key_;
  }
  return *this;
}

void Lease::release() noexcept {
  if (auto* owner = std::exchange(owner_, nullptr)) owner->release(key_);
}

void Leases::acquire(const LeaseKey& key, Granted granted) {
  {
    auto& shard = this->shard(key);
    const std::lock_guard lock(shard.mutex);
    const auto [place, free] = shard.held.try_emplace(key);
    if (!free) {
      place->second.push_back(std::move(granted));
      return;
    }
  }
  granted(Lease(this, key));
}

std::optional<Lease> Leases::try_acquire(const LeaseKey& key) {
  auto& shard = this->shard(key);
  const std::lock_guard lock(shard.mutex);
  if (!shard.held.try_emplace(key).second) return std::nullopt;
  return Lease(this, key);
}

void Leases::release(const LeaseKey& key) noexcept {
  Granted next;
  {
    auto& shard = this->shard(key);
    const std::lock_guard lock(shard.mutex);
    const auto place = shard.held.find(key);
    if (place->second.empty()) {
      shard.held.erase(place);
      return;
    }
    next = std::move(place->second.front());
    place->second.pop_front();
  }
  run_grant(std::move(next), Lease(this, key));
}

std::size_t Leases::Hash::operator()(const LeaseKey& key) const noexcept {
  return static_cast<std::size_t>(
      crypto::siphash13(hash_seed, static_cast<std::uint64_t>(key.kind), key.key));
}

Leases::Shard& Leases::shard(const LeaseKey& key) noexcept {
  return shards_[Hash{}(key) % shards_.size()];
}

}  // namespace lp::gateway::wireguard
