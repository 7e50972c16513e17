// The plot: three panels a row, their bars on one logarithmic scale, so that panels compare.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/replay/report.h"
#include "lib/base/encoding.h"

namespace lp::bench {
namespace {

constexpr int columns = 3;
constexpr int panel_width = 400;
constexpr int label_width = 110;
constexpr int value_width = 60;
constexpr int bar_height = 14;
constexpr int bar_step = 18;
constexpr int title_height = 44;
constexpr int header_height = 70;
constexpr double bar_width = panel_width - label_width - value_width;

/// Decades: 10^low … 10^high nanoseconds.
struct Scale {
  int low;
  int high;

  [[nodiscard]] double place(double nanoseconds) const {
    return bar_width * (std::log10(nanoseconds) - low) / (high - low);
  }
};

/// The decades around all minima.
Scale scale_of(const Report& report) {
  double low = 1;
  double high = 1;
  for (const auto& trace : report.samples) {
    for (const auto& entrant : trace) {
      low = std::min(low, minimum(entrant));
      high = std::max(high, minimum(entrant));
    }
  }
  const int lowest = static_cast<int>(std::floor(std::log10(low)));
  const int highest = static_cast<int>(std::ceil(std::log10(high)));
  return {lowest, std::max(highest, lowest + 1)};
}

const char* colour(const Entrant& entrant) {
  switch (entrant.kind) {
    case Entrant::Kind::other:
      return "#8c8c8c";
    case Entrant::Kind::single:
      return "#1f6fb4";
    case Entrant::Kind::batch:
      return "#2a9d5c";
    case Entrant::Kind::again:
      return "#a9cbe6";
  }
  return "black";
}

std::string panel(const Report& report, std::size_t trace, const Scale& scale) {
  const auto bars = static_cast<int>(report.entrants.size());
  std::string text = fmt::format(
      "<text x=\"0\" y=\"14\" font-weight=\"bold\">{}</text>\n"
      "<text x=\"0\" y=\"29\" fill=\"#555\">{}</text>\n",
      report.traces[trace].name, report.traces[trace].what);
  for (int decade = scale.low; decade <= scale.high; ++decade) {
    const double tick = std::pow(10, decade);
    const double x = label_width + scale.place(tick);
    text += fmt::format(
        "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#ddd\"/>\n"
        "<text x=\"{0:.1f}\" y=\"{3}\" fill=\"#555\" text-anchor=\"middle\">{4:g}</text>\n",
        x, title_height - 6, title_height + bars * bar_step, title_height + bars * bar_step + 12,
        tick);
  }
  for (int i = 0; i < bars; ++i) {
    const Entrant& entrant = report.entrants[static_cast<std::size_t>(i)];
    const double time = minimum(report.samples[trace][static_cast<std::size_t>(i)]);
    const int y = title_height + i * bar_step;
    text += fmt::format(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n"
        "<rect x=\"{}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" fill=\"{}\"/>\n"
        "<text x=\"{:.1f}\" y=\"{}\">{:.2f}</text>\n",
        label_width - 6, y + 11, entrant.name, label_width, y, scale.place(time), bar_height,
        colour(entrant), label_width + scale.place(time) + 4, y + 11, time);
  }
  return text;
}

}  // namespace

std::string to_svg(const Report& report) {
  const int panel_height = title_height + static_cast<int>(report.entrants.size()) * bar_step + 30;
  const int rows = (static_cast<int>(report.traces.size()) + columns - 1) / columns;
  const int width = columns * (panel_width + 30) + 20;
  const int height = header_height + rows * panel_height;
  const Scale scale = scale_of(report);
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"11\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n"
      "<text x=\"20\" y=\"24\" font-size=\"15\" font-weight=\"bold\">Replay windows: nanoseconds "
      "per counter, minimum of {2} rounds</text>\n"
      "<text x=\"20\" y=\"42\" fill=\"#555\">{3}; {4}; {5}; batches of {6}; logarithmic "
      "scale</text>\n",
      width, height, report.plan.rounds, xml_escaped(report.machine.cpu),
      xml_escaped(report.machine.system), xml_escaped(report.machine.compiler),
      report.plan.batch_size);
  for (std::size_t t = 0; t < report.traces.size(); ++t) {
    const auto place = static_cast<int>(t);
    text += fmt::format("<g transform=\"translate({},{})\">\n{}</g>\n",
                        20 + place % columns * (panel_width + 30),
                        header_height + place / columns * panel_height, panel(report, t, scale));
  }
  return text + "</svg>\n";
}

}  // namespace lp::bench
