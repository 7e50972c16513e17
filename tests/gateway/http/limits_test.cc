// Deadlines, numbers of connections, and file descriptors.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/system/error_code.hpp>
#include <cerrno>

#include "gateway/config/log.h"
#include "tests/gateway/http/fixture.h"

namespace lp::gateway::http::test {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds short_deadline{300};
constexpr milliseconds pace{10};

/// Sends a byte at a time until the server closes; false where it never does.
bool is_cut_off(const RawClient& client, std::string_view first, char filler) {
  client.send(first);
  const auto limit = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < limit) {
    if (client.ended_within(pace)) return true;
    client.send({&filler, 1});
  }
  return false;
}

TEST_F(HttpTest, TrickleDoesNotOutliveTheDeadline) {
  HttpOptions options = loopback_options();
  options.read_deadline = short_deadline;
  start(options);
  // At this pace the whole header would take longer than the test has patience for, so only the
  // deadline can end it.
  EXPECT_TRUE(is_cut_off(connect(), "GET /healthz HTTP/1.1\r\nX: ", 'x'));
  expect_alive();
}

TEST_F(HttpTest, TrickleAfterAnAnswerDoesNotOutliveTheDeadline) {
  HttpOptions options = loopback_options();
  options.read_deadline = short_deadline;
  start(options);
  RawClient client = connect();
  ASSERT_TRUE(client.get("/healthz"));
  EXPECT_TRUE(is_cut_off(client, "GET ", '/'));
}

TEST_F(HttpTest, TrickleAfterARefusalDoesNotOutliveTheDeadline) {
  HttpOptions options = loopback_options();
  options.read_deadline = short_deadline;
  start(options);
  RawClient client = connect();
  ASSERT_TRUE(client.send(request("/healthz", "POST", "Content-Length: 1000000\r\n")));
  ASSERT_EQ(client.read_response().value().status, 405);
  // The server has closed its side at once; the socket itself goes with the deadline, and then
  // what is sent meets a reset.
  const auto limit = std::chrono::steady_clock::now() + patience;
  bool reset = false;
  while (!reset && std::chrono::steady_clock::now() < limit) {
    reset = !client.send("x");
    (void)::usleep(static_cast<useconds_t>(std::chrono::microseconds(pace).count()));
  }
  EXPECT_TRUE(reset);
}

TEST_F(HttpTest, SilentConnectionIsClosedAtTheDeadline) {
  HttpOptions options = loopback_options();
  options.read_deadline = short_deadline;
  start(options);
  EXPECT_EQ(connect().read_to_end(), "");
}

TEST_F(HttpTest, ClientThatNeverReadsIsClosedAtTheDeadline) {
  HttpOptions options = loopback_options();
  options.write_deadline = short_deadline;
  HttpServer& server = start(options);
  const RawClient client(server.address(), {}, 4096);
  std::string pipeline;
  for (int i = 0; i < 2000; ++i)
    pipeline += request("/metrics");
  client.send(pipeline);
  // Its answers, more than 20 MB, fit into no socket's buffers.
  EXPECT_TRUE(client.ended_within(patience));
  expect_alive();
}

TEST_F(HttpTest, IdleConnectionsOfOneAddressDoNotBlockItsScrape) {
  start();
  std::vector<RawClient> idle;
  idle.reserve(300);
  for (int i = 0; i < 300; ++i)
    idle.push_back(connect());
  const auto scrape = connect().get("/metrics");
  ASSERT_TRUE(scrape);
  EXPECT_EQ(scrape->status, 200);
}

TEST_F(HttpTest, IdleConnectionsOfManyAddressesDoNotBlockAScrape) {
  start();
  std::vector<RawClient> idle;
  idle.reserve(300);
  for (int i = 0; i < 300; ++i) {
    idle.push_back(
        connect("127.0." + std::to_string(1 + i / 200) + "." + std::to_string(1 + i % 200)));
    idle.back().send("GET / HTTP/1.1\r\n");
  }
  const auto scrape = connect().get("/metrics");
  ASSERT_TRUE(scrape);
  EXPECT_EQ(scrape->status, 200);
}

TEST_F(HttpTest, PerAddressLimitCostsItsOwnOldestConnection) {
  HttpOptions options = loopback_options();
  options.max_connections_per_address = 2;
  start(options);
  RawClient other = connect("127.0.0.9");
  RawClient oldest = connect();
  RawClient middle = connect();
  ASSERT_TRUE(oldest.get("/healthz"));  // now it is the middle one that waits for longest
  RawClient newest = connect();
  EXPECT_EQ(middle.read_to_end(), "");
  EXPECT_EQ(oldest.get("/healthz").value().status, 200);
  EXPECT_EQ(newest.get("/healthz").value().status, 200);
  EXPECT_EQ(other.get("/healthz").value().status, 200);
}

TEST_F(HttpTest, StrangersCannotPushOutTheMonitoring) {
  HttpOptions options = loopback_options();
  options.max_connections = 2;
  start(options);
  RawClient first = connect();
  RawClient second = connect();
  ASSERT_TRUE(first.get("/healthz"));
  ASSERT_TRUE(second.get("/healthz"));
  EXPECT_EQ(connect("127.0.0.9").read_to_end(), "");
  EXPECT_EQ(first.get("/metrics").value().status, 200);
  EXPECT_EQ(second.get("/metrics").value().status, 200);
}

TEST_F(HttpTest, MonitoringPushesOutStrangers) {
  HttpOptions options = loopback_options();
  options.max_connections = 2;
  start(options);
  RawClient monitoring = connect();
  ASSERT_TRUE(monitoring.get("/healthz"));
  RawClient stranger = connect("127.0.0.9");
  ASSERT_TRUE(stranger.get("/healthz"));
  RawClient more = connect();
  EXPECT_EQ(more.get("/metrics").value().status, 200);
  EXPECT_EQ(stranger.read_to_end(), "");
  EXPECT_EQ(monitoring.get("/metrics").value().status, 200);
}

/// While it lives the process can open no descriptor.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    // The lowest number that is free: everything below is taken.
    const int lowest = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    ::close(lowest);
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(lowest);
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

double cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

TEST_F(HttpTest, WantOfDescriptorsPausesAcceptingAndNoMore) {
  HttpServer& server = start();
  const std::string port = server.address().substr(server.address().rfind(':') + 1);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(port)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  RawClient open = connect();
  ASSERT_TRUE(open.get("/healthz"));
  // The undefined-behaviour sanitizer opens a pipe to inspect an object of a type that it meets for
  // the first time, and takes a failure for a broken object. So it meets those it will need now.
  log::warning("expected: " +
               boost::system::error_code(EMFILE, boost::system::system_category()).message());
  {
    const NoDescriptors limit;
    ASSERT_EQ(::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const std::string bytes = request("/healthz");
    ASSERT_EQ(::send(client, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    // What is open is served on. Waiting for its answers also gives accept the time to fail.
    const double before = cpu_seconds();
    const auto end = std::chrono::steady_clock::now() + milliseconds(500);
    while (std::chrono::steady_clock::now() < end) {
      ASSERT_EQ(open.get("/healthz").value().status, 200);
      (void)::usleep(50'000);
    }
    EXPECT_LT(cpu_seconds() - before, 0.4) << "accept spins";
  }
  char answer[16] = {};
  ASSERT_GT(::recv(client, answer, sizeof answer - 1, 0), 12);
  EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 200"));
  ::close(client);
}

}  // namespace
}  // namespace lp::gateway::http::test
