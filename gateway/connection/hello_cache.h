// ClientHellos that were seen, so that a replay is refused before it costs a Diffie-Hellman
// (docs/gateway.md, "One connection").
#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>

#include "lib/base/clock.h"
#include "lib/wire/packet.h"

namespace lp::gateway::connection {

/// Remembers (client key, salt) until the hello's timestamp plus the tolerance, from when on the
/// timestamp alone refuses it. Bounded: when full, the one with the oldest timestamp goes.
///
/// Time is the wall clock's, and that may jump. After a jump forward hellos are forgotten that a
/// jump back makes acceptable again; so the cache also knows up to which timestamp it has forgotten
/// anything for its age, and takes nothing from up to there.
///
/// Some 50 bytes to an entry. All functions may be called from any thread.
class HelloCache {
 public:
  explicit HelloCache(std::size_t capacity);

  enum class Verdict : std::uint8_t {
    fresh,     ///< not seen before; from now on it is
    replayed,  ///< seen before
    forgotten  ///< from a time of which hellos have been forgotten: it may have been seen before
  };
  struct Taken {
    Verdict verdict = Verdict::fresh;
    bool evicted = false;     ///< another one had to go
    std::size_t entries = 0;  ///< afterwards
  };

  /// Judges and remembers a hello whose timestamp is within `tolerance_secs` of `now`.
  [[nodiscard]] Taken take(const wire::ClientHello& hello, UnixSeconds now,
                           std::uint64_t tolerance_secs);
  /// Forgets what is past the tolerance; `take` does so too. Returns how many are left.
  std::size_t expire(UnixSeconds now, std::uint64_t tolerance_secs);

 private:
  /// 128 bits of SipHash with a key of this process: nobody can make two hellos collide, and 64
  /// bytes become 16.
  using Digest = ByteArray<16>;
  struct DigestHash {
    using is_avalanching = void;
    [[nodiscard]] std::size_t operator()(const Digest& digest) const noexcept {
      return load_le<std::uint64_t>(digest.data());
    }
  };

  [[nodiscard]] Digest digest_of(const wire::ClientHello& hello) const noexcept;
  /// False where there may be more to forget: what a flood has left is not cleared in one go, while
  /// all threads wait.
  bool expire_some(UnixSeconds now, std::uint64_t tolerance_secs);
  void remove_oldest();

  const std::size_t capacity_;
  ByteArray<16> key_;
  std::mutex mutex_;
  boost::unordered_flat_set<Digest, DigestHash> seen_;
  /// The same by timestamp, for those that go first.
  std::map<UnixSeconds, std::deque<Digest>> by_timestamp_;
  /// No timestamp up to this one, exclusively, is taken.
  UnixSeconds forgotten_before_ = 0;
};

}  // namespace lp::gateway::connection
