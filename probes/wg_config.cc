#include "probes/wg_config.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "lib/base/encoding.h"
#include "probes/client/socket.h"
#include "probes/errors.h"

namespace lp::probe {
namespace {

constexpr unsigned keepalive_seconds = 25;

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

std::string format_wg_config(const crypto::X25519Secret& private_key,
                             const messages::GatewayData& gateway) {
  return fmt::format(
      "[Interface]\n"
      "PrivateKey = {}\n"
      "Address = {}/32, {}/128\n"
      "\n"
      "[Peer]\n"
      "PublicKey = {}\n"
      "Endpoint = {}\n"
      "AllowedIPs = 0.0.0.0/0, ::/0\n"
      "PersistentKeepalive = {}\n",
      to_base64(private_key.bytes()), messages::to_string(gateway.private_ipv4),
      messages::to_string(gateway.private_ipv6), to_base64(gateway.public_key.bytes),
      messages::to_string(gateway.endpoint), keepalive_seconds);
}

std::expected<void, std::string> write_private_file(const std::string& path,
                                                    std::string_view text) {
  const auto failure = [&](int error) {
    return std::unexpected(fmt::format("{}: {}", printable(path), client::errno_text(error)));
  };
  std::string temporary = path + ".XXXXXX";
  // mkstemp creates exclusively and with mode 0600.
  client::Descriptor fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) return failure(errno);
  if (fchmod(fd.get(), 0600) != 0 || !write_all(fd.get(), text) || fsync(fd.get()) != 0 ||
      rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    unlink(temporary.c_str());
    return failure(error);
  }
  return {};
}

}  // namespace lp::probe
