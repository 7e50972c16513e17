// The known keys on disk: JSON, mode 0600, replaced as a whole (docs/ecash.md, "Chain").
#pragma once

#include <expected>
#include <filesystem>
#include <optional>
#include <string>

#include "gateway/ecash/known_keys.h"

namespace lp::gateway::ecash {

struct KeyCache {
  std::string contract;  ///< whose keys they are
  KnownKeys known;
};

/// None where there is no such file. Everything in it is checked as if it came from the chain; the
/// error names the file and what is wrong with it: also where others could write to it.
[[nodiscard]] std::expected<std::optional<KeyCache>, std::string> read_key_cache(
    const std::filesystem::path& path);

/// Written beside `path`, synced and renamed over it: there is always the old or the new one.
[[nodiscard]] std::expected<void, std::string> write_key_cache(const std::filesystem::path& path,
                                                               const KeyCache& cache);

}  // namespace lp::gateway::ecash
