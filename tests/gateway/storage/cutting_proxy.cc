#include "tests/gateway/storage/cutting_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <string_view>

namespace lp::gateway::storage::test {
namespace {

constexpr int look_around_ms = 20;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool readable(int socket) {
  pollfd poll_for{.fd = socket, .events = POLLIN, .revents = 0};
  return ::poll(&poll_for, 1, look_around_ms) > 0;
}

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

/// Empty at the end.
std::string_view receive(int socket, std::array<char, 65'536>& buffer) {
  const auto size = ::recv(socket, buffer.data(), buffer.size(), 0);
  return {buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

}  // namespace

CuttingProxy::CuttingProxy(std::uint16_t server_port) : server_port_(server_port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto address = loopback(0);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, generic, &size) != 0) {
    throw std::runtime_error("CuttingProxy: cannot listen");
  }
  port_ = ntohs(address.sin_port);
  accepting_ = std::thread([this] { accept_connections(); });
}

CuttingProxy::~CuttingProxy() {
  stopped_ = true;
  accepting_.join();
  for (auto& connection : connections_)
    connection.join();
  ::close(listener_);
}

void CuttingProxy::accept_connections() {
  while (!stopped_) {
    if (!readable(listener_)) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0) connections_.emplace_back([this, client] { forward(client); });
  }
}

void CuttingProxy::forward(int client) {
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto address = loopback(server_port_);
  bool open = ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  std::array<char, 65'536> buffer{};
  while (open && !stopped_) {
    std::array<pollfd, 2> both{{{.fd = client, .events = POLLIN, .revents = 0},
                                {.fd = server, .events = POLLIN, .revents = 0}}};
    if (::poll(both.data(), both.size(), look_around_ms) <= 0) continue;
    if (both[0].revents != 0) {
      const auto bytes = receive(client, buffer);
      // A simple query: 'Q', four bytes of length, the text.
      const bool commit = bytes.find("COMMIT") != std::string_view::npos;
      const auto cut = commit ? armed_.exchange(Cut::never) : Cut::never;
      open = !bytes.empty() && cut != Cut::before && send_all(server, bytes);
      if (cut == Cut::after) {
        while (!readable(server) && !stopped_) {
        }
        open = false;
      }
      if (cut != Cut::never) ++cuts_;
    }
    if (open && both[1].revents != 0) {
      const auto bytes = receive(server, buffer);
      open = !bytes.empty() && send_all(client, bytes);
    }
  }
  ::close(server);
  ::close(client);
}

}  // namespace lp::gateway::storage::test
