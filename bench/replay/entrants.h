// What is compared: each kernel of the library, one counter at a time and in batches, and others.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/replay/kernel.h"

namespace lp::bench {

using Counters = std::span<const std::uint64_t>;

struct Entrant {
  enum class Kind { other, single, batch, again };

  std::string name;
  Kind kind;
  const replay::Kernel* kernel;  ///< of ours; null for others
  /// Validates a trace with a fresh window, from the first counter to the last. What is timed.
  void (*pass)(Counters counters, std::size_t batch_size);
  /// The same, and writes for each counter whether it was accepted.
  void (*accepted)(Counters counters, std::size_t batch_size, std::span<bool> accepted);

  [[nodiscard]] bool ours() const { return kernel != nullptr; }
};

/// The others, then each of `kernels` twice, and last the first kernel's single call once more: two
/// measurements of one thing, which tell how much the others can be believed.
std::vector<Entrant> make_entrants(std::span<const replay::Kernel* const> kernels);

}  // namespace lp::bench
