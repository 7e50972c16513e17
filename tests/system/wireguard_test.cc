// The gateway, the probe and Debian's wireguard-go: what a registration is worth.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "lib/base/encoding.h"
#include "tests/system/gateway_process.h"
#include "tests/system/wireguard_network.h"

namespace lp::test {
namespace {

using namespace std::chrono_literals;

class Wireguard : public WireguardNetwork {
 protected:
  void SetUp() override {
    WireguardNetwork::SetUp();
    if (IsSkipped()) return;
    device_ = std::make_unique<WireguardGo>(interface_name("lpg"),
                                            std::vector<std::string>{"10.1.0.1/16", "fd00::1/112"});
  }
  void TearDown() override {
    gateway_.reset();
    device_.reset();
    WireguardNetwork::TearDown();
  }

  void start_gateway(const std::string& preshared_key = "none") {
    gateway_ = std::make_unique<GatewayProcess>(GatewayProcess::Options{
        .flags = {"--wireguard-backend", "uapi", "--wireguard-interface", device_->interface(),
                  "--wireguard-announced-address", gateway_address, "--wireguard-preshared-key",
                  preshared_key}});
  }

  void register_clients(std::uint64_t count) {
    const std::string public_key = device_->dump().public_key;
    // Some at a time: each is a thread.
    constexpr std::uint64_t together = 25;
    for (std::uint64_t begin = 1; begin <= count; begin += together) {
      std::vector<messages::RegistrationRequest> requests;
      for (auto i = begin; i < std::min(begin + together, count + 1); ++i)
        requests.push_back(request(i, i));
      for (const auto& response : register_all(*gateway_, requests)) {
        ASSERT_TRUE(response);
        EXPECT_TRUE(response->success) << response->error.value_or("");
        ASSERT_TRUE(response->gateway_data);
        EXPECT_EQ(to_base64(response->gateway_data->public_key.bytes), public_key);
      }
    }
  }

  void remove_client(std::uint64_t client) {
    const auto finished =
        run({.program = program("lp-gateway"),
             .args = {"peers", "remove", to_base64(numbered_wireguard_key(client).bytes),
                      "--data-dir", gateway_->data_dir().string()}});
    EXPECT_EQ(finished.ended.code, 0) << finished.error_output;
  }

  void expect_equal_within(std::chrono::seconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    const auto wanted = [&] { return peers_with_bandwidth(gateway_->database()); };
    while (device_->dump().allowed_ips() != wanted() && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(50ms);
    const auto dump = device_->dump();
    EXPECT_EQ(dump.allowed_ips(), wanted());
    EXPECT_EQ(dump.listen_port, "51822");
    for (const auto& [key, peer] : dump.peers) {
      EXPECT_EQ(peer.keepalive, "25");
      EXPECT_EQ(peer.preshared_key, to_base64(identity().bytes));
      EXPECT_EQ(peer.endpoint, "(none)");
    }
  }
  [[nodiscard]] crypto::Identity identity() const {
    return crypto::Identity::from_base58(gateway_->identity()).value();
  }

  /// Registers with the probe, which writes the file of the tunnel.
  void register_with_probe(const std::filesystem::path& wg_config,
                           const std::string& preshared_key) {
    const auto finished =
        run({.program = program("lp-probe"),
             .args = {gateway_->target(), "--use-mock-ecash", "--only-lp-registration",
                      "--wg-preshared-key", preshared_key, "--wg-config", wg_config.string()}});
    ASSERT_EQ(finished.ended.code, 0) << finished.output << finished.error_output;
  }

  std::unique_ptr<WireguardGo> device_;
  std::unique_ptr<GatewayProcess> gateway_;
};

TEST_F(Wireguard, TheDeviceHasOtherPeersThanTheDatabase) {
  start_gateway("identity");
  const auto clients = static_cast<std::uint64_t>(rounds(50, 1'000));
  register_clients(clients);
  expect_equal_within(10s);
  EXPECT_EQ(device_->dump().peers.size(), clients);

  // Restarted, the device is empty.
  device_->stop();
  device_->start();
  expect_equal_within(10s);
  EXPECT_EQ(device_->dump().peers.size(), clients);

  const auto removed = clients / 2;
  for (std::uint64_t i = 1; i <= removed; ++i)
    remove_client(i);
  expect_equal_within(10s);
  const auto dump = device_->dump();
  EXPECT_EQ(dump.peers.size(), clients - removed);
  EXPECT_FALSE(dump.peers.contains(to_hex(numbered_wireguard_key(removed).bytes)));
  EXPECT_TRUE(dump.peers.contains(to_hex(numbered_wireguard_key(removed + 1).bytes)));
  EXPECT_TRUE(gateway_->violations().empty());
}

class WireguardTunnel : public Wireguard, public testing::WithParamInterface<const char*> {};

TEST_P(WireguardTunnel, AConfigurationOfTheProbeReachesNothing) {
  start_gateway(GetParam());
  TempDir dir;
  const std::string interface = interface_name("lpc");
  const auto wg_config = dir / (interface + ".conf");
  register_with_probe(wg_config, GetParam());

  std::unique_ptr<WireguardGo> client;
  as_client([&] {
    client = bring_up(wg_config);
    run_command({"ip", "route", "add", "10.1.0.0/16", "dev", interface});
    run_command({"ip", "route", "add", "fd00::/112", "dev", interface});
    for (const char* address : {"10.1.0.1", "fd00::1"})
      run_command({"ping", "-c", "3", "-i", "0.2", "-W", "10", address});
  });

  const auto dump = device_->dump();
  ASSERT_EQ(dump.peers.size(), 1U);
  const auto& peer = dump.peers.begin()->second;
  EXPECT_EQ(peer.preshared_key,
            GetParam() == std::string("identity") ? to_base64(identity().bytes) : "(none)");
  EXPECT_GT(peer.last_handshake, 0U);
  EXPECT_THAT(peer.endpoint, testing::StartsWith(client_address));
  // Six echoes of 84 and 104 bytes in packets of WireGuard, each way.
  EXPECT_GT(peer.rx_bytes, 6U * 84);
  EXPECT_GT(peer.tx_bytes, 6U * 84);
}

INSTANTIATE_TEST_SUITE_P(PresharedKey, WireguardTunnel, testing::Values("none", "identity"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace lp::test
