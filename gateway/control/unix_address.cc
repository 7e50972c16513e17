#include "gateway/control/unix_address.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cstring>

namespace lp::gateway::control {

std::expected<sockaddr_un, std::string> unix_address(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof address.sun_path) {
    return std::unexpected(fmt::format(
        "{}: is too long for a Unix socket: {} bytes, at most {}; use a shorter data_dir", text,
        text.size(), sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, text.c_str(), text.size());
  return address;
}

}  // namespace lp::gateway::control
