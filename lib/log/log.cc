#include "lib/log/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace lp::log {
namespace {

constexpr std::array<std::string_view, 6> level_names{"trace",   "debug", "info",
                                                      "warning", "error", "off"};
constexpr unsigned lines_per_window = 10;
constexpr std::chrono::seconds window{10};

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
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l: %v", spdlog::pattern_time_type::utc);
    made->set_level(spdlog::level::warn);
    made->set_error_handler(
        [](const std::string&) {});  // a log that cannot be written is no reason
    return made;
  }();
  return *instance;
}

std::string one_line(std::string_view message) {
  std::string line;
  line.reserve(message.size());
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      line += fmt::format("\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  return line;
}

struct Window {
  std::chrono::steady_clock::time_point start;
  unsigned written = 0;
  std::uint64_t left_out = 0;
};

/// Whether a line of `cause` may be written now, and how many were left out before it.
std::optional<std::uint64_t> admit(std::string_view cause) {
  static auto* const mutex = new std::mutex;
  static auto* const windows = new std::map<std::string, Window, std::less<>>;
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(*mutex);
  auto found = windows->find(cause);
  if (found == windows->end()) found = windows->emplace(cause, Window{now}).first;
  Window& of_cause = found->second;
  std::uint64_t left_out = 0;
  if (now - of_cause.start >= window) {
    left_out = of_cause.left_out;
    of_cause = Window{now};
  }
  if (of_cause.written == lines_per_window) {
    ++of_cause.left_out;
    return std::nullopt;
  }
  ++of_cause.written;
  return left_out;
}

}  // namespace

std::optional<Level> parse_level(std::string_view name) {
  for (std::size_t i = 0; i < level_names.size(); ++i) {
    if (level_names[i] == name) return static_cast<Level>(i);
  }
  return std::nullopt;
}

void set_level(Level level) {
  logger().set_level(spdlog_level(level));
}

bool enabled(Level level) {
  return level != Level::off && logger().should_log(spdlog_level(level));
}

void write(Level level, std::string_view message) {
  if (!enabled(level)) return;
  const std::string line = one_line(message);
  logger().log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

void write_limited(Level level, std::string_view cause, std::string_view message) {
  if (!enabled(level)) return;
  const auto left_out = admit(cause);
  if (!left_out) return;
  if (*left_out > 0) {
    write(level, fmt::format("{} ({} more like this in the {} s before)", message, *left_out,
                             window.count()));
  } else {
    write(level, message);
  }
}

void flush() {
  logger().flush();
}

}  // namespace lp::log
