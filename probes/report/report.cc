#include "probes/report/report.h"

#include <fmt/format.h>

#include <array>

namespace lp::probe::report {

std::string_view name(IdentitySource source) noexcept {
  static constexpr std::array<std::string_view, 5> names{"unknown", "given", "http_unverified",
                                                         "http_trusted", "http_expected"};
  return names[static_cast<std::size_t>(source)];
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
