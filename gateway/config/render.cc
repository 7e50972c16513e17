#include "gateway/config/render.h"

#include <fmt/format.h>

namespace lp::gateway::config {
namespace {

/// `text` as comment lines of at most 100 characters.
std::string as_comment(std::string_view text) {
  std::string result;
  std::string line = "#";
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    if (line.size() + 1 + word.size() > 98) {
      result += line + '\n';
      line.resize(1);
    }
    line += ' ';
    line += word;
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  }
  return result + line + '\n';
}

}  // namespace

std::string commented_file(const Layer& chosen, const Settings& settings) {
  std::string text =
      "# lp-gateway.toml: settings of lp-gateway(8), described in lp-gateway.toml(5).\n"
      "# What is commented out has the value shown. A flag or LP_GATEWAY_<KEY> in the environment\n"
      "# goes over this file. \"SIGHUP\" marks what a running gateway takes over on that signal.\n";
  std::string_view section;
  const Settings defaults;
  for (const auto& setting : settings_table()) {
    if (setting.section != section) {
      section = setting.section;
      text += fmt::format("\n# --- {} ---\n", section);
    }
    const bool set = chosen.contains(setting.key);
    text += '\n';
    text += as_comment(fmt::format("{}{}", setting.help, setting.reloadable ? " SIGHUP." : ""));
    text += fmt::format("{}{} = {}\n", set ? "" : "#", setting.key,
                        toml_value(setting, setting.print(set ? settings : defaults)));
  }
  return text;
}

std::string effective_file(const Resolved& resolved) {
  std::string text;
  for (const auto& setting : settings_table()) {
    const auto origin = resolved.origin.find(setting.key);
    text += fmt::format("{} = {}  # {}\n", setting.key, shown_value(setting, resolved.settings),
                        origin == resolved.origin.end() ? "default" : origin->second);
  }
  return text;
}

}  // namespace lp::gateway::config
