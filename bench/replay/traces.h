// The orders in which counters arrive.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lp::bench {

constexpr std::size_t trace_size = 65'536;

struct TraceKind {
  std::string_view name;
  std::string_view what;
  std::vector<std::uint64_t> (*make)(std::uint64_t seed);  ///< trace_size counters
};

/// All of them, in the order of the reports.
std::span<const TraceKind> trace_kinds();

}  // namespace lp::bench
