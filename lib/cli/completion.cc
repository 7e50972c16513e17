#include "lib/cli/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "lib/base/exit_code.h"
#include "lib/cli/completion_script.h"

namespace lp::cli {
namespace {

constexpr std::array<std::string_view, 3> shell_names{"bash", "zsh", "fish"};

Values values_of(std::string_view name, std::string_view value_name, const Hints& hints) {
  if (const auto hint = hints.find(name); hint != hints.end()) return hint->second;
  return {.files = value_name == "FILE", .directories = value_name == "DIR"};
}

/// Help in one line.
std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

ScriptOption describe(const CLI::Option& option, const Hints& hints) {
  ScriptOption described;
  for (const auto& name : option.get_snames())
    described.names.push_back("-" + name);
  for (const auto& name : option.get_lnames())
    described.names.push_back("--" + name);
  described.help = one_line(option.get_description());
  if (option.get_items_expected_max() == 0) return described;  // a flag
  described.value_name = option.get_type_name().empty() ? "VALUE" : option.get_type_name();
  described.values = values_of(described.names.back(), described.value_name, hints);
  described.repeats = option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
  return described;
}

void add_own_options(ScriptCommand& command, const CLI::App& app, const Hints& hints) {
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) {
      auto described = describe(*option, hints);
      const auto same = [&](const ScriptOption& other) { return other.names == described.names; };
      if (std::ranges::none_of(command.options, same))
        command.options.push_back(std::move(described));
      continue;
    }
    command.takes_arguments = true;
    const auto values = values_of(option->get_name(true), option->get_type_name(), hints);
    command.arguments.files |= values.files;
    command.arguments.directories |= values.directories;
    command.arguments.words.insert(command.arguments.words.end(), values.words.begin(),
                                   values.words.end());
  }
}

/// `app` and all below it. `parent` is a copy: what it lies in grows.
void add_command(Script& script, const CLI::App& app, const ScriptCommand& parent,
                 const Hints& hints) {
  ScriptCommand command;
  const bool is_program = script.commands.empty();
  if (!is_program) {
    command.name = app.get_name();
    command.path = parent.path.empty() ? command.name : parent.path + " " + command.name;
    if (app.get_fallthrough()) command.options = parent.options;
  }
  command.help = one_line(app.get_description());
  add_own_options(command, app, hints);
  const auto below = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* sub : below)
    command.commands.push_back(sub->get_name());
  script.commands.push_back(command);
  for (const CLI::App* sub : below)
    add_command(script, *sub, command, hints);
}

}  // namespace

std::optional<Shell> parse_shell(std::string_view name) {
  const auto found = std::ranges::find(shell_names, name);
  if (found == shell_names.end()) return std::nullopt;
  return static_cast<Shell>(found - shell_names.begin());
}

std::string completion(const CLI::App& app, Shell shell, const Hints& hints) {
  Hints all = hints;
  all["SHELL"] = {.words = {shell_names.begin(), shell_names.end()}};
  Script script{.program = app.get_name(), .commands = {}};
  add_command(script, app, {}, all);
  switch (shell) {
    case Shell::bash:
      return bash_completion(script);
    case Shell::zsh:
      return zsh_completion(script);
    case Shell::fish:
      break;
  }
  return fish_completion(script);
}

CompletionCommand::CompletionCommand(CLI::App& app)
    : app_(app),
      command_(app.add_subcommand("completion", "Print completions for a shell, to be sourced")) {
  command_->add_option("SHELL", shell_, "bash, zsh or fish")
      ->required()
      ->type_name("")
      ->check(CLI::IsMember(std::vector<std::string>(shell_names.begin(), shell_names.end()))
                  .description(""));
}

bool CompletionCommand::parsed() const {
  return command_->parsed();
}

std::string CompletionCommand::script(const Hints& hints) const {
  return completion(app_, parse_shell(shell_).value_or(Shell::bash), hints);
}

int CompletionCommand::print(const Hints& hints) const {
  const std::string text = script(hints);
  const bool printed = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  return static_cast<int>(printed ? ExitCode::ok : ExitCode::cannot_create);
}

std::string identifier(std::string_view name) {
  std::string text(name);
  std::ranges::replace_if(text, [](char c) { return c == '-' || c == ' '; }, '_');
  return text;
}

std::string shell_quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
    } else {
      result += c;
    }
  }
  return result + "'";
}

}  // namespace lp::cli
