// Traffic through wireguard-go, and what becomes of it in the accounts: every tunnel's bytes are
// its own client's, and whoever has used up a bandwidth stops until there is a new ticket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/encoding.h"
#include "lib/sqlite/sqlite.h"
#include "probes/tunnel/link.h"
#include "tests/system/gateway_process.h"
#include "tests/system/wireguard_network.h"

namespace lp::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::int64_t ticket_bytes = std::int64_t{1} << 30;  // of mock e-cash

/// A peer's row and its client's bandwidth.
struct Account {
  std::int64_t available = 0;
  std::int64_t used = 0;
  std::int64_t credited = 0;
  std::int64_t counters = 0;  ///< of the device, received and sent, as far as they are debited
  std::optional<std::int64_t> last_seen;
};

sqlite::Connection open(const std::filesystem::path& database) {
  auto connection = sqlite::Connection::open(database);
  if (!connection) throw std::runtime_error(connection.error().detail);
  return std::move(*connection);
}

/// By key in hexadecimal.
std::map<std::string, Account> accounts_in(const std::filesystem::path& database) {
  auto connection = open(database);
  auto statement = sqlite::Statement::prepare(
      connection,
      "SELECT lower(hex(public_key)), available, used, credited, rx_bytes + tx_bytes, last_seen "
      "FROM wireguard_peers p JOIN bandwidth b ON b.client_id = p.id");
  sqlite::Query query(statement.value());
  std::map<std::string, Account> accounts;
  while (query.next().value()) {
    accounts.emplace(
        query.text(0),
        Account{.available = query.integer(1),
                .used = query.integer(2),
                .credited = query.integer(3),
                .counters = query.integer(4),
                .last_seen = query.is_null(5) ? std::nullopt : std::optional(query.integer(5))});
  }
  return accounts;
}

/// As if all the rest had been used before.
void leave_available(const std::filesystem::path& database, const std::string& key,
                     std::int64_t bytes) {
  auto connection = open(database);
  const auto left = std::to_string(bytes);
  const auto changed = connection.execute(
      ("UPDATE bandwidth SET used = credited - " + left + ", available = " + left +
       " WHERE client_id = (SELECT id FROM wireguard_peers WHERE public_key = x'" + key + "')")
          .c_str());
  if (!changed) throw std::runtime_error(changed.error().detail);
}

std::int64_t transfer(const DumpedPeer& peer) {
  return static_cast<std::int64_t>(peer.rx_bytes + peer.tx_bytes);
}

class WireguardTraffic : public WireguardNetwork {
 protected:
  /// The far end of one client's tunnel.
  struct Tunnel {
    std::filesystem::path wg_config;
    std::unique_ptr<WireguardGo> device;
    [[nodiscard]] const std::string& interface() const { return device->interface(); }
  };

  void SetUp() override {
    WireguardNetwork::SetUp();
    if (IsSkipped()) return;
    device_ = std::make_unique<WireguardGo>(interface_name("lpw"),
                                            std::vector<std::string>{"10.1.0.1/16", "fd00::1/112"});
    gateway_ = std::make_unique<GatewayProcess>(GatewayProcess::Options{
        .flags = {"--wireguard-backend", "uapi", "--wireguard-interface", device_->interface(),
                  "--wireguard-announced-address", gateway_address}});
  }
  void TearDown() override {
    gateway_.reset();
    device_.reset();
    WireguardNetwork::TearDown();
  }

  /// Registers with the probe, and brings up what it writes.
  Tunnel connect(std::size_t number) {
    Tunnel tunnel;
    const std::string letter(1, static_cast<char>('a' + number));
    tunnel.wg_config = configs_ / (interface_name("lp" + letter) + ".conf");
    const auto registered =
        run({.program = program("lp-probe"),
             .args = {gateway_->target(), "--use-mock-ecash", "--only-lp-registration",
                      "--wg-config", tunnel.wg_config.string()}});
    EXPECT_EQ(registered.ended.code, 0) << registered.output << registered.error_output;
    as_client([&] {
      tunnel.device = bring_up(tunnel.wg_config);
      // The same way through each of them: a ping says through which.
      const auto metric = std::to_string(number + 1);
      for (const char* gateway : {"10.1.0.1/32", "fd00::1/128"})
        run_command({"ip", "route", "add", gateway, "dev", tunnel.interface(), "metric", metric});
    });
    return tunnel;
  }

