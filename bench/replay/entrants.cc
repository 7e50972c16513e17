#include "bench/replay/entrants.h"

#include <benchmark/benchmark.h>

#include <algorithm>

#include "bench/replay/others.h"
#include "lib/replay/window.h"

namespace lp::bench {
namespace {

using replay::Verdict;

/// The library's window, called as the others are.
class Ours {
 public:
  bool accepts(std::uint64_t counter) { return window_.validate(counter) == Verdict::accept; }

 private:
  replay::Window window_;
};

/// Between two packets a program does other things: the window lies in memory then, for all alike.
/// Aligned, so that where the linker puts it makes no difference: it does, to loops of two cycles.
template <typename Window>
[[gnu::noinline, gnu::aligned(64)]] void pass(Counters counters, std::size_t) {
  Window window;
  benchmark::DoNotOptimize(&window);
  std::size_t accepted = 0;
  for (const std::uint64_t counter : counters) {
    accepted += window.accepts(counter) ? 1 : 0;
    benchmark::ClobberMemory();
  }
  benchmark::DoNotOptimize(accepted);
}

template <typename Window>
void accepted(Counters counters, std::size_t, std::span<bool> accepted) {
  Window window;
  for (std::size_t i = 0; i < counters.size(); ++i)
    accepted[i] = window.accepts(counters[i]);
}

[[gnu::noinline]] void pass_batches(Counters counters, std::size_t batch_size) {
  replay::Window window;
  std::vector<Verdict> verdicts(batch_size);
  while (!counters.empty()) {
    const Counters batch = counters.first(std::min(batch_size, counters.size()));
    window.validate(batch, verdicts);
    benchmark::DoNotOptimize(verdicts.data());
    benchmark::ClobberMemory();
    counters = counters.subspan(batch.size());
  }
}

void accepted_in_batches(Counters counters, std::size_t batch_size, std::span<bool> accepted) {
  replay::Window window;
  std::vector<Verdict> verdicts(batch_size);
  for (std::size_t i = 0; i < counters.size(); i += batch_size) {
    const Counters batch = counters.subspan(i, std::min(batch_size, counters.size() - i));
    window.validate(batch, verdicts);
    for (std::size_t j = 0; j < batch.size(); ++j)
      accepted[i + j] = verdicts[j] == Verdict::accept;
  }
}

template <typename Window>
Entrant other(std::string name) {
  return {std::move(name), Entrant::Kind::other, nullptr, pass<Window>, accepted<Window>};
}

}  // namespace

std::vector<Entrant> make_entrants(std::span<const replay::Kernel* const> kernels) {
  std::vector<Entrant> entrants = {other<LinuxRing>("linux-ring"),
                                   other<BitClearing>("bit-clearing"), other<Shifting>("shifting")};
  for (const replay::Kernel* kernel : kernels) {
    entrants.push_back({kernel->name, Entrant::Kind::single, kernel, pass<Ours>, accepted<Ours>});
  }
  for (const replay::Kernel* kernel : kernels) {
    entrants.push_back({std::string(kernel->name) + "-batch", Entrant::Kind::batch, kernel,
                        pass_batches, accepted_in_batches});
  }
  entrants.push_back({std::string(kernels.front()->name) + "-again", Entrant::Kind::again,
                      kernels.front(), pass<Ours>, accepted<Ours>});
  return entrants;
}

}  // namespace lp::bench
