// Thousands of connections that do nothing, or next to nothing, at a real gateway.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <regex>
#include <thread>

#include "tests/support/raw_client.h"
#include "tests/system/gateway_process.h"

namespace lp::test {
namespace {

constexpr int max_connections = 10'000;

/// What lp-test-idle-clients has seen.
struct Seen {
  int silent = 0;
  int busy = 0;
  int closed = 0;
};

class IdleClients {
 public:
  explicit IdleClients(std::uint16_t port)
      : child_({.program = program("lp-test-idle-clients"), .args = {std::to_string(port)}}) {}

  void open(int count) {
    EXPECT_EQ(order("open " + std::to_string(count)), "opened " + std::to_string(count));
  }
  Seen poll() { return seen(order("poll")); }
  Seen wait_closed(int count) { return seen(order("wait-closed " + std::to_string(count))); }
  Seen trickle(int seconds) { return seen(order("trickle " + std::to_string(seconds))); }

 private:
  std::string order(const std::string& line) {
    child_.write(line + "\n");
    return child_.read_line().value_or("nothing: " + child_.error_output());
  }
  static Seen seen(const std::string& line) {
    std::smatch match;
    if (!std::regex_match(line, match, std::regex("silent (\\d+) busy (\\d+) closed (\\d+)"))) {
      ADD_FAILURE() << line;
      return {};
    }
    return {std::stoi(match[1]), std::stoi(match[2]), std::stoi(match[3])};
  }

  Child child_;
};

/// Waits until the gateway has accepted as many as were opened: until then they are the kernel's.
void wait_until_active(const GatewayProcess& gateway, int count) {
  const auto limit = std::chrono::steady_clock::now() + patience;
  while (gateway.metrics()["lp_active_lp_connections"] != count) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit) << "never " << count << " active";
    std::this_thread::yield();
  }
}

/// Waits until as many have ended without a ClientHello: the last ones may not even be accepted
/// yet.
void wait_until_ended(const GatewayProcess& gateway, int count) {
  const auto limit = std::chrono::steady_clock::now() + patience;
  while (gateway.metrics().sum("lp_client_hello_failed") != count) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit) << "never " << count << " ended";
    std::this_thread::yield();
  }
}

/// Long enough to open them all before the first is cut.
std::string hello_deadline() {
  return std::to_string(rounds(5, 20));
}

GatewayProcess::Options roomy(std::vector<std::string> flags) {
  return {.flags = std::move(flags), .open_files = 20'000};
}

TEST(SystemIdleConnections, ThousandsOfThemAreCutAtTheirDeadlineWhileHonestClientsRegister) {
  GatewayProcess gateway(roomy({"--hello-deadline-secs", hello_deadline()}));
  IdleClients idle(gateway.port());
  const int idle_count = rounds(2'000, 9'900);
  ASSERT_TRUE(register_once(gateway.port(), gateway.lp_key(), request(1, 1)));
  const std::uint64_t before_kib = gateway.resident_kib();
  idle.open(idle_count);
  wait_until_active(gateway, idle_count);
  const std::uint64_t grown_kib = gateway.resident_kib() - before_kib;
  RecordProperty("resident_growth_kib", static_cast<int>(grown_kib));
#ifndef LP_SANITIZED
  // 80 MiB for 9,900.
  EXPECT_LE(grown_kib, 80U * 1024U * static_cast<unsigned>(idle_count) / 9'900U);
#endif

  // Honest clients, from the first idle connection to the last one's end.
  std::atomic<bool> done = false;
  std::atomic<int> registered = 0;
  std::atomic<int> failed = 0;
  std::jthread honest([&] {
    for (std::uint64_t i = 2; !done; ++i) {
      const auto response = register_once(gateway.port(), gateway.lp_key(), request(i, i));
      ++(response && response->success ? registered : failed);
    }
  });
  const Seen end = idle.wait_closed(idle_count);
  done = true;
  honest.join();
  EXPECT_EQ(end.closed, idle_count);
  EXPECT_EQ(end.busy, 0);
  EXPECT_EQ(failed, 0);
  EXPECT_GT(registered, 0);
  const auto metrics = gateway.idle_metrics();
  EXPECT_EQ(metrics["lp_client_hello_failed{reason=\"timeout\"}"], idle_count);
  expect_sums_agree(metrics);
  EXPECT_THAT(gateway.violations(), testing::IsEmpty());
}

TEST(SystemIdleConnections, OverTheLimitTheNextOnesGetBusyAndFreedPlacesAreGivenAgain) {
  const int limit = rounds(500, max_connections);
  GatewayProcess gateway(roomy(
      {"--hello-deadline-secs", hello_deadline(), "--max-connections", std::to_string(limit)}));
  IdleClients idle(gateway.port());
  idle.open(limit);
  wait_until_active(gateway, limit);
  EXPECT_EQ(idle.poll().busy, 0);
  idle.open(50);
  const Seen seen = idle.wait_closed(50);
  EXPECT_EQ(seen.busy, 50);
  EXPECT_EQ(seen.silent, limit);
  EXPECT_EQ(gateway.metrics()["lp_connections_rejected_total{reason=\"max_connections\"}"], 50);
  idle.wait_closed(limit + 50);
  const auto response = register_once(gateway.port(), gateway.lp_key(), request(1, 1));
  EXPECT_TRUE(response && response->success);
  const auto metrics = gateway.idle_metrics();
  // Busy counts here only.
  EXPECT_EQ(metrics.sum("lp_connections_total"), limit + 1);
  expect_sums_agree(metrics);
}

TEST(SystemIdleConnections, OneAfterAnotherThatStopBeforeClientHelloLeaveNothingBehind) {
  GatewayProcess gateway(roomy({"--max-connections-per-address", "0"}));
  ASSERT_TRUE(register_once(gateway.port(), gateway.lp_key(), request(1, 1)));
  const int count = rounds(5'000, 100'000);
  const auto open_and_close = [&](int i) {
    // A source address to each 10,000: the ports of those that have closed are not free at once.
    RawConnection connection("127.0.0.1", gateway.port(),
                             "127.0.7." + std::to_string(1 + i / 10'000));
    if (i % 2 == 1) {
      EXPECT_TRUE(connection.send(Bytes(50, 0x01)));
    }
  };
  constexpr int first =
      500;  // what the gateway keeps for its next connections is there after these
  for (int i = 0; i < first; ++i)
    open_and_close(i);
  wait_until_ended(gateway, first);
  const std::uint64_t before_kib = gateway.resident_kib();
  for (int i = first; i < count; ++i)
    open_and_close(i);
  wait_until_ended(gateway, count);
  const auto after_kib = gateway.resident_kib();
  RecordProperty("resident_growth_kib", static_cast<int>(after_kib) - static_cast<int>(before_kib));
#ifndef LP_SANITIZED
  EXPECT_LE(after_kib, before_kib + 2U * 1024U);
#endif
  expect_sums_agree(gateway.idle_metrics());
}

TEST(SystemIdleConnections, AByteASecondDoesNotOutliveTheDeadline) {
  GatewayProcess gateway(roomy({"--hello-deadline-secs", "3"}));
  IdleClients idle(gateway.port());
  const int count = rounds(200, 1'000);
  idle.open(count);
  // A deadline that each byte renewed would last for the 30 s that the trickle may.
  const Seen seen = idle.trickle(30);
  EXPECT_EQ(seen.closed, count);
  const auto metrics = gateway.idle_metrics();
  EXPECT_EQ(metrics["lp_client_hello_failed{reason=\"timeout\"}"], count);
  expect_sums_agree(metrics);
}

}  // namespace
}  // namespace lp::test
