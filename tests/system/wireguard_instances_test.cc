// Two instances on one PostgreSQL, each with a wireguard-go of its own: a client's tunnel is at the
// instance that has its peer, whichever it brings its tickets to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "lib/base/encoding.h"
#include "tests/support/postgres_server.h"
#include "tests/system/gateway_process.h"
#include "tests/system/wireguard_network.h"

namespace lp::test {
namespace {

using Allowed = std::map<std::string, std::string>;

class WireguardInstances : public WireguardNetwork {
 protected:
  struct Instance {
    Instance(const std::string& name, int number, const PostgresServer& postgres,
             const std::optional<std::filesystem::path>& identity_of)
        : device(interface_name("lp" + name),
                 {prefix(number, 4) + "1/16", prefix(number, 6) + "1/112"}),
          gateway({.flags = {"--storage", postgres.url("gateway"), "--instance", name,
                             "--wireguard-backend", "uapi", "--wireguard-interface",
                             device.interface(), "--wireguard-announced-address", gateway_address,
                             "--wireguard-announced-port", std::to_string(51'000 + number),
                             "--ipv4-pool", prefix(number, 4) + "0/16", "--ipv6-pool",
                             prefix(number, 6) + "/112"},
                   .identity_of = identity_of}) {}

    /// Waits until the device has these peers and no others.
    void expect_peers(const Allowed& wanted) const {
      const auto end = std::chrono::steady_clock::now() + patience;
      while (device.dump().allowed_ips() != wanted && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      EXPECT_EQ(device.dump().allowed_ips(), wanted);
    }

    WireguardGo device;
    GatewayProcess gateway;
  };

  void SetUp() override {
    WireguardNetwork::SetUp();
    if (IsSkipped()) return;
    if (!PostgresServer::installed()) GTEST_SKIP() << PostgresServer::not_installed;
    postgres_.emplace();
    postgres_->create_database("gateway");
    a_.emplace("a", 1, *postgres_, std::nullopt);
    b_.emplace("b", 2, *postgres_, a_->gateway.data_dir());
  }
  void TearDown() override {
    a_.reset();
    b_.reset();
    postgres_.reset();
    WireguardNetwork::TearDown();
  }

  /// "10.1." and "fd01::": what an instance's addresses begin with.
  static std::string prefix(int number, int version) {
    return version == 4 ? "10." + std::to_string(number) + ".0."
                        : "fd0" + std::to_string(number) + "::";
  }

  /// A client of lp-probe at this instance, with its tunnel up.
  std::unique_ptr<WireguardGo> connect(const Instance& instance, const std::string& name) const {
    const auto wg_config = dir_ / (interface_name(name) + ".conf");
    const auto finished =
        run({.program = program("lp-probe"),
             .args = {instance.gateway.target(), "--use-mock-ecash", "--only-lp-registration",
                      "--wg-config", wg_config.string()}});
    EXPECT_EQ(finished.ended.code, 0) << finished.output << finished.error_output;
    std::unique_ptr<WireguardGo> client;
    as_client([&] { client = bring_up(wg_config); });
    return client;
  }
  /// From the client's side, through the tunnel, to an instance's own address in it.
  void ping(const WireguardGo& client, int number) const {
    as_client([&] {
      const std::string gateway = prefix(number, 4) + "1";
      run_command({"ip", "route", "replace", gateway, "dev", client.interface()});
      run_command({"ping", "-c", "2", "-i", "0.2", "-W", "10", gateway});
    });
  }
  /// Its own side of it; else it waits for an answer on it until it shakes hands again.
  void forget_session(const WireguardGo& client) const {
    as_client([&] { set_tunnel(dir_ / (client.interface() + ".conf")); });
  }
  static std::optional<messages::RegistrationResponse> bring_ticket(const Instance& instance,
                                                                    const std::string& key_hex,
                                                                    std::uint64_t nullifier) {
    auto again = request(1, nullifier);
    again.wg_public_key = to_base64(from_hex(key_hex).value());
    return register_once(instance.gateway.port(), instance.gateway.lp_key(), again);
  }

  TempDir dir_;
  std::optional<PostgresServer> postgres_;
  std::optional<Instance> a_;
  std::optional<Instance> b_;
};

TEST_F(WireguardInstances, TicketAtTheOtherInstanceMovesOrDoublesATunnel) {
  const auto client_of_a = connect(*a_, "lpc");
  ping(*client_of_a, 1);
  const Allowed at_a = a_->device.dump().allowed_ips();
  ASSERT_EQ(at_a.size(), 1U);
  const std::string& key = at_a.begin()->first;
  EXPECT_EQ(at_a.begin()->second, "10.1.0.2/32,fd01::2/128");

  const auto answer = bring_ticket(*b_, key, 1);
  ASSERT_TRUE(answer && answer->success && answer->gateway_data);
  EXPECT_EQ(to_base64(answer->gateway_data->public_key.bytes), a_->device.dump().public_key);
  EXPECT_EQ(messages::to_string(answer->gateway_data->endpoint), "10.77.0.1:51001");
  b_->expect_peers({});
  ping(*client_of_a, 1);

  // A client of the other one, at the same time.
  const auto client_of_b = connect(*b_, "lpd");
  ping(*client_of_b, 2);
  const Allowed at_b = b_->device.dump().allowed_ips();
  ASSERT_EQ(at_b.size(), 1U);
  EXPECT_EQ(at_b.begin()->second, "10.2.0.2/32,fd02::2/128");
  a_->expect_peers(at_a);

  // An instance puts its own peers back, and those alone.
  for (auto* instance : {&*a_, &*b_}) {
    instance->gateway.kill();
    instance->device.stop();
    instance->device.start();
  }
  a_->gateway.start();
  b_->gateway.start();
  a_->expect_peers(at_a);
  b_->expect_peers(at_b);
  forget_session(*client_of_a);
  ping(*client_of_a, 1);

  // A peer that is removed is free to go to the other one.
  const auto removed = run({.program = program("lp-gateway"),
                            .args = {"peers", "remove", to_base64(from_hex(key).value()),
                                     "--data-dir", a_->gateway.data_dir().string()}});
  EXPECT_EQ(removed.ended.code, 0) << removed.error_output;
  a_->expect_peers({});
  const auto moved = bring_ticket(*b_, key, 2);
  ASSERT_TRUE(moved && moved->success && moved->gateway_data);
  EXPECT_EQ(to_base64(moved->gateway_data->public_key.bytes), b_->device.dump().public_key);
  b_->expect_peers({*at_b.begin(), {key, "10.2.0.3/32,fd02::3/128"}});
  a_->expect_peers({});
}

}  // namespace
}  // namespace lp::test
