// For people, at three in the morning: one line per stage, the result, what to look at next.
#include <fmt/format.h>

#include <map>

#include "probes/options/values.h"
#include "probes/report/report.h"

namespace lp::probe::report {
namespace {

using options::format_duration;

constexpr std::string_view red = "\x1b[31;1m";
constexpr std::string_view green = "\x1b[32m";
constexpr std::string_view yellow = "\x1b[33m";
constexpr std::string_view bold = "\x1b[1m";
constexpr std::string_view plain = "\x1b[0m";

class TextWriter final : public Writer {
 public:
  TextWriter(std::FILE* out, TextOptions options) : out_(out), options_(options) {}

  void attempt(const TargetInfo& target, std::uint64_t wanted,
               const AttemptReport& report) override {
    if (wanted == 1) {
      full(target, report);
    } else {
      if (options_.together) {
        add("{} ", target.address);
      } else if (report.sequence == 1) {
        head(target);
      }
      line(report);
    }
    flush();
  }

  void target(const TargetReport& report) override {
    if (report.wanted > 1) {
      if (options_.together) head(report.info);
      statistics(report);
    }
    ++levels_[report.level];
    flush();
  }

  void finish() override {
    std::size_t targets = 0;
    std::string counts;
    for (const auto& [level, count] : levels_) {
      targets += count;
      counts += fmt::format(", {} {}", count, paint(level));
    }
    if (targets > 1) add("\n{} targets{}\n", targets, counts);
    flush();
  }

 private:
  [[nodiscard]] std::string paint(std::string_view color, std::string_view text) const {
    if (!options_.color) return std::string(text);
    return fmt::format("{}{}{}", color, text, plain);
  }

  [[nodiscard]] std::string paint(Level level) const {
    const auto color = level == Level::ok ? green : level == Level::critical ? red : yellow;
    return paint(color, name(level));
  }

  void head(const TargetInfo& target) {
    if (first_) {
      first_ = false;
    } else {
      add("\n");
    }
    const auto identity = target.identity.empty() ? "unknown" : target.identity;
    // A tunnel that a file describes says nothing about who the gateway is.
    const auto what = target.ticket_type.empty()
                          ? fmt::format("tunnel to {}", target.address)
                          : fmt::format("gateway {} at {}", identity, target.address);
    add("{}", paint(bold, what));
    if (target.identity_source == IdentitySource::http_unverified) {
      add("\n  {}", paint(yellow, "identity learned over HTTP, not verified"));
    }
    add("\n");
  }

  void full(const TargetInfo& target, const AttemptReport& report) {
    head(target);
    for (std::size_t i = 0; i < stage_count; ++i) {
      stage(static_cast<Stage>(i), target, report);
    }
    result(target, report);
  }

  void stage(Stage stage, const TargetInfo& target, const AttemptReport& report) {
    const auto& attempt = report.attempt;
    const bool failed = attempt.error && attempt.error->stage == stage;
    const auto time = attempt.time(stage);
    // A stage after the failed one may have begun before the failure was known; it says nothing.
    const bool after_failure = attempt.error && stage > attempt.error->stage;
    if (after_failure || (!time && !failed)) return;
    const std::string duration = time ? format_duration(*time) : "";
    if (failed) {
      add("  {:<13} {:>9}  {}  {}\n", name(stage), duration, paint(red, "FAILED"),
          name(attempt.error->code));
    } else {
      add("  {:<13} {:>9}  {}\n", name(stage), duration, note(stage, target, attempt));
    }
    if (stage == Stage::tunnel && attempt.tunnel && attempt.tunnel->handshake_done) {
      families(attempt.tunnel->checks);
    }
  }

  void families(const tunnel::CheckResults& checks) {
    for (std::size_t i = 0; i < checks.size(); ++i) {
      const auto line = describe_family(checks[i]);
      if (!line.empty()) add("    {:<21}  {}\n", i == 0 ? "IPv4" : "IPv6", line);
    }
  }

  static std::string note(Stage stage, const TargetInfo& target, const Attempt& attempt) {
    switch (stage) {
      case Stage::resolve: {
        if (attempt.addresses.empty()) return {};
        const auto more = attempt.addresses.size() - 1;
        const auto first = attempt.addresses.front().host();
        return more == 0 ? first : fmt::format("{} and {} more", first, more);
      }
      case Stage::connect:
        return attempt.remote.to_string();
      case Stage::handshake:
        return attempt.lp_id ? fmt::format("session {:#010x}", *attempt.lp_id) : std::string();
      case Stage::request:
        return fmt::format("{}, {}{}", target.mode, target.ticket_type,
                           target.mock_ecash ? ", mock ticket" : "");
      case Stage::tunnel:
        if (!attempt.tunnel) return {};
        return fmt::format("{}, handshake {}", attempt.tunnel->endpoint.to_string(),
                           format_duration(attempt.tunnel->handshake.time));
      default:
        return {};
    }
  }

