// lp-test-idle-clients PORT: thousands of connections from many loopback addresses, in a process of
// their own. Orders come on standard input, a line each; each is answered by a line.
//
//   open COUNT          connects COUNT more, a source address to each 100 → "opened N"
//   poll                → "silent S busy B closed C": how many have seen nothing, Busy, or the end
//   wait-closed COUNT   waits until at least COUNT are closed → as poll
//   trickle SECONDS     sends a byte of a good ClientHello a second on each open connection, at
//   most
//                       SECONDS long, until none is open → as poll
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Client {
  int fd = -1;
  std::size_t received = 0;
  bool closed = false;
};

constexpr std::size_t busy_frame_size = 38;

class Clients {
 public:
  explicit Clients(std::uint16_t port) : port_(port) {}

  bool open(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      if (!open_one()) return false;
    }
    return true;
  }

  // Reads whatever has come, on every connection.
  void read_all(int timeout_ms) {
    std::vector<pollfd> polled;
    std::vector<std::size_t> index;
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (clients_[i].closed) continue;
      polled.push_back({.fd = clients_[i].fd, .events = POLLIN, .revents = 0});
      index.push_back(i);
    }
    if (polled.empty() || ::poll(polled.data(), polled.size(), timeout_ms) <= 0) return;
    for (std::size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].revents != 0) read_one(clients_[index[i]]);
    }
  }

  void trickle(std::chrono::seconds limit) {
    const auto end = Clock::now() + limit;
    auto next = Clock::now();
    std::size_t sent = 0;
    while (open_count() > 0 && Clock::now() < end) {
      for (auto& client : clients_) {
        if (client.closed) continue;
        const char byte = hello_byte(sent);
        if (::send(client.fd, &byte, 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN) close(client);
      }
      ++sent;
      next += std::chrono::seconds(1);
      while (Clock::now() < next && open_count() > 0)
        read_all(20);
    }
  }

  [[nodiscard]] std::size_t closed_count() const { return clients_.size() - open_count(); }
  [[nodiscard]] std::size_t open_count() const {
    std::size_t count = 0;
    for (const auto& client : clients_)
      count += client.closed ? 0 : 1;
    return count;
  }

  void report() const {
    std::size_t silent = 0;
    std::size_t busy = 0;
    for (const auto& client : clients_) {
      if (client.received >= busy_frame_size) ++busy;
      if (client.received == 0 && !client.closed) ++silent;
    }
    std::cout << "silent " << silent << " busy " << busy << " closed " << closed_count()
              << std::endl;
  }

 private:
  // A source address of its own for each 100 connections, 127.1.0.1 onwards.
  bool open_one() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) return false;
    sockaddr_in source{};
    source.sin_family = AF_INET;
    source.sin_addr.s_addr = htonl(0x7f010001U + static_cast<std::uint32_t>(clients_.size() / 100));
    sockaddr_in gateway{};
    gateway.sin_family = AF_INET;
    gateway.sin_port = htons(port_);
    gateway.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0 ||
        ::connect(fd, reinterpret_cast<const sockaddr*>(&gateway), sizeof gateway) != 0) {
      std::cerr << "connection " << clients_.size() << ": " << std::strerror(errno) << '\n';
      ::close(fd);
      return false;
    }
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
    clients_.push_back({.fd = fd});
    return true;
  }

  // The frame of a ClientHello as far as a gateway can check it: length 98, version 1, type 3.
  static char hello_byte(std::size_t offset) {
    switch (offset) {
      case 3:
        return 98;
      case 4:
        return 1;
      case 20:
        return 3;
      default:
        return 0;
    }
  }

  static void read_one(Client& client) {
    std::array<char, 256> buffer;
    const ssize_t got = ::recv(client.fd, buffer.data(), buffer.size(), 0);
    if (got > 0) {
      client.received += static_cast<std::size_t>(got);
    } else if (got == 0 || errno != EAGAIN) {
      close(client);
    }
  }
  static void close(Client& client) {
    ::close(client.fd);
    client.closed = true;
  }

  const std::uint16_t port_;
  std::vector<Client> clients_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  Clients clients(static_cast<std::uint16_t>(std::stoul(argv[1])));
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string order;
    std::size_t number = 0;
    words >> order >> number;
    if (order == "open") {
      if (!clients.open(number)) return 69;
      std::cout << "opened " << number << std::endl;
    } else if (order == "poll") {
      clients.read_all(200);
      clients.report();
    } else if (order == "wait-closed") {
      while (clients.closed_count() < number)
        clients.read_all(1'000);
      clients.report();
    } else if (order == "trickle") {
      clients.trickle(std::chrono::seconds(number));
      clients.report();
    } else {
      return 64;
    }
  }
  return 0;
}
