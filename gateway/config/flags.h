// The settings as flags of a command.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "gateway/config/layers.h"

namespace CLI {
class App;
}

namespace lp::gateway::config {

/// Collects what is given on the command line. Must stay where it is until the command line has
/// been parsed.
class SettingFlags {
 public:
  /// Adds a flag for every setting; with `only_data_dir` for that one alone.
  void add_to(CLI::App& command, bool only_data_dir = false);
  /// What was given, after parsing.
  [[nodiscard]] Layer layer() const;

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> given_;
};

}  // namespace lp::gateway::config
