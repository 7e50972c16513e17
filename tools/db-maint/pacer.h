// How much to do in one transaction, and how long to rest after it, so that whoever else writes to
// the database waits a few milliseconds at most, and seldom.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "tools/db-maint/store.h"

namespace lp::db_maint {

class Pacer {
 public:
  static constexpr std::chrono::nanoseconds longest_lock = std::chrono::milliseconds(4);
  /// A ticket's nullifier stands anywhere in its index, so that each row costs about a page of the
  /// log. The next commit of a gateway syncs what a batch has written: a MiB.
  static constexpr std::int64_t most_rows = 250;
  static constexpr std::int64_t fewest_rows = 10;

  /// Rows for the next transaction.
  [[nodiscard]] std::int64_t rows() const noexcept { return rows_; }

  /// Learns from a transaction that took `rows()`, and says how long to rest: three times as long
  /// as it held the lock and kept the disk busy, so that three quarters of the time of both belong
  /// to others, however slow the disk is.
  [[nodiscard]] std::chrono::nanoseconds learn(const Batch& batch) noexcept {
    if (batch.locked > longest_lock) {
      rows_ = std::max(fewest_rows, rows_ / 2);
    } else if (batch.locked * 2 < longest_lock) {
      rows_ = std::min(most_rows, rows_ + rows_ / 2);
    }
    return std::clamp<std::chrono::nanoseconds>((batch.locked + batch.synced) * 3,
                                                std::chrono::milliseconds(1),
                                                std::chrono::milliseconds(3'000));
  }

 private:
  std::int64_t rows_ = 100;
};

}  // namespace lp::db_maint
