// Completion scripts for shells, made from a program's own options and commands: `PROGRAM
// completion bash`. What CLI11 does not tell of an option, which values it has, comes as hints.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace lp::cli {

enum class Shell : std::uint8_t { bash, zsh, fish };
/// By the names above.
[[nodiscard]] std::optional<Shell> parse_shell(std::string_view name);

/// What a value may be. Neither words nor files: anything, and nothing is offered.
struct Values {
  std::vector<std::string> words = {};  ///< of letters, digits and -_.:= alone
  bool files = false;
  bool directories = false;
};

/// Of options by their long name ("--format"), of arguments by theirs ("INPUT"), in all commands
/// alike. What is not here is a file or a directory where its value is called FILE or DIR.
using Hints = std::map<std::string, Values, std::less<>>;

/// The script for a program of the name that `app` has, with all of its commands. Needs no file but
/// itself: it may be sourced, or installed where the shell looks for completions.
[[nodiscard]] std::string completion(const CLI::App& app, Shell shell, const Hints& hints);

/// `completion SHELL` as a command of `app`, which must outlive it. Stays where it is until the
/// command line has been parsed.
class CompletionCommand {
 public:
  explicit CompletionCommand(CLI::App& app);
  CompletionCommand(const CompletionCommand&) = delete;
  CompletionCommand& operator=(const CompletionCommand&) = delete;
  ~CompletionCommand() = default;

  [[nodiscard]] bool parsed() const;
  /// Once it was parsed.
  [[nodiscard]] std::string script(const Hints& hints) const;
  /// The script on standard output. The program's exit status: 0, or 73 where it cannot be written.
  [[nodiscard]] int print(const Hints& hints) const;

 private:
  const CLI::App& app_;
  CLI::App* command_;
  std::string shell_;
};

}  // namespace lp::cli
