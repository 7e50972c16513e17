// The file of --targets: a TARGET a line; blank lines and what follows a # are left out.
#pragma once

#include <cstdio>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "probes/target.h"

namespace lp::probe::options {

struct TargetLines {
  std::vector<Target> targets;
  /// A sentence for each line that is none, with its number. The others are probed all the same.
  std::vector<std::string> bad;
};

/// `name` is what sentences call it.
[[nodiscard]] TargetLines parse_targets(std::string_view text, std::string_view name);

/// Reads `path`, or standard input where that is "-". Fails, with one sentence, where it cannot be
/// read or is longer than 16 MiB.
[[nodiscard]] std::expected<TargetLines, std::string> read_targets(const std::string& path);

}  // namespace lp::probe::options
