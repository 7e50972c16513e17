// File descriptors kept back from connections.
#pragma once

#include <cstddef>
#include <vector>

#include "gateway/connection/unique_fd.h"

namespace lp::gateway::connection {

/// Descriptors that are open for nothing, so that when accepting has used up all others, the rest
/// of the process (a database's journal, an HTTP client, a resolver) still gets some. Not
/// thread-safe.
class DescriptorReserve {
 public:
  static constexpr std::size_t size = 16;

  /// Fills the reserve as far as it goes.
  DescriptorReserve();

  /// Lets the process have them.
  void release() noexcept;
  /// Takes them back, where there is also one more for a connection; else changes nothing.
  [[nodiscard]] bool restore();

 private:
  std::vector<UniqueFd> held_;
};

}  // namespace lp::gateway::connection
