#include "bench/replay/measure.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>

#include "lib/replay/dispatch.h"

namespace lp::bench {
namespace {

using Clock = std::chrono::steady_clock;

void run_once(benchmark::State& state, const Entrant& entrant, Counters counters,
              std::size_t batch_size) {
  if (entrant.ours()) replay::use_kernel(*entrant.kernel);
  for ([[maybe_unused]] auto iteration : state) {
    const auto begin = Clock::now();
    entrant.pass(counters, batch_size);
    const std::chrono::duration<double> time = Clock::now() - begin;
    state.SetIterationTime(time.count());
  }
}

/// Keeps the times in the order of the registrations.
class Collector : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs)
      nanoseconds_.push_back(run.GetAdjustedRealTime() / static_cast<double>(trace_size));
  }
  [[nodiscard]] const std::vector<double>& nanoseconds() const { return nanoseconds_; }

 private:
  std::vector<double> nanoseconds_;
};

/// Which entrant has the n-th turn: the start moves on by one from round to round, and every other
/// round goes the other way, so that nobody always follows the same one.
std::size_t turn(std::size_t n, std::size_t round, std::size_t count) {
  const std::size_t place = (n + round) % count;
  return round % 2 == 0 ? place : count - 1 - place;
}

}  // namespace

Samples measure(std::span<const Entrant> entrants, std::span<const TraceKind> traces,
                const Plan& plan) {
  Samples samples(traces.size(), std::vector<std::vector<double>>(entrants.size()));
  for (std::size_t round = 0; round < plan.rounds; ++round) {
    for (std::size_t t = 0; t < traces.size(); ++t) {
      const auto counters = traces[t].make(seed_of_round(plan.seed, round));
      benchmark::ClearRegisteredBenchmarks();
      for (std::size_t n = 0; n < entrants.size(); ++n) {
        const Entrant& entrant = entrants[turn(n, round, entrants.size())];
        benchmark::RegisterBenchmark(entrant.name.c_str(),
                                     [&, counters = Counters(counters)](benchmark::State& state) {
                                       run_once(state, entrant, counters, plan.batch_size);
                                     })
            ->Iterations(1)
            ->UseManualTime();
      }
      Collector collector;
      benchmark::RunSpecifiedBenchmarks(&collector);
      for (std::size_t n = 0; n < entrants.size(); ++n) {
        samples[t][turn(n, round, entrants.size())].push_back(collector.nanoseconds().at(n));
      }
    }
  }
  return samples;
}

double minimum(const std::vector<double>& samples) {
  return std::ranges::min(samples);
}

}  // namespace lp::bench
