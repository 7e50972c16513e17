// Reads the part of TOML 1.0 that lp-gateway.toml uses: `key = value` lines and comments, where a
// value is a string, an integer, a decimal fraction, a boolean, or an array of strings, which may
// go over several lines. Tables, dates and multi-line strings are refused by name.
//
// Not CLI11's own reader: it forgets line numbers, ends strings at a # and takes nearly any line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace lp::gateway::config {

struct TomlValue {
  enum class Kind : std::uint8_t { string, integer, fraction, boolean, array };
  Kind kind = Kind::string;
  std::vector<std::string> texts;  ///< one, except for an array
};

struct TomlEntry {
  std::string key;
  TomlValue value;
  std::size_t line = 0;  ///< of the key, from 1
};

struct TomlError {
  std::size_t line = 0;
  std::string what;  ///< a sentence without full stop
};

/// All entries in their order; a key that comes twice is an error.
[[nodiscard]] std::expected<std::vector<TomlEntry>, TomlError> read_toml(std::string_view text);

}  // namespace lp::gateway::config
