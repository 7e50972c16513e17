// A gateway whose WireGuard fails in every way a socket can, and comes back: nobody waits long, no
// ticket is lost, and no peer is in WireGuard that has not paid.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <thread>

#include "gateway/app/commands.h"
#include "gateway/app/gateway.h"
#include "gateway/wireguard/device.h"
#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "lib/log/log.h"
#include "tests/gateway/wireguard/uapi_server.h"
#include "tests/system/gateway_process.h"

namespace lp::test {
namespace {

using namespace std::chrono_literals;
using Behaviour = UapiServer::Behaviour;
constexpr std::int64_t gib = std::int64_t{1} << 30;

struct Fault {
  std::string name;
  std::function<void(UapiServer&)> begin;
};

void answer(UapiServer& server, const Behaviour& behaviour) {
  server.behave(behaviour);
}

std::vector<Fault> faults() {
  return {
      {"refused", [](UapiServer& server) { server.stop(); }},
      {"hanging", [](UapiServer& server) { answer(server, {.applies = false, .answers = false}); }},
      {"slow by 3 s", [](UapiServer& server) { answer(server, {.delay = 3s}); }},
      {"answering errors", [](UapiServer& server) { answer(server, {.error = EIO}); }},
      {"answering junk",
       [](UapiServer& server) {
         answer(server, {.applies = false, .raw = std::string("\x01\xff=\n\0\n", 6)});
       }},
      {"answering half lines", [](UapiServer& server) { answer(server, {.raw = "errno=0"}); }},
      {"applying without answering",
       [](UapiServer& server) { answer(server, {.answers = false}); }},
  };
}

/// One gateway in this process, with a scripted device of its own.
class Scene {
 public:
  Scene() {
    gateway::Settings settings;
    settings.data_dir = dir_ / "data";
    std::filesystem::create_directory(settings.data_dir);
    settings.bind_address = {"127.0.0.1"};
    settings.control_port = 0;
    settings.http_address = "127.0.0.1";
    settings.http_port = 0;
    settings.use_mock_ecash = true;
    settings.threads = 1;
    settings.max_connections = 16;
    if (const auto made = gateway::app::make_keys(settings); !made) {
      throw std::runtime_error(made.error().sentence);
    }
    auto started = gateway::app::Gateway::start(
        settings, {.make_backend = [this](const gateway::Settings&) { return backend(); },
                   .make_verifier = {},
                   .make_clock = {}});
    if (!started) throw std::runtime_error(started.error().sentence);
    gateway_ = std::move(*started);
    const auto address = gateway_->lp_address();
    port_ = static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
    lp_key_ = crypto::Identity::from_base58(gateway_->identity()).value().to_x25519().value();
  }

  UapiServer& server() { return server_; }
  [[nodiscard]] std::filesystem::path database() const { return dir_ / "data/gateway.sqlite"; }

  /// The answer to a registration, and how long it took.
  messages::RegistrationResponse register_peer(std::uint64_t key, std::uint64_t nullifier) {
    const auto begin = std::chrono::steady_clock::now();
    auto response = register_once(port_, lp_key_, request(key, nullifier));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
    EXPECT_TRUE(response) << "no answer";
    return response.value_or(messages::RegistrationResponse{});
  }

  /// The device's peers as the database writes them.
  [[nodiscard]] std::map<std::string, std::string> device_peers() const {
    std::map<std::string, std::string> peers;
    for (const auto& [key, peer] : server_.state().peers) {
      std::string addresses;
      for (const auto& address : peer.allowed_ips)
        addresses += (addresses.empty() ? "" : ",") + address;
      peers.emplace(key, addresses);
    }
    return peers;
  }

