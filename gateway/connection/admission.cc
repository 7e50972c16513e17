#include "gateway/connection/admission.h"

#include <utility>

#include "lib/crypto/random.h"
#include "lib/crypto/siphash.h"

namespace lp::gateway::connection {

Slot::Slot(Admission& admission, const AddressBlock& block) noexcept
    : admission_(&admission), block_(block) {}

Slot::Slot(Slot&& other) noexcept
    : admission_(std::exchange(other.admission_, nullptr)), block_(other.block_) {}

Slot::~Slot() {
  if (admission_ != nullptr) admission_->release(block_);
}

Admission::Admission()
    : by_block_(0, [] {
        ByteArray<16> key;
        crypto::random_bytes(key);
        return Hash{load_le<std::uint64_t>(key.data()), load_le<std::uint64_t>(key.data() + 8)};
      }()) {}

std::size_t Admission::Hash::operator()(const AddressBlock& block) const noexcept {
  ByteArray<9> bytes;
  store_le(bytes.data(), block.prefix);
  bytes[8] = block.ipv6 ? 1 : 0;
  return crypto::siphash13(k0, k1, bytes);
}

std::expected<Slot, metrics::RejectReason> Admission::admit(const messages::IpAddress& peer,
                                                            const Limits& limits) {
  const AddressBlock block = block_of(peer);
  const std::lock_guard lock(mutex_);
  if (active_ >= limits.connections) {
    return std::unexpected(metrics::RejectReason::max_connections);
  }
  const auto [entry, inserted] = by_block_.try_emplace(block, 0);
  if (limits.per_address != 0 && entry->second >= limits.per_address) {
    return std::unexpected(metrics::RejectReason::per_address);
  }
  ++entry->second;
  ++active_;
  return Slot(*this, block);
}

std::size_t Admission::blocks() const {
  const std::lock_guard lock(mutex_);
  return by_block_.size();
}

void Admission::release(const AddressBlock& block) noexcept {
  const std::lock_guard lock(mutex_);
  const auto entry = by_block_.find(block);
  if (--entry->second == 0) by_block_.erase(entry);
  --active_;
}

}  // namespace lp::gateway::connection
