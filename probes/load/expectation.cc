#include "probes/load/expectation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "probes/errors.h"
#include "probes/options/values.h"

namespace lp::probe::load {
namespace {

constexpr std::array<std::string_view, 10> metric_names{"min", "mean",  "p50", "p90",  "p95",
                                                        "p99", "p99.9", "max", "rate", "errors"};

}  // namespace

std::expected<Expectation, std::string> parse_expectation(std::string_view text) {
  const auto at = text.find_first_of("<>");
  if (at == std::string_view::npos) {
    return std::unexpected(
        fmt::format("'{}' is not METRIC<VALUE, as in p99<50ms or rate>1000", printable(text, 60)));
  }
  const auto name = text.substr(0, at);
  const auto value = text.substr(at + 1);
  const auto found = std::ranges::find(metric_names, name);
  if (found == metric_names.end()) {
    return std::unexpected(
        fmt::format("'{}' is none of {}", printable(name, 40), fmt::join(metric_names, ", ")));
  }
  Expectation expectation{.metric = static_cast<Metric>(found - metric_names.begin()),
                          .above = text[at] == '>',
                          .text = std::string(text)};
  const bool is_number = expectation.metric == Metric::rate || expectation.metric == Metric::errors;
  if (is_number) {
    const auto number = options::parse_number(value, 0, 1'000'000'000);
    if (!number) return std::unexpected(number.error());
    expectation.limit = static_cast<double>(*number);
  } else {
    const auto time = options::parse_duration(value);
    if (!time) return std::unexpected(time.error());
    expectation.limit = options::to_seconds(*time);
  }
  return expectation;
}

}  // namespace lp::probe::load
