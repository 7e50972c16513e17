// The tunnel of a registration, checked by the probe: lp-gateway on wireguard-go, lp-probe as a
// user without rights, and beyond the gateway a host with a resolver, reached by forwarding.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fstream>
#include <memory>
#include <thread>

#include "lib/base/encoding.h"
#include "probes/client/socket.h"
#include "tests/system/gateway_process.h"
#include "tests/system/wireguard_network.h"

namespace lp::test {
namespace {

namespace json = boost::json;
using probe::client::Descriptor;
using probe::client::Endpoint;

/// Answers every DNS question with one address: its own.
class Resolver {
 public:
  /// On port 53 of both addresses, in the namespace of the thread that makes it.
  Resolver(const char* ipv4, const char* ipv6) : stop_(eventfd(0, EFD_CLOEXEC)) {
    for (const char* address : {ipv4, ipv6}) {
      const auto endpoint = Endpoint::from_literal(address, 53).value();
      sockets_.emplace_back(socket(endpoint.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
      if (bind(sockets_.back().get(), endpoint.address(), endpoint.size()) != 0) {
        throw std::runtime_error("no resolver on " + endpoint.to_string());
      }
      const auto ip = endpoint.ip();
      const auto* v4 = std::get_if<messages::IpV4>(&ip);
      addresses_.push_back(v4 != nullptr ? Bytes(v4->octets.begin(), v4->octets.end())
                                         : Bytes(ip6(ip).begin(), ip6(ip).end()));
    }
    thread_ = std::thread([this] { serve(); });
  }
  ~Resolver() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(stop_.get(), &one, sizeof one);
    thread_.join();
  }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

 private:
  static const ByteArray<16>& ip6(const messages::IpAddress& ip) {
    return std::get<messages::IpV6>(ip).octets;
  }

  void serve() {
    while (true) {
      pollfd fds[3] = {
          {sockets_[0].get(), POLLIN, 0}, {sockets_[1].get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
      if (poll(fds, 3, -1) < 0 || fds[2].revents != 0) return;
      for (std::size_t i = 0; i < 2; ++i) {
        if (fds[i].revents != 0) answer(sockets_[i].get(), addresses_[i]);
      }
    }
  }

  static void answer(int fd, const Bytes& address) {
    Bytes message(512);
    sockaddr_storage from{};
    socklen_t from_size = sizeof from;
    const auto size = recvfrom(fd, message.data(), message.size(), 0,
                               reinterpret_cast<sockaddr*>(&from), &from_size);
    if (size < 12) return;
    message.resize(static_cast<std::size_t>(size));
    store_be(message.data() + 2, std::uint16_t{0x8180});
    store_be(message.data() + 6, std::uint16_t{1});
    // The question's name, its type, class, a minute to live.
    const std::uint8_t type = address.size() == 4 ? 1 : 28;
    const Bytes head{0xc0, 12, 0, type, 0, 1,
                     0,    0,  0, 60,   0, static_cast<std::uint8_t>(address.size())};
    message.insert(message.end(), head.begin(), head.end());
    message.insert(message.end(), address.begin(), address.end());
    sendto(fd, message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&from),
           from_size);
  }

  Descriptor stop_;
  std::vector<Descriptor> sockets_;
  std::vector<Bytes> addresses_;
  std::thread thread_;
};

class Tunnel : public WireguardNetwork {
 protected:
  static constexpr const char* beyond_v6 = "fd77::2";

  void SetUp() override {
    WireguardNetwork::SetUp();
    if (IsSkipped()) return;
    device_ = std::make_unique<WireguardGo>(interface_name("lpt"),
                                            std::vector<std::string>{"10.1.0.1/16", "fd00::1/112"});
    // The client's namespace is also what lies beyond the gateway.
    as_client([&] {
      run_command({"ip", "route", "add", "10.1.0.0/16", "via", gateway_address});
      run_command({"ip", "route", "add", "fd00::/112", "via", "fd77::1"});
      resolver_ = std::make_unique<Resolver>(client_address, beyond_v6);
    });
  }
  void TearDown() override {
    gateway_.reset();
    device_.reset();
    resolver_.reset();
    WireguardNetwork::TearDown();
  }

  static void forward(bool on) {
    for (const char* name : {"ipv4/ip_forward", "ipv6/conf/all/forwarding"})
      std::ofstream(std::string("/proc/sys/net/") + name) << (on ? "1" : "0");
  }

  void start_gateway(const std::string& preshared_key = "none",
                     const std::string& announced = gateway_address) {
    gateway_ = std::make_unique<GatewayProcess>(
        GatewayProcess::Options{.flags = {"--wireguard-backend", "uapi", "--wireguard-interface",
                                          device_->interface(), "--wireguard-announced-address",
                                          announced, "--wireguard-preshared-key", preshared_key}});
  }

  /// lp-probe as nobody, with what there is to reach.
  [[nodiscard]] static Finished probe(std::vector<std::string> args) {
    constexpr uid_t nobody = 65534;
    for (const char* arg :
         {"--format", "json", "--netstack-num-ping", "3", "--netstack-ping-ips-v4", client_address,
          "--netstack-ping-ips-v6", beyond_v6, "--netstack-ping-hosts-v4", "a.example",
          "--netstack-ping-hosts-v6", "a.example", "--netstack-v4-dns", client_address,
          "--netstack-v6-dns", beyond_v6}) {
      args.emplace_back(arg);
    }
    return run({.program = program("lp-probe"),
                .args = std::move(args),
                .environment = {{"HOME", "/nonexistent"}, {"XDG_CONFIG_HOME", std::nullopt}},
                .user = nobody});
  }
  [[nodiscard]] Finished register_and_probe(std::vector<std::string> more = {}) const {
    more.insert(more.end(), {gateway_->target(), "--use-mock-ecash"});
    return probe(std::move(more));
  }

  static json::value result_of(const Finished& finished) {
    boost::system::error_code error;
    auto value = json::parse(finished.output, error);
    EXPECT_FALSE(error) << finished.output << finished.error_output;
    return value;
  }

  static void expect_all_answered(const Finished& finished) {
    EXPECT_EQ(finished.ended.code, 0) << finished.output << finished.error_output;
    const auto result = result_of(finished);
    const auto& wg = result.at("outcome").at("wg").as_object();
    for (const char* key :
         {"can_handshake_v4", "can_handshake_v6", "can_resolve_dns_v4", "can_resolve_dns_v6"})
      EXPECT_EQ(wg.at(key), true) << key;
    for (const char* key : {"ping_ips_performance_v4", "ping_ips_performance_v6",
                            "ping_hosts_performance_v4", "ping_hosts_performance_v6"})
      EXPECT_EQ(wg.at(key).to_number<double>(), 1.0) << key;
    for (const char* version : {"v4", "v6"})
      EXPECT_EQ(result.at("tunnel").at(version).at("gateway").at("received"), 3) << version;
    EXPECT_GT(result.at("timings_seconds").at("tunnel").to_number<double>(), 0.0);
  }

  std::unique_ptr<WireguardGo> device_;
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<GatewayProcess> gateway_;
};

class TunnelWithPresharedKey : public Tunnel, public testing::WithParamInterface<const char*> {};

TEST_P(TunnelWithPresharedKey, RegistrationLeadsToPingsAndNamesThroughTheTunnel) {
  forward(true);
  start_gateway(GetParam());
  const auto finished = register_and_probe({"--wg-preshared-key", GetParam()});
  expect_all_answered(finished);
  EXPECT_EQ(result_of(finished).at("outcome").at("wg").at("can_register"), true);
  const auto dump = device_->dump();
  ASSERT_EQ(dump.peers.size(), 1U);
  EXPECT_GT(dump.peers.begin()->second.last_handshake, 0U);
  const auto result = result_of(finished);
  const auto address = [&](const char* key) {
    return std::string(result.at("gateway_data").at(key).as_string());
  };
  EXPECT_EQ(dump.peers.begin()->second.allowed_ips,
            address("private_ipv4") + "/32," + address("private_ipv6") + "/128");
}

INSTANTIATE_TEST_SUITE_P(PresharedKey, TunnelWithPresharedKey, testing::Values("none", "identity"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST_F(Tunnel, PresharedKeyOfOneSideIsNamed) {
  start_gateway("identity");
  const auto without = register_and_probe({"--tunnel-handshake-timeout", "3s"});
  EXPECT_EQ(without.ended.code, 2);
  auto result = result_of(without);
  EXPECT_EQ(result.at("error_code"), "wireguard_response_invalid");
  EXPECT_THAT(std::string(result.at("error_detail").as_string()),
              testing::HasSubstr("fits --wg-preshared-key identity"));
  EXPECT_THAT(std::string(result.at("hint").as_string()),
              testing::HasSubstr("wireguard_preshared_key"));
  EXPECT_EQ(result.at("outcome").at("lp").at("can_register"), true);

  gateway_.reset();
  start_gateway("none");
  const auto with =
      register_and_probe({"--tunnel-handshake-timeout", "3s", "--wg-preshared-key", "identity"});
  EXPECT_EQ(with.ended.code, 2);
  result = result_of(with);
  EXPECT_EQ(result.at("error_code"), "wireguard_response_invalid");
  EXPECT_THAT(std::string(result.at("error_detail").as_string()),
              testing::HasSubstr("fits --wg-preshared-key none"));
}

TEST_F(Tunnel, GatewayThatDoesNotForwardIsToldFromOneThatIsSilent) {
  forward(false);
  start_gateway();
  const auto finished = register_and_probe({"--netstack-recv-timeout-sec", "1"});
  EXPECT_EQ(finished.ended.code, 2);
  const auto result = result_of(finished);
  EXPECT_EQ(result.at("error_code"), "tunnel_no_forwarding");
  EXPECT_EQ(result.at("tunnel").at("v4").at("gateway").at("received"), 3);
  EXPECT_EQ(result.at("tunnel").at("v4").at("ips").at("received"), 0);
}

TEST_F(Tunnel, FileOfTheTunnelServesAgainFromAnotherPlaceAndOverIpv6) {
  forward(true);
  start_gateway("identity", "fd77::1");
  // A directory that nobody may write to.
  const TempDir dir;
  run_command({"chown", "65534", dir.path().string()});
  const auto config = (dir / "wg.conf").string();
  const auto registered = register_and_probe(
      {"--only-lp-registration", "--wg-preshared-key", "identity", "--wg-config", config});
  ASSERT_EQ(registered.ended.code, 0) << registered.output << registered.error_output;
  as_client([&] {
    expect_all_answered(probe({"--only-wireguard", "--wg-config", config, "--count", "2"}));
  });
  const auto dump = device_->dump();
  ASSERT_EQ(dump.peers.size(), 1U);
  EXPECT_THAT(dump.peers.begin()->second.endpoint, testing::StartsWith("[fd77::2]:"));

  // Without its peer the device answers nothing. The gateway would put it back.
  gateway_->kill();
  run_command({"wg", "set", device_->interface(), "peer",
               to_base64(from_hex(dump.peers.begin()->first).value()), "remove"});
  const auto removed =
      probe({"--only-wireguard", "--wg-config", config, "--tunnel-handshake-timeout", "1s"});
  EXPECT_EQ(removed.ended.code, 2);
  EXPECT_EQ(result_of(removed).at("error_code"), "wireguard_handshake_timeout");
}

}  // namespace
}  // namespace lp::test
