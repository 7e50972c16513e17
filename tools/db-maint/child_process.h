// Runs another program to its end.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/db-maint/failure.h"

namespace lp::db_maint {

struct ChildEnd {
  int code = 0;              ///< what it exited with; 128 + the signal that killed it
  std::string error_output;  ///< the first 4 KiB
};

/// `command` is looked for in PATH. Its input is empty and its output thrown away. `environment` is
/// added to ours. `while_running` is called some times a second; a signal that interrupts this
/// program ends the child too. Fails with unavailable where the system does, and with config where
/// there is no such program.
[[nodiscard]] Outcome<ChildEnd> run_child(const std::vector<std::string>& command,
                                          const std::map<std::string, std::string>& environment,
                                          const std::function<void()>& while_running);

}  // namespace lp::db_maint
