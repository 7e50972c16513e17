// Limits: those who are too many get Busy at once and count as nothing else.
#include <sys/resource.h>

#include "tests/gateway/connection/fixture.h"

namespace lp::gateway::connection {
namespace {

class LimitsTest : public ServerTest {
 protected:
  /// A connection that the server holds.
  [[nodiscard]] test::RawConnection admitted(const std::optional<std::string>& source = {}) {
    const std::size_t before = server->active_connections();
    auto connection = connect(source);
    wait_until([&] { return server->active_connections() == before + 1; });
    return connection;
  }
  [[nodiscard]] static bool gets_busy(test::RawConnection connection) {
    const bool busy = test::is_busy(connection.receive_packet());
    return busy && connection.receive_until_closed() == Bytes();
  }
  [[nodiscard]] double rejected(const std::string& reason) const {
    return metric("lp_connections_rejected_total{reason=\"" + reason + "\"}");
  }
};

TEST_F(LimitsTest, OneConnectionTooManyGetsBusyAndNothingElseIsCounted) {
  settings.max_connections = 2;
  start();
  auto first = admitted();
  auto second = admitted();
  EXPECT_TRUE(gets_busy(connect()));
  EXPECT_EQ(rejected("max_connections"), 1);
  EXPECT_EQ(metric("lp_active_lp_connections"), 2);
  EXPECT_EQ(sum("lp_connections_total"), 0);
  EXPECT_EQ(metric("lp_connection_bytes_sent_total"), 0);

  first.close();
  wait_until([&] { return server->active_connections() == 1; });
  auto third = admitted();
  auto client = this->client();
  EXPECT_TRUE(test::shake_hands(third, client));
}

TEST_F(LimitsTest, BusyReachesAClientThatHasSentItsHelloAlready) {
  settings.max_connections = 0;
  start();
  auto connection = connect();
  ASSERT_TRUE(connection.send(client().client_hello()));
  EXPECT_TRUE(gets_busy(std::move(connection)));
}

TEST_F(LimitsTest, OneAddressDoesNotTakeThePlacesOfOthers) {
  settings.max_connections_per_address = 1;
  start();
  auto first = admitted("127.0.0.1");
  EXPECT_TRUE(gets_busy(connect("127.0.0.1")));
  EXPECT_EQ(rejected("per_address"), 1);
  auto other = admitted("127.0.0.2");
  first.close();
  wait_until([&] { return server->active_connections() == 1; });
  auto again = admitted("127.0.0.1");
  EXPECT_EQ(rejected("per_address"), 1);
}

TEST_F(LimitsTest, NoLimitPerAddressMeansNone) {
  settings.max_connections_per_address = 0;
  start();
  std::vector<test::RawConnection> connections;
  for (int i = 0; i < 300; ++i)
    connections.push_back(connect());
  wait_until([&] { return server->active_connections() == 300; });
  EXPECT_EQ(sum("lp_connections_rejected_total"), 0);
}

/// A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d, all of which are in one /64.
TEST_F(LimitsTest, Ipv4PeersOfADualStackSocketAreToldApart) {
  options.bind_addresses = {"::"};
  settings.max_connections_per_address = 1;
  start();
  const auto connect_to = [this](const std::string& host, const std::string& source) {
    return test::RawConnection(host, server->port(), source);
  };
  auto first = connect_to("127.0.0.1", "127.0.0.1");
  auto second = connect_to("127.0.0.1", "127.0.0.2");
  auto third = connect_to("::1", "::1");
  wait_until([&] { return server->active_connections() == 3; });
  EXPECT_TRUE(gets_busy(connect_to("127.0.0.1", "127.0.0.2")));
  EXPECT_TRUE(gets_busy(connect_to("::1", "::1")));
  EXPECT_EQ(rejected("per_address"), 2);
}

TEST_F(LimitsTest, ReloadedSettingsHoldForTheNextConnection) {
  settings.max_connections = 0;
  start();
  EXPECT_TRUE(gets_busy(connect()));
  settings.max_connections = 1;
  settings.timestamp_tolerance_secs = 1000;
  server->reload(settings);
  auto connection = admitted();
  test::RawClient client(keys.public_key, clock.now() - 900);
  EXPECT_TRUE(test::shake_hands(connection, client));
}

/// Leaves room for `count` more descriptors, and gives the room back at the end.
class DescriptorShortage {
 public:
  explicit DescriptorShortage(rlim_t count) {
    if (::getrlimit(RLIMIT_NOFILE, &before_) != 0) throw std::runtime_error("getrlimit");
    const int next = ::dup(0);
    ::close(next);
    rlimit tight = before_;
    tight.rlim_cur = static_cast<rlim_t>(next) + count;
    if (::setrlimit(RLIMIT_NOFILE, &tight) != 0) throw std::runtime_error("setrlimit");
  }
  DescriptorShortage(const DescriptorShortage&) = delete;
  DescriptorShortage& operator=(const DescriptorShortage&) = delete;
  ~DescriptorShortage() { end(); }
  void end() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// A descriptor shortage is hard on UBSan too: the first time it meets an object's type it reads
/// the object through a pipe, and where there is none it takes the object for none. So every type
/// that a test meets during the shortage is met before.
class ShortageTest : public LimitsTest {
 protected:
  void start_and_meet_all_types() {
    start();
    (void)metric("lp_accept_pauses_total");
    {
      auto connection = connect();
      auto client = this->client();
      EXPECT_TRUE(test::shake_hands(connection, client));
    }
    wait_until([&] { return server->active_connections() == 0; });
    connections_before_ = sum("lp_connections_total");
  }
  double connections_before_ = 0;
};

TEST_F(ShortageTest, WithoutDescriptorsAcceptingPausesWithoutSpinningAndGoesOn) {
  start_and_meet_all_types();
  auto before = admitted();
  DescriptorShortage shortage(1);
  auto waiting = connect();  // takes the last one; the server has none to accept it with
  wait_until([&] { return metric("lp_accept_pauses_total") == 1; });

  // The reserve is there for the rest of the process: this needs a descriptor.
  const int fd = ::dup(0);
  EXPECT_GE(fd, 0);
  ::close(fd);
  // Connections that are there are served.
  auto client = this->client();
  EXPECT_TRUE(test::shake_hands(before, client));

  // A loop that spins would use as much processor time as passes.
  const auto begin = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds();
  wait_until(
      [&] { return std::chrono::steady_clock::now() - begin > std::chrono::milliseconds(500); });
  EXPECT_LT(cpu_seconds() - cpu, 0.25);
  EXPECT_EQ(metric("lp_accept_pauses_total"), 1);
  EXPECT_EQ(server->active_connections(), 1);

  shortage.end();
  auto other = this->client();
  EXPECT_TRUE(test::shake_hands(waiting, other));
}

TEST_F(ShortageTest, WhoStillWaitsToBeAcceptedWhenTheGatewayStopsGetsBusy) {
  start_and_meet_all_types();
  const DescriptorShortage shortage(1);
  auto waiting = connect();
  wait_until([&] { return metric("lp_accept_pauses_total") == 1; });
  server->shut_down(std::chrono::milliseconds(0));
  EXPECT_TRUE(gets_busy(std::move(waiting)));
  EXPECT_EQ(rejected("shutting_down"), 1);
  EXPECT_EQ(sum("lp_connections_total"), connections_before_);
}

TEST_F(ShortageTest, AConnectionThatEndsMakesRoomForOneThatWaits) {
  start_and_meet_all_types();
  std::vector<test::RawConnection> held;
  for (int i = 0; i < 4; ++i)
    held.push_back(admitted());
  const DescriptorShortage shortage(1);
  auto waiting = connect();
  wait_until([&] { return metric("lp_accept_pauses_total") == 1; });
  // Client and server are one process here: each that closes frees two descriptors.
  held.pop_back();
  auto client = this->client();
  EXPECT_TRUE(test::shake_hands(waiting, client));
}

}  // namespace
}  // namespace lp::gateway::connection
