// Started as a unit with Type=notify the gateway says when it serves, or systemd ends it for being
// slow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <system_error>

#include "tests/packaging/packaged.h"

namespace lp::test {
namespace {

/// systemd's end of NOTIFY_SOCKET.
class ServiceManager {
 public:
  /// `path` begins with an @ for a name in the abstract namespace.
  explicit ServiceManager(const std::string& path)
      : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (path.front() == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) != 0) {
      throw std::system_error(errno, std::generic_category(), path);
    }
  }
  ~ServiceManager() { ::close(fd_); }
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  [[nodiscard]] std::string next() const {
    pollfd waiting{fd_, POLLIN, 0};
    const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(patience);
    if (::poll(&waiting, 1, static_cast<int>(limit.count())) != 1) return "nothing";
    std::array<char, 256> text{};
    const ssize_t size = ::recv(fd_, text.data(), text.size(), 0);
    return size < 0 ? "nothing" : std::string(text.data(), static_cast<std::size_t>(size));
  }

 private:
  int fd_;
};

Child start_gateway(const std::string& notify_socket) {
  return Child({.program = program("lp-gateway"),
                .args = {"run", "--ephemeral"},
                .environment = {{"NOTIFY_SOCKET", notify_socket}}});
}

class Service : public testing::TestWithParam<bool> {};

TEST_P(Service, ReadyIsSaidOnceTheGatewayServesAndStoppingAtItsEnd) {
  const TempDir dir;
  const bool abstract = GetParam();
  const std::string path =
      abstract ? "@lp-test-" + std::to_string(::getpid()) : (dir / "notify").string();
  const ServiceManager manager(path);
  Child gateway = start_gateway(path);
  EXPECT_EQ(manager.next(), "READY=1");
  const auto ready = gateway.read_line();
  ASSERT_TRUE(ready);
  const std::size_t port = ready->find("http=127.0.0.1:") + 15;
  EXPECT_THAT(http_get(static_cast<std::uint16_t>(std::stoi(ready->substr(port))), "/healthz"),
              testing::HasSubstr("ok"));
  gateway.send_signal(SIGTERM);
  EXPECT_EQ(manager.next(), "STOPPING=1");
  EXPECT_EQ(gateway.wait().code, 0) << gateway.error_output();
}

INSTANTIATE_TEST_SUITE_P(Sockets, Service, testing::Bool(), [](const auto& is_abstract) {
  return is_abstract.param ? "Abstract" : "Path";
});

TEST(ServiceAlone, ManagerThatIsNotThereStopsNoGateway) {
  const TempDir dir;
  Child gateway = start_gateway((dir / "nobody").string());
  EXPECT_TRUE(gateway.wait_for_error_line("cannot be told READY=1: No such file or directory"));
  ASSERT_TRUE(gateway.read_line());
  gateway.send_signal(SIGTERM);
  EXPECT_EQ(gateway.wait().code, 0) << gateway.error_output();
}

}  // namespace
}  // namespace lp::test
