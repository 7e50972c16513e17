#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "lib/cli/completion_script.h"

namespace lp::cli {
namespace {

std::string fish_quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result + "'";
}

/// What a value is, as flags of `complete`. Files are offered where nothing says otherwise.
std::string value_flags(const Values& values) {
  const std::string words = fmt::format("{}", fmt::join(values.words, " "));
  if (values.directories) return "-x -a '(__fish_complete_directories)'";
  const std::string kind = values.files ? "-r -F" : "-x";
  return words.empty() ? kind : kind + " -a " + fish_quoted(words);
}

std::string option_flags(const ScriptOption& option) {
  std::string text;
  for (const auto& name : option.names)
    text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  if (option.takes_value()) text += " " + value_flags(option.values);
  return text + " -d " + fish_quoted(option.help);
}

/// Lines in the order of their first command, with all commands that they are for.
class Lines {
 public:
  void add(const std::string& line, const std::string& path) {
    const auto same = std::ranges::find(lines_, line, &Line::first);
    if (same == lines_.end()) {
      lines_.emplace_back(line, fish_quoted(path));
    } else {
      same->second += " " + fish_quoted(path);
    }
  }

  [[nodiscard]] std::string text(const Script& script) const {
    std::string text;
    for (const auto& [line, paths] : lines_) {
      text += fmt::format("complete -c {} -n {}{}\n", script.program,
                          fish_quoted(fmt::format("__{}_at {}", identifier(script.program), paths)),
                          line);
    }
    return text;
  }

 private:
  using Line = std::pair<std::string, std::string>;
  std::vector<Line> lines_;
};

std::string lines_of(const Script& script) {
  Lines lines;
  for (const auto& command : script.commands) {
    for (const auto& option : command.options)
      lines.add(option_flags(option), command.path);
    if (command.arguments.files) lines.add(" -F", command.path);
    if (!command.arguments.words.empty()) {
      lines.add(" -a " + fish_quoted(fmt::format("{}", fmt::join(command.arguments.words, " "))),
                command.path);
    }
    if (command.path.empty()) continue;
    const auto space = command.path.rfind(' ');
    lines.add(" -a " + command.name + " -d " + fish_quoted(command.help),
              space == std::string::npos ? "" : command.path.substr(0, space));
  }
  return lines.text(script);
}

/// All names of options after which a value follows.
std::string names_with_value(const Script& script) {
  std::set<std::string> names;
  for (const auto& command : script.commands) {
    for (const auto& option : command.options) {
      if (option.takes_value()) names.insert(option.names.begin(), option.names.end());
    }
  }
  return fmt::format("{}", fmt::join(names, " "));
}

std::string all_paths(const Script& script) {
  std::string text;
  for (const auto& command : script.commands) {
    if (!command.path.empty()) text += " " + fish_quoted(command.path);
  }
  return text;
}

}  // namespace

std::string fish_completion(const Script& script) {
  return fmt::format(
      "# Completion of {0} for fish, made by: {0} completion fish\n"
      "\n"
      "# Whether the command line is at one of these commands; '' is none of them yet.\n"
      "function __{1}_at\n"
      "    set -l at ''\n"
      "    set -l value no\n"
      "    for word in (commandline -opc)[2..]\n"
      "        if test $value = yes\n"
      "            set value no\n"
      "        else if contains -- $word {2}\n"
      "            set value yes\n"
      "        else if not string match -q -- '-*' $word\n"
      "            set -l next (string trim -- \"$at $word\")\n"
      "            if contains -- $next{3}\n"
      "                set at $next\n"
      "            end\n"
      "        end\n"
      "    end\n"
      "    contains -- \"$at\" $argv\n"
      "end\n"
      "\n"
      "complete -c {0} -f\n"
      "{4}",
      script.program, identifier(script.program), names_with_value(script), all_paths(script),
      lines_of(script));
}

}  // namespace lp::cli