  void result(const TargetInfo& target, const AttemptReport& report) {
    const auto& attempt = report.attempt;
    add("{}  ", paint(report.verdict.level));
    if (attempt.error) {
      add("{} failed: {}\n", name(attempt.error->stage), name(attempt.error->code));
      add("  detail: {}\n", attempt.error->detail);
      if (!report.hint.empty()) add("  hint:   {}\n", report.hint);
      return;
    }
    add("{}", describe_success(attempt));
    if (attempt.response) {
      add(", {} granted", format_bytes(attempt.response->allocated_bandwidth));
    }
    add("\n");
    for (const auto& limit : report.verdict.exceeded)
      add("  limit:  {}\n", limit);
    if (attempt.tunnel) {
      for (const auto& remark : attempt.tunnel->remarks)
        add("  remark: {}\n", remark);
    }
    if (attempt.response && attempt.response->gateway_data && target.mode == "dvpn") {
      const auto& data = *attempt.response->gateway_data;
      add("  tunnel: {} and {} through {}\n", messages::to_string(data.private_ipv4),
          messages::to_string(data.private_ipv6), messages::to_string(data.endpoint));
    }
  }

  /// One line per probe, as ping(8) has them.
  void line(const AttemptReport& report) {
    const auto& attempt = report.attempt;
    add("seq={} ", report.sequence);
    if (attempt.error) {
      add("{} {}: {} ({})\n", paint(red, "FAILED"), name(attempt.error->stage),
          name(attempt.error->code), attempt.error->detail);
      return;
    }
    const auto time = [&](Stage stage) {
      return format_duration(attempt.time(stage).value_or(std::chrono::nanoseconds{}));
    };
    add("{}", paint(report.verdict.level));
    if (!attempt.tunnel_only) {
      add(" connect={} handshake={} response={}", time(Stage::connect), time(Stage::handshake),
          time(Stage::response));
    }
    if (attempt.tunnel) add(" tunnel={}", time(Stage::tunnel));
    add(" total={}", format_duration(attempt.total));
    if (attempt.tunnel) {
      for (const auto& remark : attempt.tunnel->remarks)
        add("  {}", remark);
    }
    for (const auto& limit : report.verdict.exceeded)
      add("  {}", limit);
    add("\n");
  }

  void statistics(const TargetReport& report) {
    const auto& stats = report.statistics;
    const auto total = stats.total();
    add("\n{} probes of {} wanted, {} {}, {:.1f} % lost\n", stats.attempts(), report.wanted,
        total.ok, success_word(stats), total.loss * 100);
    for (const auto& [code, times] : stats.errors())
      add("  {} x {}\n", times, code);
    add("  {:<13} {:>6} {:>6} {:>6} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "stage", "sent",
        "ok", "loss", "min", "mean", "p50", "p90", "p95", "p99", "max");
    for (std::size_t i = 0; i < stage_count; ++i) {
      const auto stage = static_cast<Stage>(i);
      row(name(stage), stats.stage(stage));
    }
    row("total", total);
    add("{}  ", paint(report.level));
    if (report.level != Level::ok && !report.last.hint.empty()) {
      add("hint: {}", report.last.hint);
    } else {
      add("{} of {} {}", total.ok, stats.attempts(), success_word(stats));
    }
    add("\n");
  }

  void row(std::string_view label, const Summary& summary) {
    if (summary.sent == 0) return;
    add("  {:<13} {:>6} {:>6} {:>5.1f}%", label, summary.sent, summary.ok, summary.loss * 100);
    for (const auto time : {summary.min, summary.mean, summary.p50, summary.p90, summary.p95,
                            summary.p99, summary.max}) {
      add(" {:>9}", summary.ok == 0 ? "-" : format_duration(time));
    }
    add("\n");
  }

  template <typename... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(buffer_), format, std::forward<Args>(args)...);
  }

  void flush() {
    std::fwrite(buffer_.data(), 1, buffer_.size(), out_);
    std::fflush(out_);
    buffer_.clear();
  }

  std::FILE* out_;
  TextOptions options_;
  std::string buffer_;
  bool first_ = true;
  std::map<Level, std::size_t> levels_;  ///< of the targets so far
};

}  // namespace

std::unique_ptr<Writer> make_text_writer(std::FILE* out, TextOptions options) {
  return std::make_unique<TextWriter>(out, options);
}

}  // namespace lp::probe::report
