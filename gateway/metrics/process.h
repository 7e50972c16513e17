// What the process itself costs, read from /proc, under the names that every Prometheus client
// uses.
#pragma once

#include <cstdint>
#include <memory>

namespace lp::gateway::metrics {

struct ProcessUsage {
  double cpu_seconds = 0;  ///< user and system time
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t max_fds = 0;  ///< the soft limit
};

/// Keeps its files open: when the process has run out of descriptors is when somebody looks. Not
/// thread-safe.
class Process {
 public:
  Process();
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// As of now; 0 where the system does not tell.
  [[nodiscard]] ProcessUsage usage() const noexcept;

 private:
  struct Files;
  std::unique_ptr<Files> files_;
};

/// Unix time at which the process started.
[[nodiscard]] double process_start_time() noexcept;

}  // namespace lp::gateway::metrics
