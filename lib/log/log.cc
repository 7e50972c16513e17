#include "lib/log/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "lib/log/line.h"

namespace lp::log {
namespace {

constexpr std::array<std::string_view, 4> format_names{"auto", "text", "json", "journal"};

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::trace:
      return spdlog::level::trace;
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
    case Level::off:
      break;
  }
  return spdlog::level::off;
}

// Never destroyed: threads may log until the process ends.
spdlog::logger& logger() {
  static spdlog::logger* const instance = [] {
    auto* made = new spdlog::logger("lp", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");  // a line is whole when it gets here
    made->set_level(spdlog::level::warn);
    made->set_error_handler(
        [](const std::string&) {});  // a log that cannot be written is no reason
    return made;
  }();
  return *instance;
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
  const std::string line =
      format_line(format(), std::chrono::system_clock::now(), level, message, fields);
  logger().log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
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

void set_level(Level level) {
  logger().set_level(spdlog_level(level));
}

bool enabled(Level level) {
  return level != Level::off && logger().should_log(spdlog_level(level));
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
  logger().flush();
}

}  // namespace lp::log
