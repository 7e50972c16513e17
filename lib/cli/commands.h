// Command lines of the form PROGRAM COMMAND [COMMAND]: what is said where a command is missing or
// is none. CLI11 has sentences for that as well, which name no word that was typed.
#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace lp::cli {

/// The command that was given, as far as the words went: `token` of "token dance". The program
/// itself where none was.
[[nodiscard]] const CLI::App& last_command(const CLI::App& program);

/// "add, list, revoke"; empty where there are none.
[[nodiscard]] std::string commands_of(const CLI::App& command);

/// Names the first argument that nothing took. `otherwise` where that cannot be told.
[[nodiscard]] std::string unknown_argument(const CLI::App& program, std::string_view otherwise);

/// Says `sentence` on standard error, and which --help is the one to read. Returns the exit status
/// of wrong usage.
int wrong_usage(const CLI::App& program, std::string_view sentence);

}  // namespace lp::cli
