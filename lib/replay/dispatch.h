// Which replay kernel this process uses. It is chosen once, before main: the best that the
// processor supports and that gives the known answers (known_answers.h), or the one that the
// environment variable LP_REPLAY_KERNEL names. A name that is unknown, not supported here or of a
// kernel that answers wrongly changes nothing, and describe() says so.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lib/replay/kernel.h"

namespace lp::replay {

/// The kernel in use: scalar until the choice is made, so that static objects may use windows.
extern constinit const Kernel* active_kernel;

struct Candidate {
  const Kernel* kernel;
  bool supported;  ///< by this processor
};

/// The kernels of this build, the best first.
[[nodiscard]] std::vector<Candidate> candidates();

struct Selection {
  enum class Asked { nothing, used, unknown, unsupported, wrong };

  const Kernel* kernel;          ///< null if every supported kernel answers wrongly
  Asked asked = Asked::nothing;  ///< what became of LP_REPLAY_KERNEL
  std::string asked_name = {};
  std::vector<std::string> known = {};  ///< all kernels of the build
  std::vector<std::string> wrong = {};  ///< tested, answered wrongly, and not used
};

/// Chooses among kernels. `asked` may be null or empty: nothing is asked for.
[[nodiscard]] Selection select(std::span<const Candidate> kernels, const char* asked);

/// The choice of this process. Not for static objects, which may be made before it.
[[nodiscard]] const Selection& selection();

/// One line for operators: the kernel's name, and in brackets what did not go as asked.
[[nodiscard]] std::string describe(const Selection& selection);

/// Makes `kernel` the active one. For tests and benchmarks: no window may be in use by another
/// thread.
void use_kernel(const Kernel& kernel) noexcept;

}  // namespace lp::replay
