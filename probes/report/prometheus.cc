#include "probes/report/prometheus.h"

#include <algorithm>

#include "lib/file/exposition.h"
#include "probes/options/values.h"

namespace lp::probe::report {
namespace {

using file::Exposition;
using options::to_seconds;

/// The target as it was given, which is the same whatever the probe finds out.
Exposition::Labels labels_of(const TargetInfo& info) {
  return {{"target", info.text.substr(info.text.rfind('@') + 1)}, {"identity", info.identity}};
}

Exposition::Labels with(Exposition::Labels labels, std::string_view name, std::string_view value) {
  labels.emplace_back(name, value);
  return labels;
}

void add_last(Exposition& metrics, const TargetReport& report) {
  const auto labels = labels_of(report.info);
  const auto& attempt = report.last.attempt;
  metrics.gauge("lp_probe_timestamp_seconds", "When the last probe of the run began", labels,
                static_cast<std::uint64_t>(attempt.started));
  metrics.gauge("lp_probe_duration_seconds", "How long the last probe of the run took", labels,
                to_seconds(attempt.total));
  for (std::size_t i = 0; i < stage_count; ++i) {
    const auto stage = static_cast<Stage>(i);
    const auto time = attempt.time(stage);
    // What began after the failed stage says nothing.
    if (!time || (attempt.error && stage > attempt.error->stage)) continue;
    metrics.gauge("lp_probe_stage_duration_seconds",
                  "How long each stage of the last probe took that was reached, failed or not",
                  with(labels, "stage", name(stage)), to_seconds(*time));
  }
  if (attempt.error) {
    metrics.gauge(
        "lp_probe_error_info", "Code and stage of the last probe's failure",
        with(with(labels, "code", name(attempt.error->code)), "stage", name(attempt.error->stage)),
        std::uint64_t{1});
  }
  if (report.last.clock_offset_seconds) {
    metrics.gauge("lp_probe_clock_offset_seconds",
                  "The gateway's clock less this machine's, where a failure made the probe ask",
                  labels, static_cast<double>(*report.last.clock_offset_seconds));
  }
}

/// Times of successes.
void add_times(Exposition& metrics, const TargetReport& report, std::string_view stage,
               const Summary& times) {
  if (times.ok == 0) return;
  metrics.summary("lp_probe_run_stage_duration_seconds",
                  "How long each stage took where it went well, over all probes of the run",
                  with(labels_of(report.info), "stage", stage),
                  {{"0.5", to_seconds(times.p50)},
                   {"0.9", to_seconds(times.p90)},
                   {"0.95", to_seconds(times.p95)},
                   {"0.99", to_seconds(times.p99)},
                   {"1", to_seconds(times.max)}},
                  to_seconds(times.mean) * static_cast<double>(times.ok), times.ok);
}

void add(Exposition& metrics, const TargetReport& report) {
  const auto labels = labels_of(report.info);
  const auto& statistics = report.statistics;
  const Summary total = statistics.total();
  metrics.gauge("lp_probe_success",
                "Whether every probe of the run went well, up to its last stage", labels,
                std::uint64_t{total.sent > 0 && total.ok == total.sent ? 1U : 0U});
  metrics.gauge("lp_probe_level", "0 ok, 1 a limit passed, 2 critical, 3 could not tell", labels,
                static_cast<std::uint64_t>(report.level));
  add_last(metrics, report);
  metrics.gauge("lp_probe_attempts", "Probes of the run", labels, total.sent);
  metrics.gauge("lp_probe_failures", "Probes of the run that failed", labels,
                total.sent - total.ok);
  for (const auto& [code, times] : statistics.errors()) {
    metrics.gauge("lp_probe_errors", "How often each code was met in the run",
                  with(labels, "code", code), times);
  }
  if (report.wanted == 1) return;
  for (std::size_t i = 0; i < stage_count; ++i) {
    const auto stage = static_cast<Stage>(i);
    add_times(metrics, report, name(stage), statistics.stage(stage));
  }
  add_times(metrics, report, "total", total);
}

Exposition metrics_of(const std::vector<TargetReport>& reports) {
  Exposition metrics;
  for (const auto& report : reports)
    add(metrics, report);
  return metrics;
}

}  // namespace

void MetricsCollector::attempt(const TargetInfo& target, std::uint64_t wanted,
                               const AttemptReport& report) {
  if (next_ != nullptr) next_->attempt(target, wanted, report);
}

void MetricsCollector::target(const TargetReport& report) {
  if (next_ != nullptr) next_->target(report);
  const auto& error = report.last.attempt.error;
  // A probe that was cut off says nothing about the gateway.
  if (error && error->code == ProbeCode::interrupted) {
    interrupted_ = true;
    return;
  }
  // A target that is named twice would make two samples of one series: the worse one stays,
  // whichever ends first.
  const auto same = std::ranges::find_if(reports_, [&](const TargetReport& other) {
    return labels_of(other.info) == labels_of(report.info);
  });
  if (same == reports_.end()) {
    reports_.push_back(report);
  } else if (report.level >= same->level) {
    *same = report;
  }
}

void MetricsCollector::finish() {
  if (next_ != nullptr) next_->finish();
}

std::string MetricsCollector::text() const {
  return metrics_of(reports_).text();
}

file::Outcome<void> MetricsCollector::write(const std::string& file) const {
  if (interrupted_ || reports_.empty()) return {};
  return file::write_textfile(file, metrics_of(reports_));
}

namespace {

class PrometheusWriter final : public Writer {
 public:
  explicit PrometheusWriter(std::FILE* out) : out_(out) {}

  void attempt(const TargetInfo&, std::uint64_t, const AttemptReport&) override {}
  void target(const TargetReport& report) override { collector_.target(report); }
  void finish() override {
    const std::string text = collector_.text();
    std::fwrite(text.data(), 1, text.size(), out_);
    std::fflush(out_);
  }

 private:
  std::FILE* out_;
  MetricsCollector collector_{nullptr};
};

}  // namespace

std::unique_ptr<Writer> make_prometheus_writer(std::FILE* out) {
  return std::make_unique<PrometheusWriter>(out);
}

}  // namespace lp::probe::report
