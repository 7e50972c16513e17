// The result of a load run, for people, for programs and as a picture.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "probes/load/expectation.h"
#include "probes/load/run.h"

namespace lp::probe::load {

/// What the run was, in words.
struct Description {
  std::string target;  ///< as given
  std::string identity;
  std::string address;  ///< the one that all connections went to, with its port
  std::string mode;
  std::string ticket_type;
  bool mock_ecash = false;
};

struct Report {
  Description description;
  LoadPlan plan;
  Result result;
  std::vector<std::string> unmet;  ///< expectations that do not hold, with what was measured
};

/// Those of `expectations` that do not hold. One of a time does not hold where nothing succeeded.
[[nodiscard]] std::vector<std::string> unmet(const std::vector<Expectation>& expectations,
                                             const Result& result);

[[nodiscard]] std::string to_text(const Report& report);
/// One object, with a newline.
[[nodiscard]] std::string to_json(const Report& report);
/// The histogram of latency with its percentiles.
[[nodiscard]] std::string to_svg(const Report& report);

/// "closed loop, 50 at a time, 2 threads".
[[nodiscard]] std::string describe_loop(const LoadPlan& plan);

/// Writes `text` beside `path`, syncs it and renames it over it. On failure: one sentence.
[[nodiscard]] std::expected<void, std::string> write_file(const std::string& path,
                                                          std::string_view text);

}  // namespace lp::probe::load
