// What the process itself costs, read from /proc, under the names that every Prometheus client
// uses.
#pragma once

#include <cstdint>

namespace lp::gateway::metrics {

struct ProcessUsage {
  double cpu_seconds = 0;  ///< user and system time
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t max_fds = 0;  ///< the soft limit
};

/// As of now; 0 where the system does not tell.
[[nodiscard]] ProcessUsage process_usage() noexcept;

/// Unix time at which the process started.
[[nodiscard]] double process_start_time() noexcept;

}  // namespace lp::gateway::metrics
