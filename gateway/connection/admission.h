// How many connections there may be, in all and from one address.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <mutex>
#include <unordered_map>

#include "gateway/connection/address.h"
#include "gateway/metrics/metrics.h"

namespace lp::gateway::connection {

class Admission;

/// A connection's place among those that may be; given back when it is destroyed. Move-only.
class Slot {
 public:
  Slot(Slot&& other) noexcept;
  Slot& operator=(Slot&&) = delete;
  ~Slot();

 private:
  friend class Admission;
  Slot(Admission& admission, const AddressBlock& block) noexcept;

  Admission* admission_;
  AddressBlock block_;
};

/// Counts connections. All functions may be called from any thread. Outlives its slots.
class Admission {
 public:
  struct Limits {
    std::uint32_t connections;
    std::uint32_t per_address;  ///< 0: none
  };

  Admission();
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  /// A slot for a connection from `peer`, or which limit is reached.
  [[nodiscard]] std::expected<Slot, metrics::RejectReason> admit(const messages::IpAddress& peer,
                                                                 const Limits& limits);
  [[nodiscard]] std::size_t active() const noexcept { return active_; }
  /// Address blocks that have a connection.
  [[nodiscard]] std::size_t blocks() const;

 private:
  friend class Slot;
  void release(const AddressBlock& block) noexcept;

  /// Keyed: a client chooses its /64s, and should not choose the buckets they fall into.
  struct Hash {
    std::uint64_t k0 = 0;
    std::uint64_t k1 = 0;
    [[nodiscard]] std::size_t operator()(const AddressBlock& block) const noexcept;
  };

  mutable std::mutex mutex_;
  std::atomic<std::size_t> active_{0};  // written under the mutex
  std::unordered_map<AddressBlock, std::uint32_t, Hash> by_block_;
};

}  // namespace lp::gateway::connection
