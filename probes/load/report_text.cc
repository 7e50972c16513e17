// The result as text, and what all forms share.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>

#include "probes/load/report.h"
#include "probes/options/values.h"

namespace lp::probe::load {
namespace {

using options::format_duration;
using options::to_seconds;

constexpr std::size_t most_bars = 24;
constexpr double bar_width = 40;

double value_of(Metric metric, const Result& result) {
  const auto& latency = result.tally.latency;
  switch (metric) {
    case Metric::min:
      return to_seconds(latency.min());
    case Metric::mean:
      return to_seconds(latency.mean());
    case Metric::p50:
      return to_seconds(latency.quantile(50'000));
    case Metric::p90:
      return to_seconds(latency.quantile(90'000));
    case Metric::p95:
      return to_seconds(latency.quantile(95'000));
    case Metric::p99:
      return to_seconds(latency.quantile(99'000));
    case Metric::p999:
      return to_seconds(latency.quantile(99'900));
    case Metric::max:
      return to_seconds(latency.max());
    case Metric::rate:
      return result.rate();
    case Metric::errors:
      break;
  }
  return static_cast<double>(result.tally.attempts - result.tally.ok);
}

/// Times down to microseconds: a connection on loopback takes a few of them.
std::string format_time(std::chrono::nanoseconds time) {
  if (time < std::chrono::milliseconds(1)) {
    return fmt::format("{:.0f} us", static_cast<double>(time.count()) / 1e3);
  }
  return format_duration(time);
}

std::string row(std::string_view name, const Histogram& times) {
  if (times.count() == 0) return {};
  return fmt::format("{:<13}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}\n", name,
                     times.count(), format_time(times.min()), format_time(times.mean()),
                     format_time(times.quantile(50'000)), format_time(times.quantile(90'000)),
                     format_time(times.quantile(95'000)), format_time(times.quantile(99'000)),
                     format_time(times.quantile(99'900)), format_time(times.max()));
}

std::string table(const LoadPlan& plan, const Tally& tally) {
  std::string text =
      fmt::format("{:<13}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "", "count",
                  "min", "mean", "p50", "p90", "p95", "p99", "p99.9", "max");
  text += row("latency", tally.latency);
  for (std::size_t i = 0; i < part_count; ++i)
    text += row(fmt::format("  {}", name(static_cast<Part>(i))), tally.parts[i]);
  if (plan.rate) text += row("begun late", tally.lateness);
  text += row("failures", tally.failure_latency);
  return text;
}

std::string chart(const Histogram& latency) {
  const auto bars = latency.bars(most_bars);
  std::uint64_t tallest = 1;
  for (const auto& bar : bars)
    tallest = std::max(tallest, bar.count);
  std::string text;
  for (const auto& bar : bars) {
    const double share = static_cast<double>(bar.count) / static_cast<double>(tallest);
    // What is there is seen, however little it is.
    const auto width = static_cast<std::size_t>(std::ceil(share * bar_width));
    text +=
        fmt::format("{:>9} {:<40} {}\n", format_time(bar.low), std::string(width, '#'), bar.count);
  }
  return text;
}

std::string errors(const Tally& tally) {
  std::string text;
  for (const auto& [code, error] : tally.errors) {
    text += fmt::format("  {} x {} ({}): {}\n    hint: {}\n", error.count, name(code),
                        name(error.first.stage), error.first.detail, entry(code).hint);
  }
  return text;
}

std::string remarks(const Report& report) {
  const auto& result = report.result;
  std::string text;
  if (result.backlog.count > 0) {
    text += fmt::format(
        "{} registrations were due and never begun, the first of them for {}: all {} places were "
        "taken.\nNo latency stands for them.\n",
        result.backlog.count, format_time(result.backlog.oldest), report.plan.concurrency);
  }
  if (result.tally.abandoned > 0) {
    text += fmt::format("{} registrations were in flight at the end and given up\n",
                        result.tally.abandoned);
  }
  if (result.interrupted) text += "interrupted: the result is what there was until then\n";
  if (result.broken) {
    text += fmt::format("ended early: {}: {}\n", name(result.broken->code), result.broken->detail);
  }
  for (const auto& expectation : report.unmet)
    text += fmt::format("not as expected: {}\n", expectation);
  return text;
}

}  // namespace

std::vector<std::string> unmet(const std::vector<Expectation>& expectations, const Result& result) {
  std::vector<std::string> texts;
  for (const auto& expectation : expectations) {
    const double value = value_of(expectation.metric, result);
    const bool is_count =
        expectation.metric == Metric::rate || expectation.metric == Metric::errors;
    const bool measured = is_count || result.tally.ok > 0;
    const bool holds = expectation.above ? value > expectation.limit : value < expectation.limit;
    if (measured && holds) continue;
    texts.push_back(
        fmt::format("{} (it is {})", expectation.text,
                    !measured  ? "not measured"
                    : is_count ? fmt::format("{:.6g}", value)
                               : format_time(std::chrono::nanoseconds(std::llround(value * 1e9)))));
  }
  return texts;
}

std::string describe_loop(const LoadPlan& plan) {
  const std::string places = fmt::format("{} at a time, {} thread{}", plan.concurrency,
                                         plan.threads, plan.threads == 1 ? "" : "s");
  return plan.rate ? fmt::format("open loop, {:g}/s, at most {}", *plan.rate, places)
                   : fmt::format("closed loop, {}", places);
}

std::string to_text(const Report& report) {
  const auto& [target, identity, address, mode, ticket_type, mock_ecash] = report.description;
  const auto& tally = report.result.tally;
  const std::uint64_t failed = tally.attempts - tally.ok;
  std::string text = fmt::format(
      "{}@{} ({}, {}{})\n"
      "{}, {}{}\n\n"
      "{:.1f} registrations/s\n"
      "{} attempts: {} ok, {} failed\n",
      identity, address, mode, ticket_type, mock_ecash ? ", mock e-cash" : "",
      describe_loop(report.plan), format_duration(report.result.window),
      report.plan.warmup.count() == 0
          ? std::string()
          : fmt::format(" after {} of warm-up", format_duration(report.plan.warmup)),
      report.result.rate(), tally.attempts, tally.ok, failed);
  text += errors(tally);
  if (tally.attempts > 0) text += "\n" + table(report.plan, tally);
  if (tally.ok > 0) text += "\n" + chart(tally.latency);
  if (const auto more = remarks(report); !more.empty()) text += "\n" + more;
  return text;
}

std::expected<void, std::string> write_file(const std::string& path, std::string_view text) {
  const std::string beside = fmt::format("{}.{}.tmp", path, getpid());
  const auto failed = [&](std::string_view what) {
    const int error = errno;
    unlink(beside.c_str());
    return std::unexpected(
        fmt::format("{}: {}: {}", printable(path), what, client::errno_text(error)));
  };
  const client::Descriptor file(
      open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!file.valid()) {
    return std::unexpected(fmt::format("{}: {}", printable(path), client::errno_text(errno)));
  }
  while (!text.empty()) {
    const auto written = write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("write");
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fsync(file.get()) != 0) return failed("fsync");
  if (rename(beside.c_str(), path.c_str()) != 0) return failed("rename");
  return {};
}

}  // namespace lp::probe::load
