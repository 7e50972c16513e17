#include "lib/log/log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "lib/log/line.h"
#include "lib/log/standard_error.h"

namespace lp::log {
namespace {

constexpr std::array<std::string_view, 4> format_names{"auto", "text", "json", "journal"};

std::atomic<Level>& least() {
  static std::atomic<Level> instance = Level::warning;
  return instance;
}

std::atomic<Format>& format() {
  static std::atomic<Format> instance = Format::text;
  return instance;
}

bool writes_to_journal() {
  const char* const variable = std::getenv("JOURNAL_STREAM");
  struct stat status{};
  return variable != nullptr && ::fstat(STDERR_FILENO, &status) == 0 &&
         is_journal_stream(variable, status.st_dev, status.st_ino);
}

void write_line(Level level, std::string_view message, std::span<const Field> fields) {
  put_line(format_line(format(), std::chrono::system_clock::now(), level, message, fields));
}

/// Whether a line of `cause` may be written now, and how many were left out before it.
std::optional<std::uint64_t> admit(std::string_view cause) {
  static auto* const mutex = new std::mutex;
  static auto* const limit = new RateLimit;
  const std::lock_guard lock(*mutex);
  return limit->admit(cause, std::chrono::steady_clock::now());
}

}  // namespace

std::optional<Level> parse_level(std::string_view name) {
  for (std::size_t i = 0; i < level_names.size(); ++i) {
    if (level_names[i] == name) return static_cast<Level>(i);
  }
  return std::nullopt;
}

std::optional<Format> parse_format(std::string_view name) {
  const auto found = std::ranges::find(format_names, name);
  if (found == format_names.end()) return std::nullopt;
  return static_cast<Format>(found - format_names.begin());
}

void set_format(Format wanted) {
  if (wanted == Format::automatic) wanted = writes_to_journal() ? Format::journal : Format::text;
  format() = wanted;
}

Format current_format() {
  return format();
}

void set_level(Level level) {
  least() = level;
}

bool enabled(Level level) {
  return level != Level::off && level >= least();
}

void write(Level level, std::string_view message, Fields fields) noexcept try {
  if (enabled(level)) write_line(level, message, fields);
} catch (const std::exception&) {
  return;  // no memory: the line is lost, whoever logs goes on
}

void write_limited(Level level, std::string_view cause, std::string_view message,
                   Fields fields) noexcept try {
  if (!enabled(level)) return;
  const auto left_out = enabled(Level::trace) ? std::optional<std::uint64_t>(0) : admit(cause);
  if (!left_out) return;
  std::vector<Field> all{{"cause", cause}};
  all.insert(all.end(), fields);
  if (*left_out > 0) all.push_back({"suppressed", *left_out});
  write_line(level, message, all);
} catch (const std::exception&) {
  return;  // no memory: the line is lost, whoever logs goes on
}

void flush() {
  flush_lines();
}

}  // namespace lp::log
