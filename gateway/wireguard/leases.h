// Leases on keys: whoever holds one may change that key's rows and its WireGuard peer, and nobody
// else does meanwhile. Registrations hold one from the database to the answer; the comparison with
// the database leaves leased keys alone (docs/gateway.md, "Registration" and "WireGuard").
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "lib/base/bytes.h"

namespace lp::gateway::wireguard {

/// What a lease is on. The three kinds are key spaces of their own.
struct LeaseKey {
  enum class Kind : std::uint8_t { wireguard_key, mixnet_client, nullifier };
  Kind kind = Kind::wireguard_key;
  ByteArray<32> key{};
  friend bool operator==(const LeaseKey&, const LeaseKey&) = default;
};

class Leases;

/// A held lease; giving it up wakes the next in line. Move-only. Must not outlive its Leases.
class Lease {
 public:
  Lease() noexcept = default;
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() { release(); }
  void release() noexcept;
  [[nodiscard]] bool held() const noexcept { return owner_ != nullptr; }

 private:
  friend class Leases;
  Lease(Leases* owner, const LeaseKey& key) noexcept : owner_(owner), key_(key) {}
  Leases* owner_ = nullptr;
  LeaseKey key_;
};

/// All functions may be called from any thread.
class Leases {
 public:
  using Granted = std::move_only_function<void(Lease)>;

  /// Calls `granted` once the lease is held: before returning where it is free, else on the thread
  /// that gives it up, first come first served.
  ///
  /// No deadlock: whoever needs two takes the nullifier's first and the owner's second.
  void acquire(const LeaseKey& key, Granted granted);
  /// The lease, or nothing where it is held.
  [[nodiscard]] std::optional<Lease> try_acquire(const LeaseKey& key);

 private:
  friend class Lease;
  void release(const LeaseKey& key) noexcept;

  struct Hash {
    std::size_t operator()(const LeaseKey& key) const noexcept;
  };
  // A key that is in the map is held; the queue has those who wait for it.
  struct Shard {
    std::mutex mutex;
    std::unordered_map<LeaseKey, std::deque<Granted>, Hash> held;
  };
  Shard& shard(const LeaseKey& key) noexcept;
  std::array<Shard, 16> shards_;
};

}  // namespace lp::gateway::wireguard
