#include "probes/report/report.h"

#include <fmt/format.h>

#include <array>

#include "probes/options/values.h"

namespace lp::probe::report {

std::string_view name(IdentitySource source) noexcept {
  static constexpr std::array<std::string_view, 5> names{"unknown", "given", "http_unverified",
                                                         "http_trusted", "http_expected"};
  return names[static_cast<std::size_t>(source)];
}

std::string describe_success(const Attempt& attempt) {
  using options::format_duration;
  const auto tunnel = attempt.time(Stage::tunnel);
  const auto before = attempt.total - tunnel.value_or(std::chrono::nanoseconds{});
  if (attempt.tunnel_only) {
    return fmt::format("tunnel checked in {}",
                       format_duration(tunnel.value_or(std::chrono::nanoseconds{})));
  }
  auto text = fmt::format("registered in {}", format_duration(before));
  if (tunnel) text += fmt::format(", tunnel checked in {}", format_duration(*tunnel));
  return text;
}

std::string_view success_word(const Statistics& statistics) {
  return statistics.stage(Stage::tunnel).sent > 0 ? "with a working tunnel" : "registered";
}

std::string describe_family(const tunnel::FamilyResult& family) {
  std::string text;
  const auto add = [&](std::string_view what, unsigned ok, unsigned all,
                       std::optional<std::chrono::nanoseconds> time) {
    if (all == 0) return;
    text += fmt::format("{}{} {}/{}", text.empty() ? "" : ", ", what, ok, all);
    if (time) text += fmt::format(" in {}", options::format_duration(*time));
  };
  const auto add_pings = [&](std::string_view what, const tunnel::PingCount& count) {
    add(what, count.received, count.sent,
        count.received == 0 ? std::nullopt : std::optional(count.mean));
  };
  add_pings("gateway", family.gateway);
  add_pings("addresses", family.ips);
  add("names", family.names_resolved, family.names_asked, family.dns_time);
  add_pings("hosts", family.hosts);
  return text;
}

std::string format_bytes(std::int64_t bytes) {
  static constexpr std::array<std::string_view, 7> units{"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while ((value >= 999.5 || value <= -999.5) && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.3g} {}", value, units[unit]);
}

}  // namespace lp::probe::report
