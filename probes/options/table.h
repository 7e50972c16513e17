// One table of all options. Flags, environment variables, keys of the configuration file, --help,
// completions and the checks of the manual page come from it.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "probes/options/settings.h"

namespace lp::probe::options {

enum class Type : std::uint8_t { flag, value, list };

struct Option {
  std::string_view name;   ///< long flag without dashes: "handshake-timeout"
  char letter;             ///< short flag, or 0
  std::string_view group;  ///< heading in --help
  Type type;
  std::string_view value_name;  ///< "TIME"; empty for a flag
  std::string_view choices;     ///< "text json nagios", or empty where the value is free
  std::string_view help;        ///< one line; names the default
  bool command_line_only;       ///< no environment variable and no key in the file

  /// Sets it from text; all values given, in order, of which a `value` option has one. A `flag`
  /// gets true or false. Fails with one sentence.
  std::expected<void, std::string> (*set)(Settings& settings,
                                          const std::vector<std::string>& values);
};

/// The group of options that only `lp-probe load` has a use for.
inline constexpr std::string_view load_group = "Load";

[[nodiscard]] std::span<const Option> table() noexcept;
[[nodiscard]] const Option* find(std::string_view name) noexcept;

/// "LP_PROBE_HANDSHAKE_TIMEOUT".
[[nodiscard]] std::string environment_name(const Option& option);
/// "handshake_timeout".
[[nodiscard]] std::string file_key(const Option& option);

}  // namespace lp::probe::options
