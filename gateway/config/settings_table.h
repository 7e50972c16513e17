// The one table of all settings: what reads, prints, checks and documents them goes through it, and
// lp-gateway.toml(5) is tested against it.
//
// A setting has one name in three spellings: max_connections in the file, --max-connections as a
// flag, LP_GATEWAY_MAX_CONNECTIONS in the environment.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config/settings.h"

namespace lp::gateway::config {

/// What a value looks like in the file.
enum class Shape : std::uint8_t {
  text,     ///< a string
  number,   ///< an integer
  seconds,  ///< an integer or a decimal fraction
  boolean,
  list,  ///< an array of strings; a flag is repeated or its values are separated by commas
};

struct Setting {
  std::string_view section;  ///< heading under which init, --help and the manual show it
  std::string_view key;
  std::string_view metavar;  ///< what --help calls the value
  std::string_view help;     ///< sentences
  Shape shape = Shape::text;
  bool reloadable = false;  ///< SIGHUP applies it
  bool secret = false;      ///< may hold a key or a password: never printed or logged
  /// Of a value that only has a secret in it: the value with that redacted, and one without a
  /// secret as it is. Null: the whole value is the secret.
  std::string (*without_secret)(std::string_view value) = nullptr;

  /// Takes the texts of a value (one, except for lists). The error is the end of a sentence.
  std::function<std::expected<void, std::string>(Settings&, const std::vector<std::string>&)>
      assign = {};
  /// The value as texts that `assign` takes.
  std::function<std::vector<std::string>(const Settings&)> print = {};

  [[nodiscard]] std::string flag() const;         ///< "--max-connections"
  [[nodiscard]] std::string environment() const;  ///< "LP_GATEWAY_MAX_CONNECTIONS"
};

[[nodiscard]] const std::vector<Setting>& settings_table();

/// The setting of that key, or nullptr.
[[nodiscard]] const Setting* find_setting(std::string_view key);
/// The key that was probably meant; empty where none is near.
[[nodiscard]] std::string_view nearest_key(std::string_view key);

/// Whether this value of the setting is a secret; a name like "none" is not.
[[nodiscard]] bool holds_secret(const Setting& setting, const std::vector<std::string>& texts);

/// The value as the file has it: quoted, in brackets. Secrets too: mind where it goes.
[[nodiscard]] std::string toml_value(const Setting& setting, const std::vector<std::string>& texts);
/// The same for logs and listings: a secret, or the part of a value that is one, is "<redacted>".
[[nodiscard]] std::string shown_value(const Setting& setting, const Settings& settings);

}  // namespace lp::gateway::config
