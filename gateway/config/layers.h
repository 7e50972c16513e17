// Where values come from, and which wins: flag over environment over file over default.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config/exit_code.h"
#include "gateway/config/settings.h"
#include "gateway/config/settings_table.h"

namespace lp::gateway::config {

/// A value as it was given.
struct Given {
  std::vector<std::string> texts;
  std::string where;  ///< "FILE:LINE: key", "LP_GATEWAY_KEY", "--key": begins the error sentence
};
/// By key. Holds known keys only.
using Layer = std::map<std::string, Given, std::less<>>;

/// Reads an environment variable; nullptr where it is not set.
using Environment = std::function<const char*(const char* name)>;

/// Fails with configuration where the file does not parse, names an unknown key or a value of
/// another shape than the key's, and with no_permission where it may not be read. The sentence
/// names file, line and key. A file that is not there is an empty layer unless `required`.
[[nodiscard]] std::expected<Layer, Refusal> read_file(const std::filesystem::path& path,
                                                      bool required);
/// Takes LP_GATEWAY_* of the table and no other. Lists are separated by commas.
[[nodiscard]] Layer read_environment(const Environment& environment);
/// Names of `environ` that begin with LP_GATEWAY_, are no setting, and look like a slip: each a
/// sentence. (A container platform may set others of that beginning; they are none of ours.)
[[nodiscard]] std::vector<std::string> environment_slips(const char* const* environ);

/// "a,b" for a list is two values, else one.
[[nodiscard]] std::vector<std::string> split_value(const Setting& setting, std::string_view text);

struct Layers {
  std::filesystem::path file;  ///< that `from_file` was read from or would have been
  Layer from_file;
  Layer from_environment;
  Layer from_flags;
};

struct Resolved {
  Settings settings;
  std::map<std::string, std::string, std::less<>> origin;  ///< by key; absent: the default
};

/// Puts the layers over `base`. Fails with configuration; the sentence says where the bad value is.
[[nodiscard]] std::expected<Resolved, Refusal> resolve(const Layers& layers, Settings base = {});

/// What no single value shows: settings that do not go together. Empty where there is nothing to
/// say.
[[nodiscard]] std::expected<void, Refusal> check_combination(const Settings& settings);

}  // namespace lp::gateway::config
