// From a command line to settings: which file is read, and what goes over what.
#pragma once

#include <expected>
#include <filesystem>
#include <optional>

#include "gateway/config/layers.h"

namespace lp::gateway::app {

/// What the command line says about settings.
struct SettingsSource {
  config::Layer flags;
  std::optional<std::filesystem::path> config_file;  ///< --config
  /// Values that stand in place of a file, with a data directory that nothing overrides.
  std::optional<Settings> ephemeral = std::nullopt;
};

/// The data directory by flag, environment or default: where the file is looked for.
[[nodiscard]] std::filesystem::path initial_data_dir(const config::Layer& flags);

/// Reads file and environment, now; SIGHUP calls it again.
[[nodiscard]] std::expected<config::Resolved, Refusal> load_settings(const SettingsSource& source);

/// The data directory for commands that need nothing else: a file that does not parse is no reason
/// not to ask a running gateway how it is.
[[nodiscard]] std::filesystem::path find_data_dir(const SettingsSource& source);

}  // namespace lp::gateway::app
