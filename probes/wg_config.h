// A wg-quick(8) file for a tunnel that was registered: written, and read again to check the tunnel
// once more.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "lib/crypto/keys.h"
#include "lib/messages/registration.h"

namespace lp::probe {

/// The file's text. It holds the private key, and the preshared key where there is one.
[[nodiscard]] std::string format_wg_config(const crypto::X25519Secret& private_key,
                                           const messages::GatewayData& gateway,
                                           const std::optional<Secret<32>>& preshared = {});

/// What the tunnel stage needs of such a file.
struct WgConfig {
  crypto::X25519KeyPair key;
  std::optional<messages::IpV4> address_v4;
  std::optional<messages::IpV6> address_v6;
  crypto::X25519Public gateway_key;
  std::optional<Secret<32>> preshared;
  std::string host;  ///< of the endpoint; a name or a literal address
  std::uint16_t port = 0;
};

/// Reads the text of a wg-quick file with one peer. Keys that only wg-quick needs are passed over;
/// one that it has not is refused. On failure: one sentence with the line's number, and no value of
/// a key.
[[nodiscard]] std::expected<WgConfig, std::string> parse_wg_config(std::string_view text);

/// 32 bytes in base64, as wg(8) writes keys. On failure: what is wrong with them, not what they
/// are.
[[nodiscard]] std::expected<Secret<32>, std::string> parse_wg_key(std::string_view text);

/// Writes `text` to `path`, mode 0600 whatever the umask: beside it under a name of its own,
/// synced, then renamed over it, so that a reader sees the old file or the whole new one. On
/// failure: one sentence, and nothing is left behind.
[[nodiscard]] std::expected<void, std::string> write_private_file(const std::string& path,
                                                                  std::string_view text);

/// Why a private file was not read.
struct PrivateFileError {
  std::string text;      ///< one sentence, with the path
  bool exposed = false;  ///< others may read or write it, or it is another user's
};
/// Reads a small file (64 KiB) that holds keys: a regular file of this user's, or root's, that
/// nobody else can read or write. The caller wipes what it gets.
[[nodiscard]] std::expected<std::string, PrivateFileError> read_private_file(
    const std::string& path);

}  // namespace lp::probe
