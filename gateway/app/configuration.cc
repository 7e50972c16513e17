#include "gateway/app/configuration.h"

#include <cstdlib>

#include "gateway/app/data_dir.h"

namespace lp::gateway::app {
namespace {

config::Layer environment() {
  return config::read_environment([](const char* name) { return std::getenv(name); });
}

std::optional<std::filesystem::path> data_dir_of(const config::Layer& layer) {
  const auto found = layer.find("data_dir");
  if (found == layer.end() || found->second.texts.empty()) return std::nullopt;
  return found->second.texts.front();
}

}  // namespace

std::filesystem::path initial_data_dir(const config::Layer& flags) {
  if (auto path = data_dir_of(flags)) return *path;
  return data_dir_of(environment()).value_or(Settings().data_dir);
}

std::expected<config::Resolved, Refusal> load_settings(const SettingsSource& source) {
  config::Layers layers;
  layers.from_flags = source.flags;
  layers.from_environment = environment();
  if (source.ephemeral) {
    layers.from_environment.erase("data_dir");
    auto resolved = config::resolve(layers, *source.ephemeral);
    if (resolved && on_postgres(resolved->settings)) {
      return refuse(ExitCode::configuration,
                    "--ephemeral leaves nothing behind: it goes with no PostgreSQL database");
    }
    return resolved;
  }
  const auto file = source.config_file.value_or(config_file(initial_data_dir(source.flags)));
  auto from_file = config::read_file(file, source.config_file.has_value());
  if (!from_file) return std::unexpected(from_file.error());
  layers.from_file = std::move(*from_file);
  return config::resolve(layers);
}

std::filesystem::path find_data_dir(const SettingsSource& source) {
  if (auto path = data_dir_of(source.flags)) return *path;
  if (auto path = data_dir_of(environment())) return *path;
  const auto file = source.config_file.value_or(config_file(Settings().data_dir));
  if (auto from_file = config::read_file(file, false)) {
    if (auto path = data_dir_of(*from_file)) return *path;
  }
  return Settings().data_dir;
}

}  // namespace lp::gateway::app
