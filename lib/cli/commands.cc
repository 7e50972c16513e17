#include "lib/cli/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <tuple>

#include "lib/base/exit_code.h"
#include "lib/cli/values.h"

namespace lp::cli {

const CLI::App& last_command(const CLI::App& program) {
  const CLI::App* last = &program;
  while (!last->get_subcommands().empty())
    last = last->get_subcommands().front();
  return *last;
}

std::string commands_of(const CLI::App& command) {
  std::string names;
  for (const CLI::App* one : command.get_subcommands({}))
    names += (names.empty() ? "" : ", ") + one->get_name();
  return names;
}

std::string unknown_argument(const CLI::App& program, std::string_view otherwise) {
  const auto left = program.remaining(true);
  if (left.empty()) return std::string(otherwise);
  const std::string& word = left.front();
  if (word.starts_with("-")) return fmt::format("unknown flag {}", word.substr(0, word.find('=')));
  const std::string commands = commands_of(last_command(program));
  if (commands.empty()) return fmt::format("unexpected argument \"{}\"", word);
  return fmt::format("there is no command \"{}\", but {}", word, commands);
}

int wrong_usage(const CLI::App& program, std::string_view sentence) {
  std::string command;
  for (const CLI::App* app = &last_command(program); app != nullptr; app = app->get_parent())
    command.insert(0, app->get_name() + " ");
  // Not with fmt::print, which throws where nobody reads.
  std::ignore = std::fputs(
      fmt::format("{}: {}\nTry {}--help\n", program.get_name(), printable(sentence), command)
          .c_str(),
      stderr);
  return static_cast<int>(ExitCode::usage);
}

}  // namespace lp::cli
