// Metrics of the last run, for Prometheus: on standard output, or in a file for its node exporter.
#pragma once

#include <string>
#include <vector>

#include "lib/file/partial_file.h"
#include "probes/report/report.h"

namespace lp::probe::report {

/// Collects; hands on what it gets to another writer.
class MetricsCollector final : public Writer {
 public:
  /// `next` outlives it, or is null.
  explicit MetricsCollector(Writer* next) : next_(next) {}

  void attempt(const TargetInfo& target, std::uint64_t wanted,
               const AttemptReport& report) override;
  void target(const TargetReport& report) override;
  void finish() override;

  /// The metrics of all targets so far (lp-probe(1), "prometheus").
  [[nodiscard]] std::string text() const;
  /// Writes them to `file`. A run that was cut off or judged no target leaves what is there.
  [[nodiscard]] file::Outcome<void> write(const std::string& file) const;

 private:
  Writer* next_;
  std::vector<TargetReport> reports_;  ///< one of each series
  bool interrupted_ = false;
};

}  // namespace lp::probe::report
