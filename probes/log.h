// What the probe has to say besides its result: to standard error, by level.
#pragma once

#include <string_view>

#include "probes/options/settings.h"

namespace lp::probe::log {

/// Called once, before anything is logged; without it nothing is. Colour only where standard error
/// is a terminal and `color` allows it.
void start(const options::Settings& settings, bool color);

void debug(std::string_view text);
void info(std::string_view text);
void warning(std::string_view text);
void error(std::string_view text);

}  // namespace lp::probe::log
