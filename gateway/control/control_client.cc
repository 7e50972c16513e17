// The asking side of the control socket: blocking, with one deadline over all of it.
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "gateway/control/control_socket.h"
#include "gateway/control/unix_address.h"

namespace lp::gateway::control {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds patience{10};
constexpr std::size_t longest_answer = 64 << 20;

class Connection {
 public:
  explicit Connection(int fd) : fd_(fd), end_(Clock::now() + patience) {}
  ~Connection() { ::close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// False with errno set.
  bool send(std::string_view text) {
    while (!text.empty()) {
      if (!wait_for(POLLOUT)) return false;
      const ssize_t count = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0 && errno != EINTR && errno != EAGAIN) return false;
      if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }

  bool receive_line(std::string& line) {
    std::array<char, 16'384> buffer;
    for (;;) {
      if (!wait_for(POLLIN)) return false;
      const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (count <= 0) {
        if (count == 0) errno = ECONNRESET;
        return false;
      }
      line.append(buffer.data(), static_cast<std::size_t>(count));
      if (line.ends_with('\n')) {
        line.pop_back();
        return true;
      }
      if (line.size() > longest_answer) {
        errno = EMSGSIZE;
        return false;
      }
    }
  }

 private:
  bool wait_for(short events) {
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now());
      pollfd fd{fd_, events, 0};
      const int ready = left.count() <= 0 ? 0 : ::poll(&fd, 1, static_cast<int>(left.count()));
      if (ready > 0) return true;
      if (ready == 0) {
        errno = ETIMEDOUT;
        return false;
      }
      if (errno != EINTR) return false;
    }
  }

  int fd_;
  Clock::time_point end_;
};

std::unexpected<std::string> failure(const std::filesystem::path& path, std::string_view what) {
  return std::unexpected(fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno)));
}

}  // namespace

std::expected<std::string, std::string> request(const std::filesystem::path& path,
                                                std::string_view line) {
  const auto address = unix_address(path);
  if (!address) return std::unexpected(address.error());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return failure(path, "no socket");
  Connection connection(fd);
  // Where many others are waiting to be accepted, this waits in line, as long as that.
  const timeval limit{.tv_sec = patience.count(), .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    return failure(path, "no gateway answers there");
  }
  std::string answer;
  if (!connection.send(std::string(line) + '\n') || !connection.receive_line(answer)) {
    return failure(path, "the gateway gave no answer");
  }
  return answer;
}

}  // namespace lp::gateway::control
