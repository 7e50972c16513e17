// Addresses of Unix sockets.
#pragma once

#include <sys/un.h>

#include <expected>
#include <filesystem>
#include <string>

namespace lp::gateway::control {

/// Fails where the path is longer than the 107 bytes that the system takes; the sentence names it.
[[nodiscard]] std::expected<sockaddr_un, std::string> unix_address(
    const std::filesystem::path& path);

}  // namespace lp::gateway::control
