#include "tests/gateway/wireguard/uapi_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace lp::test {
namespace {

/// False where the other side has gone.
bool send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

/// Up to the empty line.
std::string read_request(int fd) {
  std::string request;
  char piece[4096];
  while (!request.ends_with("\n\n")) {
    const auto got = ::recv(fd, piece, sizeof(piece), 0);
    if (got <= 0) break;
    request.append(piece, static_cast<std::size_t>(got));
  }
  return request;
}

}  // namespace

UapiServer::UapiServer(std::filesystem::path socket) : socket_(std::move(socket)) {
  start();
}

UapiServer::~UapiServer() {
  stop();
}

void UapiServer::start() {
  stop();
  ::sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket_.c_str(), sizeof(address.sun_path) - 1);
  listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(listening_, reinterpret_cast<const ::sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listening_, 1) != 0) {
    throw std::runtime_error("no socket at " + socket_.string());
  }
  wake_ = ::eventfd(0, EFD_CLOEXEC);
  {
    const std::lock_guard lock(mutex_);
    stopping_ = false;
    accepting_ = true;
    state_ = {};
  }
  thread_ = std::thread([this] { serve(); });
}

void UapiServer::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopping_changed_.notify_all();
  (void)::eventfd_write(wake_, 1);
  thread_.join();
  ::close(listening_);
  ::close(wake_);
  std::filesystem::remove(socket_);
}

void UapiServer::stop_accepting() {
  {
    const std::lock_guard lock(mutex_);
    accepting_ = false;
  }
  (void)::eventfd_write(wake_, 1);
}

void UapiServer::behave(Behaviour behaviour) {
  const std::lock_guard lock(mutex_);
  behaviour_ = std::move(behaviour);
}

std::vector<std::string> UapiServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void UapiServer::forget_requests() {
  const std::lock_guard lock(mutex_);
  requests_.clear();
}

UapiServer::State UapiServer::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void UapiServer::set_state(State state) {
  const std::lock_guard lock(mutex_);
  state_ = std::move(state);
}

void UapiServer::serve() {
  while (true) {
    bool accepting = false;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) break;
      accepting = accepting_;
    }
    ::pollfd waiting[] = {{.fd = wake_, .events = POLLIN, .revents = 0},
                          {.fd = accepting ? listening_ : -1, .events = POLLIN, .revents = 0}};
    (void)::poll(waiting, 2, -1);
    if (waiting[0].revents != 0) {
      ::eventfd_t ignored = 0;
      (void)::eventfd_read(wake_, &ignored);
    }
    if (waiting[1].revents != 0) {
      const int fd = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) handle(fd);
    }
  }
  for (const int fd : std::exchange(held_, {}))
    ::close(fd);
}

void UapiServer::handle(int fd) {
  const std::string request = read_request(fd);
  Behaviour behaviour;
  std::string answer;
  {
    std::unique_lock lock(mutex_);
    behaviour = behaviour_;
    requests_.push_back(request);
    const bool sets = request.starts_with("set=1\n");
    if (sets && behaviour.applies && behaviour.error == 0) apply(request);
    answer = sets ? "errno=" + std::to_string(behaviour.error) + "\n\n" : listing();
    stopping_changed_.wait_for(lock, behaviour.delay, [this] { return stopping_; });
  }
  if (!behaviour.answers) {
    held_.push_back(fd);
    return;
  }
  while (send_all(fd, behaviour.raw.value_or(answer)) && behaviour.endless) {
  }
  ::close(fd);
}

void UapiServer::apply(const std::string& request) {
  std::istringstream lines(request);
  std::string line;
  std::string peer;
  while (std::getline(lines, line)) {
    const auto equals = line.find('=');
    if (equals == std::string::npos) continue;
    const std::string key = line.substr(0, equals);
    const std::string value = line.substr(equals + 1);
    if (key == "private_key") {
      state_.private_key = value;
    } else if (key == "listen_port") {
      state_.listen_port = value;
    } else if (key == "replace_peers") {
      state_.peers.clear();
    } else if (key == "public_key") {
      peer = value;
      state_.peers.try_emplace(peer);
    } else if (key == "remove") {
      state_.peers.erase(peer);
    } else if (key == "replace_allowed_ips") {
      state_.peers[peer].allowed_ips.clear();
    } else if (key == "allowed_ip") {
      state_.peers[peer].allowed_ips.push_back(value);
    } else if (key != "set") {
      state_.peers[peer].lines[key] = value;
    }
  }
}

std::string UapiServer::listing() const {
  std::string text;
  if (!state_.private_key.empty()) text += "private_key=" + state_.private_key + "\n";
  text += "listen_port=" + state_.listen_port + "\n";
  for (const auto& [key, peer] : state_.peers) {
    text += "public_key=" + key + "\n";
    for (const auto& [name, value] : peer.lines)
      text.append(name).append("=").append(value).append("\n");
    for (const auto& address : peer.allowed_ips)
      text += "allowed_ip=" + address + "\n";
  }
  return text + "errno=0\n\n";
}

}  // namespace lp::test
