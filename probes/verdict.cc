#include "probes/verdict.h"

#include <fmt/format.h>

#include <array>

#include "probes/options/values.h"

namespace lp::probe {
namespace {

constexpr std::array<std::string_view, 4> level_names{"OK", "WARNING", "CRITICAL", "UNKNOWN"};

// Importance: ok, warning, unknown, critical, then what the probe itself did wrong.
int importance(int status) {
  switch (status) {
    case exit_status::ok:
      return 0;
    case exit_status::warning:
      return 1;
    case exit_status::unknown:
      return 2;
    case exit_status::failed:
      return 3;
    default:
      return 4;
  }
}

/// The stages whose time passed a limit; appends a line for each.
bool exceeds(const Attempt& attempt, const options::Thresholds& limits, std::string_view kind,
             std::vector<std::string>& lines) {
  bool any = false;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const bool is_total = i == options::total_threshold;
    const auto time = is_total ? std::optional(attempt.total) : attempt.times[i];
    if (!limits[i] || !time || *time <= *limits[i]) continue;
    any = true;
    lines.push_back(
        fmt::format("{} {} over {} ({})", is_total ? "total" : name(static_cast<Stage>(i)),
                    options::format_duration(*time), options::format_duration(*limits[i]), kind));
  }
  return any;
}

}  // namespace

std::string_view name(Level level) noexcept {
  return level_names[static_cast<std::size_t>(level)];
}

Verdict judge(const Attempt& attempt, const options::Thresholds& warn,
              const options::Thresholds& crit) {
  Verdict verdict;
  if (attempt.error) {
    verdict.exit_status = entry(attempt.error->code).exit_status;
    verdict.level = verdict.exit_status == exit_status::failed ? Level::critical : Level::unknown;
    return verdict;
  }
  if (exceeds(attempt, crit, "crit", verdict.exceeded)) {
    verdict.level = Level::critical;
    verdict.exit_status = exit_status::failed;
  } else if (exceeds(attempt, warn, "warn", verdict.exceeded) ||
             (attempt.tunnel && !attempt.tunnel->remarks.empty())) {
    verdict.level = Level::warning;
    verdict.exit_status = exit_status::warning;
  }
  return verdict;
}

int worse_exit_status(int a, int b) noexcept {
  return importance(b) > importance(a) ? b : a;
}

Level worse(Level a, Level b) noexcept {
  static constexpr std::array order{0, 1, 3, 2};  // ok, warning, critical, unknown
  return order[static_cast<std::size_t>(b)] > order[static_cast<std::size_t>(a)] ? b : a;
}

int final_exit_status(int status, options::FailOn fail_on) noexcept {
  if (status > exit_status::unknown) return status;
  switch (fail_on) {
    case options::FailOn::none:
      return exit_status::ok;
    case options::FailOn::crit:
      return status == exit_status::warning ? exit_status::ok : status;
    case options::FailOn::warn:
      break;
  }
  return status;
}

}  // namespace lp::probe
