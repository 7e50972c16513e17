// Key files: 32 secret bytes in base64 on one line, as `wg genkey` prints them; lines that begin
// with # and empty ones are passed over. Mode 0600.
#pragma once

#include <expected>
#include <filesystem>
#include <string_view>

#include "gateway/config/exit_code.h"
#include "lib/base/secret.h"

namespace lp::gateway::app {

/// `what` is the file's name in sentences: "identity key". Refuses a file that is not there, that
/// group or others can read (configuration), or that this user cannot (no_permission).
[[nodiscard]] std::expected<Secret<32>, Refusal> read_key_file(const std::filesystem::path& path,
                                                               std::string_view what);

/// Makes the file, complete and synced, or makes nothing. Fails with cannot_create where something
/// of that name is there already. `comment` is empty or a line without its #.
[[nodiscard]] std::expected<void, Refusal> write_key_file(const std::filesystem::path& path,
                                                          const Secret<32>& key,
                                                          std::string_view comment);

/// Writes `text` beside `path`, syncs it and links it into place; never over an existing file.
[[nodiscard]] std::expected<void, Refusal> create_file(const std::filesystem::path& path,
                                                       std::string_view text, unsigned mode);

}  // namespace lp::gateway::app
