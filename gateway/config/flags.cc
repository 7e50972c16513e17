#include "gateway/config/flags.h"

#include <CLI/CLI.hpp>

namespace lp::gateway::config {
namespace {

std::string help_text(const Setting& setting) {
  static const Settings defaults;
  std::string text(setting.help);
  text += " Default: " + shown_value(setting, defaults) + ".";
  return text;
}

}  // namespace

void SettingFlags::add_to(CLI::App& command, bool only_data_dir) {
  for (const auto& setting : settings_table()) {
    if (only_data_dir && setting.key != "data_dir") continue;
    auto& texts = given_[std::string(setting.key)];
    CLI::Option* option = nullptr;
    if (setting.shape == Shape::boolean) {
      // --flag, or --flag=false against a true in environment or file.
      option = command.add_flag(setting.flag(), texts, help_text(setting));
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    } else {
      // One value to a flag: a greedy option would swallow what follows.
      option = command.add_option(setting.flag(), texts, help_text(setting));
      option->type_name(std::string(setting.metavar))->expected(1)->allow_extra_args(false);
      option->multi_option_policy(setting.shape == Shape::list ? CLI::MultiOptionPolicy::TakeAll
                                                               : CLI::MultiOptionPolicy::TakeLast);
    }
    option->group(std::string(setting.section));
  }
}

Layer SettingFlags::layer() const {
  Layer layer;
  for (const auto& [key, texts] : given_) {
    if (texts.empty()) continue;
    const Setting& setting = *find_setting(key);
    Given& given = layer[key];
    given.where = setting.flag();
    for (const auto& text : texts) {
      for (auto& value : split_value(setting, text))
        given.texts.push_back(std::move(value));
    }
  }
  return layer;
}

}  // namespace lp::gateway::config
