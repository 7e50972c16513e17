// The limit of open files.
#pragma once

#include <cstdint>
#include <expected>

#include "gateway/config/exit_code.h"
#include "gateway/config/settings.h"

namespace lp::gateway::app {

/// What max_connections needs: one descriptor each, and what the rest of the gateway takes at most
/// (threads, database, HTTP clients, control socket, a reserve for accepting).
[[nodiscard]] std::uint64_t descriptors_needed(std::uint32_t max_connections,
                                               std::uint32_t threads);

/// Fails with configuration where the hard limit is lower than that.
[[nodiscard]] std::expected<void, Refusal> check_open_files(std::uint32_t max_connections,
                                                            std::uint32_t threads);
/// The same, and raises the soft limit to it where that is lower.
[[nodiscard]] std::expected<void, Refusal> raise_open_files(std::uint32_t max_connections,
                                                            std::uint32_t threads);

/// The most connections that the hard limit allows, at least 1.
[[nodiscard]] std::uint32_t most_connections(std::uint32_t threads);

}  // namespace lp::gateway::app
