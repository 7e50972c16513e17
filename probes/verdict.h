// How well a probe went: the failure, or the limits that were passed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "probes/attempt.h"
#include "probes/options/settings.h"

namespace lp::probe {

/// Nagios' four states.
enum class Level : std::uint8_t { ok, warning, critical, unknown };

/// "OK", "WARNING", "CRITICAL", "UNKNOWN".
[[nodiscard]] std::string_view name(Level level) noexcept;

struct Verdict {
  Level level = Level::ok;
  int exit_status = 0;
  std::vector<std::string> exceeded;  ///< "handshake 120 ms over 100 ms (warn)"
};

/// A remark of the tunnel stage is a warning.
[[nodiscard]] Verdict judge(const Attempt& attempt, const options::Thresholds& warn,
                            const options::Thresholds& crit);

/// The more important of two exit statuses: the probe's own failures, then critical, unknown,
/// warning, ok.
[[nodiscard]] int worse_exit_status(int a, int b) noexcept;
[[nodiscard]] Level worse(Level a, Level b) noexcept;

/// What the process exits with under --fail-on. The probe's own failures always show.
[[nodiscard]] int final_exit_status(int status, options::FailOn fail_on) noexcept;

}  // namespace lp::probe
