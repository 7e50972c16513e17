#include "gateway/app/reload.h"

#include <fmt/format.h>

#include "gateway/config/log.h"
#include "gateway/config/settings_table.h"

namespace lp::gateway::app {

void Reloader::reload() {
  const auto next = load_settings(source_);
  std::expected<void, Refusal> taken =
      next ? check_settings(next->settings) : std::unexpected(next.error());
  if (taken) taken = gateway_.reload(next->settings);
  if (!taken) {
    log::error("SIGHUP: the settings stay as they were: " + taken.error().sentence);
    return;
  }
  log_differences(next->settings);
  for (const auto& setting : config::settings_table()) {
    if (setting.reloadable) (void)setting.assign(running_, setting.print(next->settings));
  }
  log::info("SIGHUP: settings read again");
  log::set_level(log::parse_level(running_.log_level).value_or(log::Level::info));
}

void Reloader::log_differences(const Settings& next) const {
  for (const auto& setting : config::settings_table()) {
    if (setting.print(next) == setting.print(running_)) continue;
    const std::string was = shown_value(setting, running_);
    const std::string is = shown_value(setting, next);
    if (setting.reloadable) {
      log::info(fmt::format("SIGHUP: {} is {} now, was {}", setting.key, is, was));
    } else {
      log::warning(fmt::format("SIGHUP: {} = {} takes a restart, stays {} until then", setting.key,
                               is, was));
    }
  }
}

}  // namespace lp::gateway::app
