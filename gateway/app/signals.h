// Signals as things to wait for.
#pragma once

#include <chrono>
#include <functional>

namespace lp::gateway::app {

/// Blocks SIGTERM, SIGINT and SIGHUP for this thread and those it will start, and ignores SIGPIPE.
/// To be called before any thread is started.
void block_signals();

struct SignalActions {
  std::function<void()> reload;  ///< on SIGHUP, on the waiting thread
  std::function<void()> stop;    ///< on the first SIGTERM or SIGINT, on a thread of its own
};

/// How long `stop` may take before the process ends without it.
inline constexpr std::chrono::milliseconds longest_stop{9'500};

/// Waits for signals until `stop` has returned. A second SIGINT, a person's impatience, ends the
/// process at once; a second SIGTERM changes nothing.
void wait_for_signals(const SignalActions& actions);

}  // namespace lp::gateway::app
