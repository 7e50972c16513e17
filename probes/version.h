// What this binary is made of.
#pragma once

#include <string>

namespace lp::probe {

/// `lp-probe --version`: version, build, libraries, replay kernel; one per line.
[[nodiscard]] std::string version_text();

}  // namespace lp::probe
