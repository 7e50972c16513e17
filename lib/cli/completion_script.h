// What the writers of lib/cli/completion.h share: a program's commands and options as shells need
// to know them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/cli/completion.h"

namespace lp::cli {

struct ScriptOption {
  std::vector<std::string> names;  ///< with dashes, short ones first
  std::string help;
  std::string value_name;  ///< empty for a flag
  Values values;
  bool repeats = false;

  [[nodiscard]] bool takes_value() const { return !value_name.empty(); }
};

struct ScriptCommand {
  std::string path;  ///< "wallet list"; empty for the program itself
  std::string name;
  std::string help;
  std::vector<ScriptOption> options;  ///< with those of parents, where the command takes them
  std::vector<std::string> commands;  ///< names of those below
  Values arguments;                   ///< of all of its arguments together
  bool takes_arguments = false;
};

struct Script {
  std::string program;
  std::vector<ScriptCommand> commands;  ///< the program itself first
};

[[nodiscard]] std::string bash_completion(const Script& script);
[[nodiscard]] std::string zsh_completion(const Script& script);
[[nodiscard]] std::string fish_completion(const Script& script);

/// "lp-probe" as part of a function's name: "lp_probe".
[[nodiscard]] std::string identifier(std::string_view name);
/// In single quotes, for bash and zsh.
[[nodiscard]] std::string shell_quoted(std::string_view text);

}  // namespace lp::cli
