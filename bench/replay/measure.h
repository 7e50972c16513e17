// Times taken in rounds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "bench/replay/entrants.h"
#include "bench/replay/traces.h"

namespace lp::bench {

struct Plan {
  std::size_t rounds;
  std::uint64_t seed;
  std::size_t batch_size;
};

/// Nanoseconds per counter: samples[trace][entrant][round].
using Samples = std::vector<std::vector<std::vector<double>>>;

/// The seed of a round's traces. Each round has traces of its own: a processor learns the branches
/// of one that it sees again and again, and no receiver sees the same packets twice.
constexpr std::uint64_t seed_of_round(std::uint64_t seed, std::size_t round) {
  return seed + round * 1'000'003;
}

/// In each round every entrant takes every trace once, with Google Benchmark's runner. The order of
/// the entrants is another one in each round.
Samples measure(std::span<const Entrant> entrants, std::span<const TraceKind> traces,
                const Plan& plan);

double minimum(const std::vector<double>& samples);

}  // namespace lp::bench
