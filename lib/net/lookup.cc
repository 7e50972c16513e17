#include "lib/net/lookup.h"

#include <netdb.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

namespace lp::net {

using boost::asio::ip::tcp;

Lookup::Lookup(std::string host, std::uint16_t port, int done_fd)
    : host_(std::move(host)), port_(port), done_fd_(done_fd) {}

Lookup::~Lookup() {
  close(done_fd_);
}

std::shared_ptr<Lookup> Lookup::start(const std::string& host, std::uint16_t port) {
  const int done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (done_fd < 0) return nullptr;
  std::shared_ptr<Lookup> lookup(new Lookup(host, port, done_fd));
  try {
    std::thread([lookup] { lookup->run(); }).detach();
  } catch (const std::system_error&) {
    return nullptr;
  }
  return lookup;
}

void Lookup::run() {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(host_.c_str(), nullptr, &hints, &list);
  const int system_error = errno;
  Found found;
  if (error != 0) {
    found.error = error == EAI_SYSTEM ? std::strerror(system_error) : gai_strerror(error);
  }
  for (const addrinfo* at = list; error == 0 && at != nullptr; at = at->ai_next) {
    tcp::endpoint endpoint;
    if (at->ai_addrlen > endpoint.capacity()) continue;
    std::memcpy(endpoint.data(), at->ai_addr, at->ai_addrlen);
    endpoint.resize(at->ai_addrlen);
    endpoint.port(port_);
    found.endpoints.push_back(endpoint);
  }
  if (error == 0) freeaddrinfo(list);
  if (found.error.empty() && found.endpoints.empty()) found.error = "no address";
  {
    const std::lock_guard lock(mutex_);
    found_ = std::move(found);
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(done_fd_, &one, sizeof one);
}

Lookup::Found Lookup::found() {
  const std::lock_guard lock(mutex_);
  return std::move(found_);
}

}  // namespace lp::net
