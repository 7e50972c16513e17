// Settings from the command line, the environment and the configuration file: a flag wins over a
// variable, a variable over the file. The packaged CLI11 parses flags and the file's syntax; who
// wins is decided here.
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "probes/options/settings.h"

namespace lp::probe::options {

/// Where the run is to end before it begins: text for a stream and an exit status.
struct Stop {
  std::string text;
  bool to_stdout = false;
  int exit_status = 0;
};

/// The value of an environment variable, or nothing.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// `args` without the program's name. The result is checked as a whole: targets have their
/// identities from --identity or -g, and options that contradict each other are refused.
[[nodiscard]] std::expected<Settings, Stop> load(const std::vector<std::string>& args,
                                                 const Environment& environment);

/// The process's environment.
[[nodiscard]] std::optional<std::string> process_environment(const std::string& name);

}  // namespace lp::probe::options
