#include "gateway/app/service_manager.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "gateway/config/log.h"

namespace lp::gateway::app {
namespace {

/// 0, or why not, as errno has it.
int send_datagram(std::string_view socket_path, std::string_view state) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::ranges::copy(socket_path, address.sun_path);
  if (socket_path.front() == '@') address.sun_path[0] = '\0';  // the abstract namespace
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_path.size());

  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const ssize_t sent = ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&address), size);
  const int error = sent < 0 ? errno : 0;
  ::close(fd);
  return error;
}

}  // namespace

void tell_service_manager(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return;
  if (const int error = send_datagram(path, state); error != 0) {
    log::warning(
        fmt::format("NOTIFY_SOCKET {} cannot be told {}: {}", path, state, std::strerror(error)));
  }
}

}  // namespace lp::gateway::app
