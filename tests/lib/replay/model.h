// The replay window as the protocol defines it, with every counter kept. No GoogleTest here: the
// check under an emulator uses it too.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "lib/replay/dispatch.h"

namespace lp::replay {

constexpr std::uint64_t end_of_counters = UINT64_MAX;

/// What tests with every kernel run over.
inline std::vector<const Kernel*> supported_kernels() {
  std::vector<const Kernel*> kernels;
  for (const auto& [kernel, supported] : candidates()) {
    if (supported) kernels.push_back(kernel);
  }
  return kernels;
}

/// lp-protocol(7), "Replay window", word for word. The set is a sorted vector, for it is copied
/// often.
class Model {
 public:
  [[nodiscard]] Verdict check(std::uint64_t counter) const {
    if (seen_.empty() || counter > highest()) return Verdict::accept;
    if (highest() - counter > 1023) return Verdict::too_old;
    return std::ranges::binary_search(seen_, counter) ? Verdict::duplicate : Verdict::accept;
  }
  Verdict validate(std::uint64_t counter) {
    const Verdict verdict = check(counter);
    if (verdict == Verdict::accept) {
      seen_.insert(std::ranges::upper_bound(seen_, counter), counter);
    }
    return verdict;
  }
  [[nodiscard]] std::uint64_t highest() const { return seen_.back(); }
  /// In ascending order.
  [[nodiscard]] const std::vector<std::uint64_t>& seen() const { return seen_; }

 private:
  std::vector<std::uint64_t> seen_;
};

}  // namespace lp::replay