  std::vector<Tunnel> connect_all(std::size_t clients) {
    std::vector<Tunnel> tunnels(clients);
    for (std::size_t i = 0; i < clients; ++i)
      tunnels[i] = connect(i);
    return tunnels;
  }

  static ChildOptions ping(const Tunnel& tunnel, const std::string& address,
                           std::vector<std::string> more) {
    std::vector<std::string> args{"ping", "-n", "-q", "-I", tunnel.interface()};
    args.insert(args.end(), more.begin(), more.end());
    args.push_back(address);
    return {.program = "/usr/bin/env", .args = args};
  }
  void expect_pings(const Tunnel& tunnel, bool answered) const {
    as_client([&] {
      for (const char* address : {"10.1.0.1", "fd00::1"}) {
        // The first one waits for the handshake.
        const auto finished =
            run(ping(tunnel, address, {"-c", "3", "-i", "0.2", "-W", answered ? "20" : "1"}));
        EXPECT_EQ(finished.ended.code, answered ? 0 : 1) << finished.output;
        EXPECT_THAT(finished.output, HasSubstr(answered ? " 3 received" : " 0 received"));
      }
    });
  }

  /// From now on nothing comes or goes, and no counter grows. LP is on loopback.
  static void cut() { run_command({"ip", "link", "set", "lpveth", "down"}); }
  static void join() { run_command({"ip", "link", "set", "lpveth", "up"}); }

  void restart_gateway() {
    EXPECT_EQ(gateway_->stop(), 0);
    gateway_->start();
  }
  /// As if the client had used all but these bytes.
  void leave_bandwidth(const std::vector<std::string>& keys, std::int64_t bytes) {
    EXPECT_EQ(gateway_->stop(), 0);
    for (const auto& key : keys)
      leave_available(gateway_->database(), key, bytes);
    gateway_->start();
  }

  [[nodiscard]] std::map<std::string, Account> accounts() const {
    return accounts_in(gateway_->database());
  }
  [[nodiscard]] Account account(const std::string& key) const { return accounts().at(key); }

  template <typename Condition>
  static bool wait_until(const Condition& holds) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(50ms);
    }
    return true;
  }

  void expect_equal() const {
    EXPECT_TRUE(
        wait_until([&] { return device_->dump().allowed_ips() == rows() && removals() == 0; }));
    EXPECT_EQ(device_->dump().allowed_ips(), rows());
    EXPECT_EQ(removals(), 0);
    EXPECT_THAT(gateway_->violations(), testing::IsEmpty());
  }
  [[nodiscard]] std::map<std::string, std::string> rows() const {
    return peers_with_bandwidth(gateway_->database());
  }
  [[nodiscard]] std::int64_t removals() const { return gateway_->tables().removals; }

  /// Another ticket for the same key.
  void register_again(const std::string& key, std::uint64_t nullifier) {
    auto again = request(0, nullifier);
    again.wg_public_key = to_base64(from_hex(key).value());
    const auto response = register_once(gateway_->port(), gateway_->lp_key(), again);
    ASSERT_TRUE(response);
    EXPECT_TRUE(response->success) << response->error.value_or("");
  }

  void carry_traffic_at_once(const std::vector<Tunnel>& tunnels, std::int64_t bytes);
  [[nodiscard]] bool is_all_debited() const;
  void expect_all_debited(std::size_t clients) const;
  void expect_new_ticket_to_help(const Tunnel& tunnel, const std::string& key,
                                 const std::string& addresses);

  const TempDir configs_;
  std::unique_ptr<WireguardGo> device_;
  std::unique_ptr<GatewayProcess> gateway_;
};

