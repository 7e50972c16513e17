#include "tests/probes/scripted_http.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <thread>
#include <vector>

namespace lp::test {

struct ScriptedHttp::Impl {
  std::map<std::string, std::string> answers;
  int listener = -1;
  int stop = -1;
  std::uint16_t port = 0;
  std::thread thread;
  std::vector<int> silent;  // connections that get no answer, kept open

  [[nodiscard]] bool wait(int fd) const {
    std::array<pollfd, 2> fds{pollfd{fd, POLLIN, 0}, pollfd{stop, POLLIN, 0}};
    while (poll(fds.data(), fds.size(), -1) < 0) {
      if (errno != EINTR) return false;
    }
    return fds[1].revents == 0;
  }

  void serve() {
    while (wait(listener)) {
      const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      if (!answer(fd)) silent.push_back(fd);
    }
  }

  /// Reads a request and answers it. False where silence is the answer.
  bool answer(int fd) const {
    std::string request;
    std::array<char, 1024> chunk;
    while (request.find("\r\n\r\n") == std::string::npos && wait(fd)) {
      const auto size = recv(fd, chunk.data(), chunk.size(), 0);
      if (size <= 0) break;
      request.append(chunk.data(), static_cast<std::size_t>(size));
    }
    std::string path;
    if (const auto begin = request.find(' '); begin != std::string::npos) {
      path = request.substr(begin + 1, request.find(' ', begin + 1) - begin - 1);
    }
    std::string text = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if (const auto found = answers.find(path); found != answers.end()) text = found->second;
    if (text.empty()) return false;
    for (std::size_t sent = 0; sent < text.size();) {
      const auto size = send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (size < 0) break;
      sent += static_cast<std::size_t>(size);
    }
    close(fd);
    return true;
  }
};

ScriptedHttp::ScriptedHttp(std::map<std::string, std::string> answers)
    : impl_(std::make_unique<Impl>()) {
  impl_->answers = std::move(answers);
  impl_->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  impl_->stop = eventfd(0, EFD_CLOEXEC);
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof in;
  auto* name = reinterpret_cast<sockaddr*>(&in);
  if (impl_->listener < 0 || impl_->stop < 0 || bind(impl_->listener, name, size) != 0 ||
      listen(impl_->listener, 16) != 0 || getsockname(impl_->listener, name, &size) != 0) {
    throw std::system_error(errno, std::generic_category(), "ScriptedHttp");
  }
  impl_->port = ntohs(in.sin_port);
  impl_->thread = std::thread([this] { impl_->serve(); });
}

ScriptedHttp::~ScriptedHttp() {
  const std::uint64_t one = 1;
  if (write(impl_->stop, &one, sizeof one) < 0) std::terminate();
  impl_->thread.join();
  for (const int fd : impl_->silent)
    close(fd);
  close(impl_->listener);
  close(impl_->stop);
}

std::uint16_t ScriptedHttp::port() const {
  return impl_->port;
}

std::string ScriptedHttp::ok(const std::string& body, const std::string& date) {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\nConnection: close\r\n" +
         (date.empty() ? "" : "Date: " + date + "\r\n") + "\r\n" + body;
}

}  // namespace lp::test
