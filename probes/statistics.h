// Times of many probes: per stage sent, ok, loss, minimum, mean, percentiles, maximum.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "probes/attempt.h"
#include "probes/errors.h"

namespace lp::probe {

/// Times in nanoseconds. With no success all of them are 0.
struct Summary {
  std::uint64_t sent = 0;  ///< how often the stage was begun
  std::uint64_t ok = 0;    ///< how often it succeeded
  double loss = 0;         ///< share of `sent` that failed, 0 to 1
  std::chrono::nanoseconds min{}, mean{}, p50{}, p90{}, p95{}, p99{}, max{};
};

/// Times of successes, and how often there was none. Percentiles are by nearest rank: the smallest
/// time that at least that share of all times does not exceed.
class Series {
 public:
  void succeeded(std::chrono::nanoseconds time);
  void failed() { ++failed_; }
  [[nodiscard]] Summary summarise() const;

 private:
  std::vector<std::int64_t> times_;
  std::uint64_t failed_ = 0;
};

class Statistics {
 public:
  void add(const Attempt& attempt);

  [[nodiscard]] std::uint64_t attempts() const noexcept { return attempts_; }
  [[nodiscard]] Summary stage(Stage stage) const;
  [[nodiscard]] Summary total() const { return total_.summarise(); }
  /// How often each code was met, by name.
  [[nodiscard]] const std::map<std::string_view, std::uint64_t>& errors() const noexcept {
    return errors_;
  }

 private:
  std::uint64_t attempts_ = 0;
  std::array<Series, stage_count> stages_;
  Series total_;
  std::map<std::string_view, std::uint64_t> errors_;
};

}  // namespace lp::probe
