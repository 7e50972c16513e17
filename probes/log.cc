#include "probes/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <array>

namespace lp::probe::log {
namespace {

spdlog::level::level_enum level_of(const options::Settings& settings) {
  static constexpr std::array levels{spdlog::level::trace, spdlog::level::debug,
                                     spdlog::level::info,  spdlog::level::warn,
                                     spdlog::level::err,   spdlog::level::off};
  if (settings.no_log) return spdlog::level::off;
  if (settings.quiet) return spdlog::level::err;
  if (settings.verbose >= 2) return spdlog::level::debug;
  if (settings.verbose == 1) return spdlog::level::info;
  return levels[static_cast<std::size_t>(settings.log_level)];
}

spdlog::logger* logger = nullptr;

void write(spdlog::level::level_enum level, std::string_view text) {
  if (logger != nullptr) logger->log(level, spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace

void start(const options::Settings& settings, bool color) {
  const auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(
      color ? spdlog::color_mode::automatic : spdlog::color_mode::never);
  static spdlog::logger stderr_logger("lp-probe", sink);
  stderr_logger.set_pattern("lp-probe: %^%l%$: %v");
  stderr_logger.set_level(level_of(settings));
  logger = &stderr_logger;
}

void debug(std::string_view text) {
  write(spdlog::level::debug, text);
}
void info(std::string_view text) {
  write(spdlog::level::info, text);
}
void warning(std::string_view text) {
  write(spdlog::level::warn, text);
}
void error(std::string_view text) {
  write(spdlog::level::err, text);
}

}  // namespace lp::probe::log
