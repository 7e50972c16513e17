// The commands besides `run`. Results go to standard output, one Refusal to whoever calls.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "gateway/app/configuration.h"
#include "gateway/config/exit_code.h"

namespace lp::gateway::app {

using Outcome = std::expected<void, Refusal>;

/// Makes the data directory, both keys and a commented lp-gateway.toml; prints the identity.
[[nodiscard]] Outcome init(const config::Layer& flags);
/// Makes the keys alone. Over nothing that is there; both or none.
[[nodiscard]] Outcome make_keys(const Settings& settings);

[[nodiscard]] Outcome print_identity(const SettingsSource& source, bool json);
[[nodiscard]] Outcome check_config(const SettingsSource& source);
[[nodiscard]] Outcome print_status(const SettingsSource& source, bool json);

/// The answer of the gateway that runs on the data directory to one request line. Fails with
/// unavailable where none does, with no_permission where its socket is another user's.
[[nodiscard]] std::expected<std::string, Refusal> ask_gateway(const SettingsSource& source,
                                                              std::string_view line);

/// Writes to standard output and flushes it.
[[nodiscard]] Outcome print(std::string_view text);

}  // namespace lp::gateway::app