/// Echoes of another size in each tunnel, until that many bytes went through every one.
void WireguardTraffic::carry_traffic_at_once(const std::vector<Tunnel>& tunnels,
                                             std::int64_t bytes) {
  std::vector<std::unique_ptr<Child>> pings;
  as_client([&] {
    for (std::size_t i = 0; i < tunnels.size(); ++i) {
      const auto size = std::to_string(300 + 100 * i);
      pings.push_back(std::make_unique<Child>(
          ping(tunnels[i], i % 2 == 0 ? "10.1.0.1" : "fd00::1", {"-i", "0.005", "-s", size})));
    }
  });
  EXPECT_TRUE(wait_until([&] {
    const auto dump = device_->dump();
    return std::ranges::all_of(dump.peers,
                               [&](const auto& peer) { return transfer(peer.second) >= bytes; });
  }));
  for (const auto& ping : pings)
    EXPECT_TRUE(ping->running());  // all of them, to this moment
  for (const auto& ping : pings)
    ping->send_signal(SIGINT);
  for (const auto& ping : pings)
    EXPECT_EQ(ping->wait().code, 0) << ping->output() << ping->error_output();
}

bool WireguardTraffic::is_all_debited() const {
  const auto peers = device_->dump().peers;
  const auto all = accounts();
  return std::ranges::all_of(
      peers, [&](const auto& peer) { return all.at(peer.first).used == transfer(peer.second); });
}

void WireguardTraffic::expect_all_debited(std::size_t clients) const {
  const auto dump = device_->dump();
  EXPECT_EQ(dump.peers.size(), clients);
  const auto all = accounts();
  ASSERT_EQ(all.size(), clients);
  std::int64_t sum = 0;
  for (const auto& [key, peer] : dump.peers) {
    const auto& account = all.at(key);
    EXPECT_EQ(account.used, transfer(peer));
    EXPECT_EQ(account.credited, ticket_bytes);
    EXPECT_EQ(account.available + account.used, account.credited);
    EXPECT_GT(peer.last_handshake, 0U);
    EXPECT_EQ(account.last_seen, static_cast<std::int64_t>(peer.last_handshake));
    sum += account.used;
  }
  RecordProperty("bytes_debited", std::to_string(sum));
  EXPECT_THAT(gateway_->violations(), testing::IsEmpty());
}