  /// Waits until the device has just these peers, as in the database, and nothing waits for it.
  void expect_equal_within(std::chrono::seconds limit, std::vector<std::uint64_t> keys) {
    std::vector<std::string> expected;
    expected.reserve(keys.size());
    for (const auto key : keys)
      expected.push_back(to_hex(numbered_wireguard_key(key).bytes));
    const auto end = std::chrono::steady_clock::now() + limit;
    const auto is_equal = [&] {
      const auto peers = device_peers();
      std::vector<std::string> present;
      present.reserve(peers.size());
      for (const auto& [key, addresses] : peers)
        present.push_back(key);
      return present == expected && peers == peers_with_bandwidth(database()) &&
             read_tables(database()).removals == 0;
    };
    while (!is_equal() && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(20ms);
    EXPECT_TRUE(is_equal()) << testing::PrintToString(device_peers());
  }

  void shut_down() { gateway_->shut_down(1s); }

 private:
  std::unique_ptr<gateway::wireguard::Backend> backend() {
    gateway::wireguard::DeviceConfig config{
        .interface = "lptest", .private_key = {}, .listen_port = 51822};
    config.private_key.mutable_bytes()[0] = 8;
    return gateway::wireguard::make_uapi_backend(std::move(config), {.directory = dir_.path()});
  }

  TempDir dir_;
  UapiServer server_{dir_ / "lptest.sock"};
  std::unique_ptr<gateway::app::Gateway> gateway_;
  std::uint16_t port_ = 0;
  crypto::X25519Public lp_key_;
};

void play(const Fault& fault) {
  SCOPED_TRACE(fault.name);
  Scene scene;
  EXPECT_TRUE(scene.register_peer(1, 1).success);
  scene.expect_equal_within(10s, {1});

  fault.begin(scene.server());
  // A new client, twice: the first finds out, the second finds the backend known to be down.
  for (const std::uint64_t client : {2U, 3U}) {
    const auto refused = scene.register_peer(client, client);
    EXPECT_FALSE(refused.success);
    EXPECT_EQ(refused.error, "WireGuard peer registration failed");
  }
  // A further ticket of a client that is there.
  const auto further = scene.register_peer(1, 4);
  EXPECT_EQ(further.error.value_or(""), "WireGuard peer registration failed");

  if (fault.name == "refused") {
    scene.server().start();  // empty
  } else {
    scene.server().behave({});
  }
  scene.expect_equal_within(10s, {1});
  const auto& state = scene.server().state();
  EXPECT_EQ(state.listen_port, "51822");
  EXPECT_EQ(state.private_key, "08" + std::string(60, '0') + "40");
  EXPECT_EQ(read_tables(scene.database()),
            (Tables{.clients = 1, .peers = 1, .spent = 1, .credited = gib, .removals = 0}));

  // No ticket is lost.
  for (const auto& [client, nullifier] : {std::pair(2, 2), std::pair(3, 3), std::pair(1, 4)}) {
    const auto taken = scene.register_peer(static_cast<std::uint64_t>(client),
                                           static_cast<std::uint64_t>(nullifier));
    EXPECT_TRUE(taken.success) << taken.error.value_or("");
  }
  scene.expect_equal_within(10s, {1, 2, 3});
  EXPECT_EQ(read_tables(scene.database()),
            (Tables{.clients = 3, .peers = 3, .spent = 4, .credited = 4 * gib, .removals = 0}));
  EXPECT_TRUE(find_violations(scene.database()).empty());
  scene.shut_down();
}

TEST(WireguardFaults, AFaultCostsATicketOrGivesAwayATunnel) {
  ASSERT_TRUE(crypto::initialise());
  log::set_level(log::Level::off);
  // All at once: they wait more than they work.
  std::vector<std::jthread> threads;
  for (const auto& fault : faults())
    threads.emplace_back([fault] { play(fault); });
}

TEST(WireguardFaults, ADeviceThatWasRestartedStaysEmpty) {
  ASSERT_TRUE(crypto::initialise());
  log::set_level(log::Level::off);
  Scene scene;
  for (const std::uint64_t client : {1U, 2U, 3U})
    EXPECT_TRUE(scene.register_peer(client, client).success);
  scene.expect_equal_within(10s, {1, 2, 3});
  // Between two calls: nobody meets a socket that refuses.
  scene.server().start();
  scene.expect_equal_within(10s, {1, 2, 3});
  EXPECT_EQ(scene.server().state().listen_port, "51822");
  EXPECT_EQ(scene.server().state().private_key, "08" + std::string(60, '0') + "40");
  scene.shut_down();
}

}  // namespace
}  // namespace lp::test
