// The lines of lib/log/log.h, without anything to write them to.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/log/log.h"

namespace lp::log {

/// Of enum Level; the last is written by nobody.
inline constexpr std::array<std::string_view, 6> level_names{"trace",   "debug", "info",
                                                             "warning", "error", "off"};

/// In the given format, which is not `automatic`; without a newline.
[[nodiscard]] std::string format_line(Format format, std::chrono::system_clock::time_point time,
                                      Level level, std::string_view message,
                                      std::span<const Field> fields);

/// As set_format() has it, never `automatic`.
[[nodiscard]] Format current_format();

/// Whether this device and inode are what JOURNAL_STREAM names, "DEVICE:INODE" in decimal.
[[nodiscard]] bool is_journal_stream(std::string_view variable, std::uint64_t device,
                                     std::uint64_t inode);

/// How many lines of one cause are written: ten in ten seconds.
class RateLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Nothing where a line of that cause is not to be written at `now`, else how many were left out
  /// since the one before it.
  [[nodiscard]] std::optional<std::uint64_t> admit(std::string_view cause, Time now);

 private:
  struct Window {
    Time start;
    unsigned written = 0;
    std::uint64_t left_out = 0;
  };
  std::map<std::string, Window, std::less<>> windows_;
};

}  // namespace lp::log
