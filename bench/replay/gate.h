// What must hold before anything is timed: every verdict is right.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bench/replay/entrants.h"
#include "bench/replay/traces.h"

namespace lp::bench {

/// An entrant whose verdict is not the model's: what it said wrongly first.
struct Difference {
  std::string entrant;
  bool ours;
  std::string trace;
  std::size_t index;
  std::uint64_t counter;
  bool accepted;
};

/// Compares every entrant on every trace, made from `seed`, with a model that keeps a set of the
/// counters it has accepted.
std::vector<Difference> find_differences(std::span<const Entrant> entrants,
                                         std::span<const TraceKind> traces, std::uint64_t seed,
                                         std::size_t batch_size);

}  // namespace lp::bench
