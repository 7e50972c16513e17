// The plot: how often which latency was met, over a logarithmic axis, and where the percentiles
// lie.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "lib/base/encoding.h"
#include "probes/load/report.h"
#include "probes/options/values.h"

namespace lp::probe::load {
namespace {

constexpr int width = 860;
constexpr int height = 380;
constexpr int left = 60;
constexpr int top = 84;
constexpr int plot_width = width - left - 30;
constexpr int plot_height = height - top - 60;
constexpr std::size_t most_bars = 160;

using Bars = std::vector<Histogram::Bar>;

struct Axis {
  double low;
  double high;

  [[nodiscard]] double place(double nanoseconds) const {
    const double value = std::clamp(nanoseconds, low, high);
    return left + plot_width * std::log(value / low) / std::log(high / low);
  }
};

Axis axis_of(const Bars& bars) {
  const double low = std::max<double>(1, static_cast<double>(bars.front().low.count()));
  const double high = static_cast<double>(bars.back().high.count()) + 1;
  return {low, std::max(high, low * 1.01)};
}

std::string tick_label(double nanoseconds) {
  if (nanoseconds >= 1e9) return fmt::format("{:g} s", nanoseconds / 1e9);
  if (nanoseconds >= 1e6) return fmt::format("{:g} ms", nanoseconds / 1e6);
  return fmt::format("{:g} us", nanoseconds / 1e3);
}

/// At 1, 2 and 5 of each decade.
std::string ticks(const Axis& axis) {
  std::string text;
  for (double decade = std::pow(10, std::floor(std::log10(axis.low))); decade <= axis.high;
       decade *= 10) {
    for (const double step : {1.0, 2.0, 5.0}) {
      const double at = decade * step;
      if (at < axis.low || at > axis.high) continue;
      text += fmt::format(
          "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#e4e4e4\"/>\n"
          "<text x=\"{0:.1f}\" y=\"{3}\" fill=\"#555\" text-anchor=\"middle\">{4}</text>\n",
          axis.place(at), top, top + plot_height, top + plot_height + 16, tick_label(at));
    }
  }
  return text;
}

std::string columns(const Bars& bars, const Axis& axis) {
  std::uint64_t tallest = 1;
  for (const auto& bar : bars)
    tallest = std::max(tallest, bar.count);
  std::string text =
      fmt::format("<text x=\"{}\" y=\"{}\" fill=\"#555\" text-anchor=\"end\">{}</text>\n", left - 6,
                  top + 10, tallest);
  for (const auto& bar : bars) {
    if (bar.count == 0) continue;
    const double share = static_cast<double>(bar.count) / static_cast<double>(tallest);
    const double tall = std::max(1.0, share * plot_height);
    const double from = axis.place(static_cast<double>(bar.low.count()));
    const double to = axis.place(static_cast<double>(bar.high.count()) + 1);
    text += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"#1f6fb4\"/>\n",
        from, top + plot_height - tall, std::max(1.0, to - from - 0.5), tall);
  }
  return text;
}

std::string percentiles(const Histogram& latency, const Axis& axis) {
  static constexpr std::array<std::pair<const char*, std::uint32_t>, 4> lines{
      std::pair{"p50", 50'000U}, std::pair{"p90", 90'000U}, std::pair{"p99", 99'000U},
      std::pair{"p99.9", 99'900U}};
  std::string text;
  int step = 0;  // labels one below the other, for the lines may be close
  for (const auto& [label, per_100000] : lines) {
    const double x = axis.place(static_cast<double>(latency.quantile(per_100000).count()));
    text += fmt::format(
        "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#c1440e\" "
        "stroke-dasharray=\"4 3\"/>\n"
        "<text x=\"{3:.1f}\" y=\"{4}\" fill=\"#c1440e\">{5}</text>\n",
        x, top, top + plot_height, x + 3, top + 12 + 13 * step++, label);
  }
  return text;
}

}  // namespace

std::string to_svg(const Report& report) {
  const auto& latency = report.result.tally.latency;
  const auto& tally = report.result.tally;
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"11\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n"
      "<text x=\"{2}\" y=\"24\" font-size=\"15\" font-weight=\"bold\">Latency of LP registration, "
      "{3}</text>\n"
      "<text x=\"{2}\" y=\"42\" fill=\"#555\">{4}; {5:.1f} registrations/s, {6} ok, {7} "
      "failed</text>\n",
      width, height, left, xml_escaped(printable(report.description.address)),
      xml_escaped(describe_loop(report.plan)), report.result.rate(), tally.ok,
      tally.attempts - tally.ok);
  text += fmt::format(
      "<text x=\"{}\" y=\"58\" fill=\"#555\">min {}, p50 {}, p90 {}, p99 {}, p99.9 {}, max "
      "{}</text>\n",
      left, options::format_duration(latency.min()),
      options::format_duration(latency.quantile(50'000)),
      options::format_duration(latency.quantile(90'000)),
      options::format_duration(latency.quantile(99'000)),
      options::format_duration(latency.quantile(99'900)), options::format_duration(latency.max()));
  if (const auto bars = latency.bars(most_bars); !bars.empty()) {
    const Axis axis = axis_of(bars);
    text += ticks(axis) + columns(bars, axis) + percentiles(latency, axis);
  }
  text += fmt::format(
      "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\" stroke=\"black\"/>\n"
      "<text x=\"{3}\" y=\"{4}\" fill=\"#555\" text-anchor=\"middle\">latency{5}</text>\n</svg>\n",
      left, left + plot_width, top + plot_height, left + plot_width / 2, top + plot_height + 38,
      report.plan.rate ? ", from when a registration was due" : "");
  return text;
}

}  // namespace lp::probe::load
