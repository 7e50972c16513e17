// Output of a monitoring plugin (Nagios Plugin API): one status line with performance data. With
// several targets the first line sums up and each target has a line of its own below.
#include <fmt/format.h>

#include <vector>

#include "probes/options/values.h"
#include "probes/report/report.h"

namespace lp::probe::report {
namespace {

using options::to_seconds;

class NagiosWriter final : public Writer {
 public:
  NagiosWriter(std::FILE* out, const options::Thresholds& warn, const options::Thresholds& crit)
      : out_(out), warn_(warn), crit_(crit) {}

  void attempt(const TargetInfo&, std::uint64_t, const AttemptReport&) override {}

  void target(const TargetReport& report) override {
    worst_ = worse(worst_, report.level);
    if (report.level != Level::ok) ++not_ok_;
    lines_.push_back({report.level, describe(report), performance(report)});
  }

  void finish() override {
    std::string text;
    if (lines_.size() == 1) {
      const auto& only = lines_.front();
      text = fmt::format("LP {} - {} | {}\n", name(only.level), only.text, only.performance);
    } else {
      text =
          fmt::format("LP {} - {} of {} gateways ok | gateways={};;;0 not_ok={};;;0\n",
                      name(worst_), lines_.size() - not_ok_, lines_.size(), lines_.size(), not_ok_);
      for (const auto& line : lines_) {
        text += fmt::format("{} - {}\n", name(line.level), line.text);
      }
    }
    std::fwrite(text.data(), 1, text.size(), out_);
    std::fflush(out_);
  }

 private:
  struct Line {
    Level level;
    std::string text;
    std::string performance;
  };

  // A bar begins the performance data, wherever it stands.
  static std::string without_bar(std::string text) {
    for (char& c : text) {
      if (c == '|') c = '/';
    }
    return text;
  }

  static std::string describe(const TargetReport& report) {
    const auto& attempt = report.last.attempt;
    std::string text = report.info.address + ": ";
    if (report.statistics.attempts() > 1) {
      const auto total = report.statistics.total();
      text += fmt::format("{} of {} {}", total.ok, total.sent, success_word(report.statistics));
      for (const auto& [code, times] : report.statistics.errors()) {
        text += fmt::format(", {} x {}", times, code);
      }
    } else if (attempt.error) {
      text += fmt::format("{} failed: {}: {}", name(attempt.error->stage),
                          name(attempt.error->code), attempt.error->detail);
      if (!report.last.hint.empty()) text += fmt::format(" ({})", report.last.hint);
    } else {
      text += describe_success(attempt);
    }
    if (attempt.tunnel) {
      for (const auto& remark : attempt.tunnel->remarks)
        text += ", " + remark;
    }
    for (const auto& limit : report.last.verdict.exceeded)
      text += ", " + limit;
    return without_bar(printable(text, 1000));
  }

  [[nodiscard]] std::string value(std::string_view label, std::chrono::nanoseconds time,
                                  std::size_t limit) const {
    const auto seconds = [](const std::optional<std::chrono::nanoseconds>& threshold) {
      return threshold ? fmt::format("{:.6f}", to_seconds(*threshold)) : std::string();
    };
    return fmt::format("{}={:.6f}s;{};{};0 ", label, to_seconds(time), seconds(warn_[limit]),
                       seconds(crit_[limit]));
  }

  /// With one probe its times, with several their means.
  [[nodiscard]] std::string performance(const TargetReport& report) const {
    std::string text;
    for (std::size_t i = 0; i < stage_count; ++i) {
      const auto summary = report.statistics.stage(static_cast<Stage>(i));
      if (summary.ok > 0) text += value(name(static_cast<Stage>(i)), summary.mean, i);
    }
    const auto total = report.statistics.total();
    if (total.ok > 0) text += value("total", total.mean, options::total_threshold);
    text += fmt::format("loss={:.1f}%;;;0;100", total.loss * 100);
    return text;
  }

  std::FILE* out_;
  options::Thresholds warn_;
  options::Thresholds crit_;
  std::vector<Line> lines_;
  std::size_t not_ok_ = 0;
  Level worst_ = Level::ok;
};

}  // namespace

std::unique_ptr<Writer> make_nagios_writer(std::FILE* out, const options::Thresholds& warn,
                                           const options::Thresholds& crit) {
  return std::make_unique<NagiosWriter>(out, warn, crit);
}

}  // namespace lp::probe::report
