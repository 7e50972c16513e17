#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "lib/cli/completion_script.h"

namespace lp::cli {
namespace {

/// "files none identity": a kind, and words.
std::string kind_and_words(const Values& values) {
  std::string text = values.files ? "files" : values.directories ? "directories" : "text";
  for (const auto& word : values.words)
    text += " " + word;
  return text;
}

/// All options of a command, and what each of them takes.
std::string option_case(const ScriptCommand& command) {
  std::vector<std::string> names;
  std::string cases;
  for (const auto& option : command.options) {
    names.insert(names.end(), option.names.begin(), option.names.end());
    if (!option.takes_value()) continue;
    cases += fmt::format("    {}) takes={} ;;\n", fmt::join(option.names, " | "),
                         shell_quoted(kind_and_words(option.values)));
  }
  return fmt::format("    options={}\n    case $2 in\n{}    esac\n    ;;\n",
                     shell_quoted(fmt::format("{}", fmt::join(names, " "))), cases);
}

/// Commands with the same options share one case.
std::string option_cases(const Script& script) {
  std::vector<std::pair<std::string, std::string>> cases;  // options, commands
  for (const auto& command : script.commands) {
    const std::string text = option_case(command);
    const auto same = std::ranges::find(cases, text, &std::pair<std::string, std::string>::first);
    if (same == cases.end()) {
      cases.emplace_back(text, shell_quoted(command.path));
    } else {
      same->second += " | " + shell_quoted(command.path);
    }
  }
  std::string text;
  for (const auto& [options, commands] : cases)
    text += fmt::format("  {})\n{}", commands, options);
  return text;
}

std::string command_cases(const Script& script) {
  std::string text;
  for (const auto& command : script.commands) {
    text += fmt::format("  {}) commands={} takes={} ;;\n", shell_quoted(command.path),
                        shell_quoted(fmt::format("{}", fmt::join(command.commands, " "))),
                        shell_quoted(kind_and_words(command.arguments)));
  }
  return text;
}

// FUNCTION, PROGRAM, OPTIONS and COMMANDS are filled in. Words are as bash splits them: a "=" or a
// ":" is one of its own.
constexpr std::string_view body =
    R"(# Completion of PROGRAM for bash, made by: PROGRAM completion bash

# Sets `options` to those of the command $1, and `takes` to what its option $2 takes: text, files or
# directories, and words.
FUNCTION_option() {
  takes=
  case $1 in
OPTIONS  esac
}

# Sets `commands` to those below the command $1, and `takes` to what its arguments are.
FUNCTION_command() {
  case $1 in
COMMANDS  esac
}

FUNCTION() {
  local cur=${COMP_WORDS[COMP_CWORD]} command='' option='' last='' takes='' options='' commands='' word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $word == [=:] ]]; then
      option=$last # --option=value, or a value with a colon
    elif [[ -n $option ]]; then
      option=
    elif [[ $word == -?* ]]; then
      FUNCTION_option "$command" "$word"
      option=${takes:+$word} last=$option
    else
      last=
      FUNCTION_command "$command"
      if [[ " $commands " == *" $word "* ]]; then command=${command:+$command }$word; fi
    fi
  done
  if [[ $cur == [=:] ]]; then
    [[ -n $last ]] || return 0
    option=$last cur=
  fi
  if [[ -n $option ]]; then
    FUNCTION_option "$command" "$option"
  elif [[ $cur == -* ]]; then
    FUNCTION_option "$command" ''
    takes="text $options"
  else
    FUNCTION_command "$command"
    takes="$takes $commands"
  fi
  local kind=${takes%% *}
  mapfile -t COMPREPLY < <(compgen -W "${takes#"$kind"}" -- "$cur")
  case $kind in
  files)
    compopt -o filenames 2>/dev/null
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur")
    ;;
  directories)
    compopt -o filenames 2>/dev/null
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$cur")
    ;;
  esac
}

complete -F FUNCTION PROGRAM
)";

void fill_in(std::string& text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
}

}  // namespace

std::string bash_completion(const Script& script) {
  std::string text(body);
  fill_in(text, "FUNCTION", "_" + identifier(script.program));
  fill_in(text, "PROGRAM", script.program);
  fill_in(text, "OPTIONS", option_cases(script));
  fill_in(text, "COMMANDS", command_cases(script));
  return text;
}

}  // namespace lp::cli
