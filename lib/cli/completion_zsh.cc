#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lib/cli/completion_script.h"

namespace lp::cli {
namespace {

/// In an option's description or a value's name, where these mean something.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

/// What _arguments does for a value or an argument.
std::string action(const Values& values) {
  const std::string files = values.files ? "_files" : values.directories ? "_files -/" : "";
  if (values.words.empty()) return files.empty() ? " " : files;
  const std::string words = fmt::format("{}", fmt::join(values.words, " "));
  return files.empty() ? fmt::format("({})", words)
                       : fmt::format("{{compadd {}; {}}}", words, files);
}

/// A specification for each of the option's names.
std::string option_specs(const ScriptOption& option) {
  std::string text;
  const bool ends = std::ranges::count(option.names, "--help") != 0;
  for (const auto& name : option.names) {
    std::string spec = option.repeats ? "*"
                       : ends         ? "(- *)"
                                      : fmt::format("({})", fmt::join(option.names, " "));
    spec += name;
    if (option.takes_value()) spec += name.starts_with("--") ? "=" : "+";
    spec += fmt::format("[{}]", escaped(option.help));
    if (option.takes_value()) {
      spec += fmt::format(":{}:{}", escaped(option.value_name), action(option.values));
    }
    text += fmt::format("    {}\n", shell_quoted(spec));
  }
  return text;
}

std::string all_specs(const ScriptCommand& command) {
  std::string text;
  for (const auto& option : command.options)
    text += option_specs(option);
  return text;
}

std::string function_name(const Script& script, const ScriptCommand& command) {
  return "_" + script.program + (command.path.empty() ? "" : "_" + identifier(command.path));
}

const ScriptCommand& below(const Script& script, const ScriptCommand& command,
                           const std::string& name) {
  const std::string path = command.path.empty() ? name : command.path + " " + name;
  return *std::ranges::find(script.commands, path, &ScriptCommand::path);
}

/// A command without others below it.
std::string leaf(const ScriptCommand& command, std::size_t specs) {
  std::string text = fmt::format("  _arguments -s -S \"${{lp_options_{}[@]}}\"", specs);
  if (command.takes_arguments) text += " " + shell_quoted("*: :" + action(command.arguments));
  return text + "\n";
}

/// A command with others below it, of which the first word may be one.
std::string branch(const Script& script, const ScriptCommand& command, std::size_t specs) {
  std::string described;
  std::string cases;
  for (const auto& name : command.commands) {
    const ScriptCommand& sub = below(script, command, name);
    described += fmt::format("      {}\n", shell_quoted(name + ":" + sub.help));
    cases += fmt::format("    {}) {} && ret=0 ;;\n", name, function_name(script, sub));
  }
  return fmt::format(
      "  local curcontext=$curcontext state line ret=1\n"
      "  typeset -A opt_args\n"
      "  _arguments -C -s -S \"${{lp_options_{0}[@]}}\" '1: :->command' '*:: :->rest' && ret=0\n"
      "  case $state in\n"
      "  command)\n"
      "    local -a commands=(\n{1}    )\n"
      "    _describe -t commands command commands && ret=0\n"
      "    ;;\n"
      "  rest)\n"
      "    case $line[1] in\n{2}"
      "    *) _arguments -s -S \"${{lp_options_{0}[@]}}\" '*: :{3}' && ret=0 ;;\n"
      "    esac\n"
      "    ;;\n"
      "  esac\n"
      "  return ret\n",
      specs, described, cases, action(command.arguments));
}

}  // namespace

std::string zsh_completion(const Script& script) {
  std::vector<std::string> specs;  // commands with the same options share an array
  std::string functions;
  for (const auto& command : script.commands) {
    const std::string of_command = all_specs(command);
    const auto index =
        static_cast<std::size_t>(std::ranges::find(specs, of_command) - specs.begin());
    if (index == specs.size()) specs.push_back(of_command);
    const std::string what =
        command.commands.empty() ? leaf(command, index) : branch(script, command, index);
    const bool is_program = command.path.empty();
    // The arrays are the program's function's, and seen in those that it calls.
    functions += fmt::format("\n{}() {{\n{}{}}}\n", function_name(script, command),
                             is_program ? "LP_OPTIONS" : "", what);
  }
  std::string arrays;
  for (std::size_t i = 0; i < specs.size(); ++i)
    arrays += fmt::format("  local -a lp_options_{}=(\n{}  )\n", i, specs[i]);
  functions.replace(functions.find("LP_OPTIONS"), std::string_view("LP_OPTIONS").size(), arrays);
  // An installed file is loaded as the function of its name when it is first wanted.
  return fmt::format(
      "#compdef {0}\n"
      "# Completion of {0} for zsh, made by: {0} completion zsh\n"
      "{1}\n"
      "if [[ $funcstack[1] == _{0} ]]; then\n"
      "  _{0} \"$@\"\n"
      "else\n"
      "  compdef _{0} {0}\n"
      "fi\n",
      script.program, functions);
}

}  // namespace lp::cli
