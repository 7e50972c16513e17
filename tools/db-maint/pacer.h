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
  static constexpr std::int64_t most_rows = 1'000;
  static constexpr std::int64_t fewest_rows = 10;

  /// Rows for the next transaction.
  [[nodiscard]] std::int64_t rows() const noexcept { return rows_; }

  /// Learns from a transaction that took `rows()`, and says how long to rest: three times as long
  /// as it held the lock, so that three quarters of the time belong to others.
  [[nodiscard]] std::chrono::nanoseconds learn(const Batch& batch) noexcept {
    if (batch.locked > longest_lock) {
      rows_ = std::max(fewest_rows, rows_ / 2);
    } else if (batch.locked * 2 < longest_lock) {
      rows_ = std::min(most_rows, rows_ + rows_ / 2);
    }
    return std::clamp<std::chrono::nanoseconds>(batch.locked * 3, std::chrono::milliseconds(1),
                                                std::chrono::milliseconds(500));
  }

 private:
  std::int64_t rows_ = 200;
};

}  // namespace lp::db_maint