TEST_F(WireguardTraffic, BytesOfTenTunnelsAtOnceAreLostOrDebitedToOthers) {
  constexpr std::size_t clients = 10;
  const auto tunnels = connect_all(clients);
  carry_traffic_at_once(tunnels, 200'000);
  cut();
  // A gateway debits at its start what went through while it was away.
  EXPECT_TRUE(wait_until([&] {
    restart_gateway();
    return is_all_debited();
  }));
  expect_all_debited(clients);
  expect_equal();
}

TEST_F(WireguardTraffic, RunningGatewayDoesNotDebitTenTunnels) {
  if (!long_run()) GTEST_SKIP() << "NOT RUN: waits for polls, half a minute; LP_TEST_LONG=1";
  constexpr std::size_t clients = 10;
  const auto tunnels = connect_all(clients);
  carry_traffic_at_once(tunnels, 2'000'000);
  cut();
  EXPECT_TRUE(wait_until([&] { return is_all_debited(); }));
  expect_all_debited(clients);
  double used = 0;
  for (const auto& [key, account] : accounts())
    used += static_cast<double>(account.used);
  EXPECT_EQ(gateway_->metrics()["lp_bandwidth_used_bytes_total"], used);
}

/// After the peer has left: it is back with its addresses, and pays on.
void WireguardTraffic::expect_new_ticket_to_help(const Tunnel& tunnel, const std::string& key,
                                                 const std::string& addresses) {
  const auto before = account(key);
  register_again(key, 1);
  auto after = account(key);
  EXPECT_EQ(after.credited, before.credited + ticket_bytes);
  EXPECT_EQ(after.used, before.used);
  EXPECT_EQ(after.available, before.available + ticket_bytes);
  EXPECT_EQ(device_->dump().peers.at(key).allowed_ips, addresses);
  expect_equal();

  // A session that the gateway has forgotten is given up after 15 seconds, as by any WireGuard.
  if (long_run()) {
    as_client([&] {
      EXPECT_TRUE(wait_until(
          [&] { return run(ping(tunnel, "10.1.0.1", {"-c", "1", "-W", "1"})).ended.code == 0; }));
    });
  } else {
    as_client([&] { set_tunnel(tunnel.wg_config); });
  }
  expect_pings(tunnel, true);
  cut();
  EXPECT_TRUE(wait_until([&] {
    restart_gateway();
    return account(key).used == before.used + transfer(device_->dump().peers.at(key));
  }));
  after = account(key);
  EXPECT_GT(after.used, before.used);
  EXPECT_EQ(after.available + after.used, after.credited);
  EXPECT_EQ(device_->dump().peers.at(key).allowed_ips, addresses);
  expect_equal();
}

TEST_F(WireguardTraffic, PeerWithoutBandwidthGoesOnOrStaysOutWithANewTicket) {
  const auto tunnel = connect(0);
  expect_pings(tunnel, true);
  ASSERT_EQ(device_->dump().peers.size(), 1U);
  const auto [key, peer] = *device_->dump().peers.begin();
  constexpr std::int64_t left = 100'000;
  leave_bandwidth({key}, left);
  const auto at_first = account(key);
  EXPECT_GT(at_first.available, 0);  // the pings have been debited by now, in part at least
  EXPECT_TRUE(device_->dump().peers.contains(key));

  as_client([&] {
    const auto sent = run(ping(tunnel, "10.1.0.1", {"-c", "100", "-i", "0.01", "-s", "1000"}));
    EXPECT_EQ(sent.ended.code, 0) << sent.output;
  });
  cut();
  auto last = device_->dump().peers.at(key);
  EXPECT_TRUE(wait_until([&] {
    const auto dump = device_->dump();
    if (const auto found = dump.peers.find(key); found != dump.peers.end()) last = found->second;
    restart_gateway();
    return !device_->dump().peers.contains(key);
  }));
  const auto spent = account(key);
  EXPECT_EQ(spent.credited, ticket_bytes);
  EXPECT_EQ(spent.used - at_first.used, transfer(last) - at_first.counters);
  EXPECT_LT(spent.available, 0);
  EXPECT_EQ(spent.available + spent.used, spent.credited);
  EXPECT_EQ(gateway_->metrics()["lp_bandwidth_spent_peers_total"], 1);
  expect_equal();

  join();
  expect_pings(tunnel, false);
  EXPECT_EQ(account(key).used, spent.used);
  expect_new_ticket_to_help(tunnel, key, peer.allowed_ips);
}

TEST_F(WireguardTraffic, RunningGatewayLetsAPeerGoOnWithoutBandwidth) {
  if (!long_run()) GTEST_SKIP() << "NOT RUN: waits for polls, a minute; LP_TEST_LONG=1";
  const auto tunnel = connect(0);
  const auto [key, peer] = *device_->dump().peers.begin();
  // More than goes through until the first poll, so that this one brings the next one forward.
  constexpr std::int64_t left = 8'000'000;
  leave_bandwidth({key}, left);
  std::unique_ptr<Child> stream;
  as_client([&] {
    stream = std::make_unique<Child>(ping(tunnel, "10.1.0.1", {"-i", "0.01", "-s", "1000"}));
  });
  const auto is_gone = [&] { return !device_->dump().peers.contains(key); };
  EXPECT_TRUE(wait_until(is_gone) || wait_until(is_gone));
  EXPECT_TRUE(stream->running());
  stream->send_signal(SIGINT);
  EXPECT_EQ(stream->wait().code, 0) << stream->output();

  const auto spent = account(key);
  EXPECT_LT(spent.available, 0);
  EXPECT_EQ(spent.available + spent.used, ticket_bytes);
  const auto metrics = gateway_->metrics();
  EXPECT_EQ(metrics["lp_bandwidth_spent_peers_total"], 1);
  EXPECT_EQ(metrics["lp_bandwidth_used_bytes_total"],
            static_cast<double>(spent.used - (ticket_bytes - left)));
  RecordProperty("bytes_beyond_the_credit", std::to_string(-spent.available));
  RecordProperty("polls", std::to_string(metrics["lp_metering_polls_total{result=\"success\"}"]));
  expect_equal();
  expect_pings(tunnel, false);
  expect_new_ticket_to_help(tunnel, key, peer.allowed_ips);
}

/// A client that registers, and has a key of its own to use its tunnel with.
struct Spender {
  crypto::X25519KeyPair key = crypto::X25519KeyPair::generate();
  [[nodiscard]] std::string hex() const { return to_hex(key.public_key.bytes); }
};

class WireguardChurn : public WireguardTraffic {
 protected:
  void register_clients(const std::vector<messages::RegistrationRequest>& requests) {
    // Some at a time: each is a thread.
    constexpr std::size_t together = 25;
    for (std::size_t begin = 0; begin < requests.size(); begin += together) {
      const auto end = std::min(begin + together, requests.size());
      for (const auto& response :
           register_all(*gateway_, {requests.begin() + static_cast<std::ptrdiff_t>(begin),
                                    requests.begin() + static_cast<std::ptrdiff_t>(end)})) {
        ASSERT_TRUE(response);
        EXPECT_TRUE(response->success) << response->error.value_or("");
      }
    }
  }

  void remove_by_hand(std::uint64_t client) {
    const auto finished =
        run({.program = program("lp-gateway"),
             .args = {"peers", "remove", to_base64(numbered_wireguard_key(client).bytes),
                      "--data-dir", gateway_->data_dir().string()}});
    EXPECT_EQ(finished.ended.code, 0) << finished.error_output;
  }

  /// A handshake and a keepalive through the tunnel.
  void use_tunnel(const Spender& spender, const crypto::X25519Public& gateway_key) {
    using probe::tunnel::Link;
    auto link = Link::open(
        probe::client::Endpoint::from_literal(gateway_address, 51822).value(), std::nullopt,
        {.own = spender.key.clone(), .gateway = gateway_key, .preshared = Secret<32>()}, -1);
    ASSERT_TRUE(link);
    probe::tunnel::HandshakeReport report;
    const auto done =
        link->perform_handshake(std::chrono::steady_clock::now() + patience, 1s, report);
    EXPECT_TRUE(done) << done.error().detail;
  }
};

TEST_F(WireguardChurn, PeersStayAfterRemovalsByHandAndBySpentBandwidth) {
  const auto each = static_cast<std::uint64_t>(rounds(20, 500));
  constexpr std::uint64_t staying = 10;
  std::vector<Spender> spenders(each);
  std::vector<messages::RegistrationRequest> requests;
  requests.reserve(2 * each + staying);
  for (std::uint64_t i = 0; i < each + staying; ++i)
    requests.push_back(request(i, i));
  std::vector<std::string> spent;
  for (const auto& spender : spenders) {
    requests.push_back(request(0, requests.size()));
    requests.back().wg_public_key = to_base64(spender.key.public_key.bytes);
    spent.push_back(spender.hex());
  }
  register_clients(requests);
  expect_equal();
  ASSERT_EQ(device_->dump().peers.size(), 2 * each + staying);

  leave_bandwidth(spent, 1);
  crypto::X25519Public gateway_key;
  std::ranges::copy(from_base64(device_->dump().public_key).value(), gateway_key.bytes.begin());
  as_client([&] {
    for (const auto& spender : spenders)
      use_tunnel(spender, gateway_key);
  });
  for (std::uint64_t i = 0; i < each; ++i)
    remove_by_hand(i);
  // The running gateway polls within half a minute, one that starts does so at once.
  EXPECT_TRUE(wait_until([&] {
    if (!long_run()) restart_gateway();
    return device_->dump().peers.size() == staying;
  }));
  expect_equal();

  const auto dump = device_->dump();
  EXPECT_EQ(dump.peers.size(), staying);
  const auto all = accounts();
  EXPECT_EQ(all.size(), each + staying);  // those without bandwidth stay clients
  for (const auto& key : spent) {
    EXPECT_FALSE(dump.peers.contains(key));
    EXPECT_EQ(all.at(key).credited, ticket_bytes);
    EXPECT_LT(all.at(key).available, 0);
  }
  for (std::uint64_t i = each; i < each + staying; ++i) {
    const auto key = to_hex(numbered_wireguard_key(i).bytes);
    EXPECT_TRUE(dump.peers.contains(key));
    EXPECT_EQ(all.at(key).used, 0);
  }
}

}  // namespace
}  // namespace lp::test
