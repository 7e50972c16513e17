// --expect 'p99<50ms': what the result of a load run must be.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace lp::probe::load {

enum class Metric : std::uint8_t { min, mean, p50, p90, p95, p99, p999, max, rate, errors };

/// `metric` less than (or, with `above`, more than) `limit`: seconds, registrations a second, or a
/// number of failures.
struct Expectation {
  Metric metric = Metric::p99;
  bool above = false;
  double limit = 0;
  std::string text;  ///< as it was given
};

/// "p99<50ms", "rate>3000", "errors<1". On failure: one sentence that says what is wrong.
[[nodiscard]] std::expected<Expectation, std::string> parse_expectation(std::string_view text);

}  // namespace lp::probe::load
