// A wg-quick(8) file for a tunnel that was registered.
#pragma once

#include <expected>
#include <string>

#include "lib/crypto/keys.h"
#include "lib/messages/registration.h"

namespace lp::probe {

/// The file's text. It holds the private key.
[[nodiscard]] std::string format_wg_config(const crypto::X25519Secret& private_key,
                                           const messages::GatewayData& gateway);

/// Writes `text` to `path`, mode 0600 whatever the umask: beside it under a name of its own,
/// synced, then renamed over it, so that a reader sees the old file or the whole new one. On
/// failure: one sentence, and nothing is left behind.
[[nodiscard]] std::expected<void, std::string> write_private_file(const std::string& path,
                                                                  std::string_view text);

}  // namespace lp::probe
