#include "tests/gateway/http/raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace lp::gateway::http::test {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress parse(std::string host, std::uint16_t port) {
  SocketAddress result;
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  auto* v4 = reinterpret_cast<sockaddr_in*>(&result.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&result.storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    result.size = sizeof *v4;
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    result.size = sizeof *v6;
  } else {
    throw std::invalid_argument("not an address: " + host);
  }
  return result;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

Response parse_head(std::string_view head) {
  Response response;
  std::size_t at = head.find("\r\n");
  if (head.starts_with("HTTP/1.") && head.size() > 12) {
    response.status = std::stoi(std::string(head.substr(9, 3)));
  }
  while (at != std::string_view::npos && at + 2 < head.size()) {
    const std::size_t end = head.find("\r\n", at + 2);
    const std::string_view line = head.substr(at + 2, end - at - 2);
    const std::size_t colon = line.find(": ");
    if (colon != std::string_view::npos) {
      response.headers[lower(line.substr(0, colon))] = line.substr(colon + 2);
    }
    at = end;
  }
  return response;
}

}  // namespace

RawClient::RawClient(const std::string& address, const std::string& source, int receive_buffer) {
  const std::size_t colon = address.rfind(':');
  const auto port = static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1)));
  const SocketAddress server = parse(address.substr(0, colon), port);
  fd_ = ::socket(server.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) fail("socket");
  if (receive_buffer != 0) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  if (!source.empty()) {
    const SocketAddress local = parse(source, 0);
    if (::bind(fd_, local.get(), local.size) != 0) fail("bind " + source);
  }
  if (::connect(fd_, server.get(), server.size) != 0) fail("connect " + address);
}

RawClient::RawClient(RawClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}

RawClient::~RawClient() {
  if (fd_ >= 0) ::close(fd_);
}

bool RawClient::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void RawClient::shut_down_sending() const {
  ::shutdown(fd_, SHUT_WR);
}

bool RawClient::fill() {
  pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
  const auto limit = std::chrono::milliseconds(patience);
  if (::poll(&waiting, 1, static_cast<int>(limit.count())) <= 0) {
    throw std::runtime_error("nothing came from the server, and it did not close");
  }
  char chunk[4096];
  const ssize_t size = ::recv(fd_, chunk, sizeof chunk, 0);
  if (size <= 0) return false;
  buffer_.append(chunk, static_cast<std::size_t>(size));
  return true;
}

std::optional<Response> RawClient::read_response(bool head) {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) return std::nullopt;
  }
  Response response = parse_head(std::string_view(buffer_).substr(0, end + 2));
  buffer_.erase(0, end + 4);
  const std::size_t size = head ? 0 : std::stoul(response.headers.at("content-length"));
  while (buffer_.size() < size) {
    if (!fill()) return std::nullopt;
  }
  response.body = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return response;
}

std::string RawClient::read_to_end() {
  while (fill()) {
  }
  return std::exchange(buffer_, {});
}

bool RawClient::ended_within(std::chrono::milliseconds limit) const {
  // No POLLIN: what was answered before does not matter here.
  pollfd waiting{.fd = fd_, .events = POLLRDHUP, .revents = 0};
  return ::poll(&waiting, 1, static_cast<int>(limit.count())) > 0;
}

std::optional<Response> RawClient::get(const std::string& target) {
  if (!send(request(target))) return std::nullopt;
  return read_response();
}

std::string request(std::string_view target, std::string_view method, std::string_view headers) {
  return std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: gateway\r\n" +
         std::string(headers) + "\r\n";
}

}  // namespace lp::gateway::http::test
