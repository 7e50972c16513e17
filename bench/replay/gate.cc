#include "bench/replay/gate.h"

#include <algorithm>
#include <memory>
#include <set>

#include "lib/replay/dispatch.h"

namespace lp::bench {
namespace {

/// lp-protocol(7), "Replay window", word for word.
class Model {
 public:
  bool accepts(std::uint64_t counter) {
    if (seen_.empty() || counter > *seen_.rbegin()) {
      seen_.insert(counter);
      // What is below the window is refused without a look at the set.
      if (counter >= 1024) seen_.erase(seen_.begin(), seen_.lower_bound(counter - 1023));
      return true;
    }
    if (*seen_.rbegin() - counter > 1023) return false;
    return seen_.insert(counter).second;
  }

 private:
  std::set<std::uint64_t> seen_;
};

}  // namespace

std::vector<Difference> find_differences(std::span<const Entrant> entrants,
                                         std::span<const TraceKind> traces, std::uint64_t seed,
                                         std::size_t batch_size) {
  std::vector<Difference> differences;
  const auto expected = std::make_unique<bool[]>(trace_size);
  const auto accepted = std::make_unique<bool[]>(trace_size);
  for (const TraceKind& trace : traces) {
    const auto counters = trace.make(seed);
    Model model;
    std::ranges::transform(counters, expected.get(),
                           [&model](std::uint64_t counter) { return model.accepts(counter); });
    for (const Entrant& entrant : entrants) {
      if (entrant.ours()) replay::use_kernel(*entrant.kernel);
      entrant.accepted(counters, batch_size, std::span(accepted.get(), trace_size));
      const auto [right, said] =
          std::mismatch(expected.get(), expected.get() + trace_size, accepted.get());
      if (said == accepted.get() + trace_size) continue;
      const auto index = static_cast<std::size_t>(said - accepted.get());
      differences.push_back(
          {entrant.name, entrant.ours(), std::string(trace.name), index, counters[index], *said});
    }
  }
  return differences;
}

}  // namespace lp::bench
