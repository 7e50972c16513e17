#include "gateway/connection/hello_cache.h"

#include <sodium.h>

#include <algorithm>

#include "lib/crypto/random.h"

namespace lp::gateway::connection {
namespace {

/// Forgotten in a row, which takes less than a millisecond.
constexpr std::size_t max_forgotten_at_once = 1024;

}  // namespace

HelloCache::HelloCache(std::size_t capacity) : capacity_(std::max<std::size_t>(capacity, 1)) {
  static_assert(sizeof(key_) == crypto_shorthash_siphashx24_KEYBYTES);
  crypto::random_bytes(key_);
}

HelloCache::Digest HelloCache::digest_of(const wire::ClientHello& hello) const noexcept {
  static_assert(sizeof(Digest) == crypto_shorthash_siphashx24_BYTES);
  ByteArray<64> input;
  std::ranges::copy(hello.client_public_key.bytes, input.begin());
  std::ranges::copy(hello.salt, input.begin() + 32);
  Digest digest;
  crypto_shorthash_siphashx24(digest.data(), input.data(), input.size(), key_.data());
  return digest;
}

HelloCache::Taken HelloCache::take(const wire::ClientHello& hello, UnixSeconds now,
                                   std::uint64_t tolerance_secs) {
  const Digest digest = digest_of(hello);
  const std::lock_guard lock(mutex_);
  expire_some(now, tolerance_secs);
  if (hello.timestamp < forgotten_before_) return {Verdict::forgotten, false, seen_.size()};
  if (seen_.contains(digest)) return {Verdict::replayed, false, seen_.size()};

  const bool full = seen_.size() >= capacity_;
  // Unlike age, this does not move forgotten_before_: a flood of hellos from the future would make
  // the gateway refuse those of the present.
  if (full) remove_oldest();
  seen_.insert(digest);
  by_timestamp_[hello.timestamp].push_back(digest);
  return {Verdict::fresh, full, seen_.size()};
}

std::size_t HelloCache::expire(UnixSeconds now, std::uint64_t tolerance_secs) {
  for (;;) {
    const std::lock_guard lock(mutex_);
    if (expire_some(now, tolerance_secs)) return seen_.size();
  }
}

bool HelloCache::expire_some(UnixSeconds now, std::uint64_t tolerance_secs) {
  for (std::size_t i = 0; i < max_forgotten_at_once; ++i) {
    if (by_timestamp_.empty()) {
      // The table does not shrink by itself; after a flood it would stay at its largest.
      if (seen_.bucket_count() > 0) seen_ = {};
      return true;
    }
    const UnixSeconds timestamp = by_timestamp_.begin()->first;
    if (timestamp >= now || now - timestamp <= tolerance_secs) return true;
    forgotten_before_ = std::max(forgotten_before_, timestamp + 1);
    remove_oldest();
  }
  return false;
}

void HelloCache::remove_oldest() {
  const auto oldest = by_timestamp_.begin();
  auto& digests = oldest->second;
  seen_.erase(digests.front());
  digests.pop_front();
  if (digests.empty()) by_timestamp_.erase(oldest);
}

}  // namespace lp::gateway::connection
