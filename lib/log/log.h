// A daemon's log: lines on standard error, from any thread. What is behind it stays out of this
// header.
//
// A message is one line, whatever is in it: control characters are escaped, for clients choose part
// of what is logged. Secrets do not go in: their types print as redacted.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace lp::log {

enum class Level : std::uint8_t { trace, debug, info, warning, error, off };

/// By the names above.
[[nodiscard]] std::optional<Level> parse_level(std::string_view name);

/// Until the first call: warning.
void set_level(Level level);
[[nodiscard]] bool enabled(Level level);

void write(Level level, std::string_view message);
inline void debug(std::string_view message) {
  write(Level::debug, message);
}
inline void info(std::string_view message) {
  write(Level::info, message);
}
inline void warning(std::string_view message) {
  write(Level::warning, message);
}
inline void error(std::string_view message) {
  write(Level::error, message);
}

/// For what strangers can cause as often as they like: of each `cause` (a fixed, short name) ten
/// lines in ten seconds are written; the first line after that tells how many were left out.
void write_limited(Level level, std::string_view cause, std::string_view message);

void flush();

}  // namespace lp::log
