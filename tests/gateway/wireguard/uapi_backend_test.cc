// The backend of user-space WireGuard against a socket whose answers the test decides.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <future>
#include <string>
#include <utility>

#include "gateway/config/log.h"
#include "gateway/wireguard/device.h"
#include "lib/base/encoding.h"
#include "tests/gateway/wireguard/scripted_backend.h"
#include "tests/gateway/wireguard/uapi_server.h"
#include "tests/support/process.h"

namespace lp::gateway::wireguard {
namespace {

using namespace std::chrono_literals;
using test::numbered_key;
using test::numbered_peer;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Kind = WireguardError::Kind;

const std::string zeros(64, '0');
// Not clamped: the first byte's low bits are set, the last one's high bit is.
constexpr std::uint8_t key_byte = 0xff;
const std::string clamped_key = "f8" + std::string(60, 'f') + "7f";

DeviceConfig config(bool with_preshared_key = false) {
  DeviceConfig config{.interface = "lptest", .private_key = {}, .listen_port = 51822};
  std::ranges::fill(config.private_key.mutable_bytes(), key_byte);
  if (with_preshared_key) {
    config.preshared_key.emplace();
    std::ranges::fill(config.preshared_key->mutable_bytes(), std::uint8_t{0xab});
  }
  return config;
}

std::string hex(std::uint32_t number) {
  return to_hex(numbered_key(number).bytes);
}

class UapiBackend : public testing::Test {
 protected:
  UapiBackend() { log::set_level(log::Level::off); }

  std::unique_ptr<Backend> make(bool with_preshared_key = false,
                                std::chrono::milliseconds deadline = 20s) {
    return make_uapi_backend(config(with_preshared_key),
                             {.directory = dir_.path(), .deadline = deadline});
  }
  /// What list_peers says to this answer.
  WireguardResult<std::vector<PeerState>> list(const std::string& answer) {
    server_.behave({.raw = answer});
    return backend_->list_peers();
  }

  test::TempDir dir_;
  test::UapiServer server_{dir_ / "lptest.sock"};
  std::unique_ptr<Backend> backend_ = make();
};

TEST_F(UapiBackend, ThePeerComesBeforeKeyAndPort) {
  ASSERT_TRUE(backend_->add_peer(numbered_peer(1)));
  EXPECT_THAT(
      server_.requests(),
      ElementsAre("get=1\n\n", "set=1\nprivate_key=" + clamped_key + "\nlisten_port=51822\n\n",
                  "set=1\npublic_key=" + hex(1) + "\npreshared_key=" + zeros +
                      "\npersistent_keepalive_interval=25\nreplace_allowed_ips=true\n"
                      "allowed_ip=10.1.0.1/32\nallowed_ip=fd00::1/128\n\n"));
}

TEST_F(UapiBackend, KeyAndPortAreSetAgainAndAgain) {
  ASSERT_TRUE(backend_->add_peer(numbered_peer(1)));
  server_.forget_requests();
  ASSERT_TRUE(backend_->list_peers());
  ASSERT_TRUE(backend_->remove_peer(numbered_key(1)));
  EXPECT_THAT(server_.requests(),
              ElementsAre("get=1\n\n", "set=1\npublic_key=" + hex(1) + "\nremove=true\n\n"));
  EXPECT_TRUE(server_.state().peers.empty());
}

TEST_F(UapiBackend, AnotherKeyOrPortOnTheDeviceStays) {
  ASSERT_TRUE(backend_->list_peers());
  for (const auto& [key, port] : {std::pair(zeros, "51822"), std::pair(clamped_key, "51821"),
                                  std::pair(std::string(), "51822")}) {
    server_.set_state({.private_key = key, .listen_port = port, .peers = {}});
    ASSERT_TRUE(backend_->list_peers());
    EXPECT_EQ(server_.state().private_key, clamped_key);
    EXPECT_EQ(server_.state().listen_port, "51822");
  }
}

TEST_F(UapiBackend, PeersOfOthersAreTouched) {
  const test::UapiServer::Peer other{.lines = {{"persistent_keepalive_interval", "1"}},
                                     .allowed_ips = {"192.0.2.0/24"}};
  server_.set_state({.private_key = zeros, .listen_port = "1", .peers = {{hex(9), other}}});
  ASSERT_TRUE(backend_->add_peer(numbered_peer(1)));
  ASSERT_TRUE(backend_->list_peers());
  ASSERT_TRUE(backend_->remove_peer(numbered_key(1)));
  EXPECT_EQ(server_.state().peers,
            (std::map<std::string, test::UapiServer::Peer>{{hex(9), other}}));
}

TEST_F(UapiBackend, APeerOfBeforeKeepsItsOldSettings) {
  const auto with_key = make(true);
  ASSERT_TRUE(with_key->add_peer(numbered_peer(1)));
  const auto listed = with_key->list_peers();
  ASSERT_TRUE(listed && listed->size() == 1);
  EXPECT_TRUE(listed->front().settings_match);
  EXPECT_EQ(listed->front().addresses, numbered_peer(1).addresses);
  std::string preshared;
  for (int i = 0; i < 32; ++i)
    preshared += "ab";
  EXPECT_EQ(server_.state().peers[hex(1)].lines["preshared_key"], preshared);
  // Without one, the next gateway sees a peer that does not match, and takes the key away.
  const auto seen = backend_->list_peers();
  ASSERT_TRUE(seen && seen->size() == 1);
  EXPECT_FALSE(seen->front().settings_match);
  ASSERT_TRUE(backend_->add_peer(numbered_peer(1)));
  EXPECT_EQ(server_.state().peers[hex(1)].lines["preshared_key"], zeros);
  EXPECT_EQ(server_.state().peers[hex(1)].allowed_ips.size(), 2U);
}

TEST_F(UapiBackend, AListingIsMisread) {
  const std::string device =
      "private_key=" + clamped_key + "\nlisten_port=51822\nfwmark=1\nnew=x\n";
  const auto peers =
      list(device + "public_key=" + hex(1) + "\npreshared_key=" + zeros +
           "\nprotocol_version=1\nendpoint=[2001:db8::1%2]:1\nlast_handshake_time_sec=1700000000\n"
           "last_handshake_time_nsec=5\ntx_bytes=18446744073709551615\nrx_bytes=7\n"
           "persistent_keepalive_interval=25\nallowed_ip=10.1.0.1/32\nallowed_ip=fd00::1/128\n"
           "public_key=" +
           hex(2) +
           "\npersistent_keepalive_interval=0\nallowed_ip=10.1.0.2/32\n"
           "public_key=" +
           hex(3) +
           "\nallowed_ip=10.1.0.3/32\nallowed_ip=fd00::3/128\n"
           "allowed_ip=0.0.0.0/0\nunknown_thing=\n"
           "public_key=" +
           hex(4) + "\nallowed_ip=10.1.0.4/31\nallowed_ip=fd00::4/128\nerrno=0\n\n");
  ASSERT_TRUE(peers) << peers.error().detail;
  ASSERT_EQ(peers->size(), 4U);
  const auto& first = peers->front();
  EXPECT_EQ(first.public_key, numbered_key(1));
  EXPECT_EQ(first.addresses, numbered_peer(1).addresses);
  EXPECT_TRUE(first.settings_match);
  EXPECT_EQ(first.rx_bytes, 7U);
  EXPECT_EQ(first.tx_bytes, 18446744073709551615U);
  EXPECT_EQ(first.last_handshake, 1'700'000'000U);
  // Nothing of a peer goes over to the next.
  EXPECT_FALSE((*peers)[1].settings_match);
  EXPECT_EQ((*peers)[1].rx_bytes, 0U);
  EXPECT_EQ((*peers)[1].last_handshake, 0U);
  for (std::size_t i = 1; i < 4; ++i)
    EXPECT_FALSE((*peers)[i].addresses) << i;
  EXPECT_THAT(server_.requests(), ElementsAre("get=1\n\n"));
}

TEST_F(UapiBackend, AHundredThousandPeersAreTooMany) {
  std::string answer = "private_key=" + clamped_key + "\nlisten_port=51822\n";
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    answer += "public_key=" + hex(i) + "\npreshared_key=" + zeros + "\nprotocol_version=1\n";
    answer += "last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=";
    answer += std::to_string(i) + "\npersistent_keepalive_interval=25\nallowed_ip=10.1.0.1/32\n";
    answer += "allowed_ip=fd00::1/128\n";
  }
  const auto peers = list(answer + "errno=0\n\n");
  ASSERT_TRUE(peers) << peers.error().detail;
  ASSERT_EQ(peers->size(), 100'000U);
  EXPECT_EQ(peers->back().rx_bytes, 99'999U);
  EXPECT_EQ(peers->back().public_key, numbered_key(99'999));
}

struct Answer {
  std::string text;
  std::string sentence;
};

TEST_F(UapiBackend, ANonsensicalListingPassesForAnEmptyDevice) {
  const std::string peer = "public_key=" + hex(1) + "\n";
  const std::vector<Answer> answers{
      {"", "closed in the middle"},
      {"listen_port=1", "closed in the middle"},
      {"listen_port=1\n", "closed in the middle"},
      {"errno=0\n", "closed in the middle"},
      {"listen_port=1\n\n", "ends without errno"},
      {"\n", "ends without errno"},
      {"errno=0\nlisten_port=1\n\n", "something follows errno"},
      {"errno=no\n\n", "errno is no number"},
      {"errno=\n\n", "errno is no number"},
      {"errno=5\n\n", "cannot be read: Input/output error"},
      {"HTTP/1.1 400 Bad Request\n\n", "not key=value"},
      {"=1\nerrno=0\n\n", "not key=value"},
      {std::string("\0\0\0\n", 4), "not key=value"},
      {"allowed_ip=10.1.0.1/32\n" + peer + "errno=0\n\n", "allowed_ip before any public_key"},
      {"rx_bytes=1\nerrno=0\n\n", "rx_bytes before any public_key"},
      {"listen_port=65536\nerrno=0\n\n", "listen_port"},
      {"listen_port= 1\nerrno=0\n\n", "listen_port"},
      {"private_key=" + zeros.substr(1) + "\nerrno=0\n\n", "private_key"},
      {"private_key=" + zeros + "0\nerrno=0\n\n", "private_key"},
      {"public_key=" + zeros.substr(1) + "g\nerrno=0\n\n", "public_key"},
      {peer + "preshared_key=00\nerrno=0\n\n", "preshared_key"},
      {peer + "rx_bytes=-1\nerrno=0\n\n", "rx_bytes"},
      {peer + "tx_bytes=18446744073709551616\nerrno=0\n\n", "tx_bytes"},
      {peer + "last_handshake_time_sec=now\nerrno=0\n\n", "last_handshake_time_sec"},
      {peer + "persistent_keepalive_interval=65536\nerrno=0\n\n", "persistent_keepalive"},
      {peer + "allowed_ip=10.1.0.1\nerrno=0\n\n", "allowed_ip"},
      {peer + "allowed_ip=10.1.0.1/33\nerrno=0\n\n", "allowed_ip"},
      {peer + "allowed_ip=10.1.0/24\nerrno=0\n\n", "allowed_ip"},
      {peer + "allowed_ip=fd00::1/129\nerrno=0\n\n", "allowed_ip"},
      {std::string(100'000, 'x'), "a line of over 4096 bytes"},
      {std::string(5'000, 'x') + "=1\nerrno=0\n\n", "a line of over 4096 bytes"},
  };
  for (const auto& [text, sentence] : answers) {
    const auto peers = list(text);
    ASSERT_FALSE(peers) << text;
    EXPECT_EQ(peers.error().kind, Kind::unavailable) << text;
    EXPECT_THAT(peers.error().detail, HasSubstr(sentence)) << text;
    // A key that is nearly right is not to be read in a log.
    EXPECT_THAT(peers.error().detail, Not(HasSubstr("000000")));
  }
}

TEST_F(UapiBackend, ANonsensicalAnswerPassesForSuccess) {
  ASSERT_TRUE(backend_->list_peers());
  for (const auto& [text, sentence] :
       std::vector<Answer>{{"", "closed in the middle"},
                           {"errno=0", "closed in the middle"},
                           {"errno=0\n", "closed in the middle"},
                           {"\n", "does not begin with errno"},
                           {"ok\n\n", "does not begin with errno"},
                           {"listen_port=1\nerrno=0\n\n", "does not begin with errno"},
                           {"errno=0x\n\n", "errno is no number"},
                           {"errno=0\nerrno=0\n\n", "something follows errno"}}) {
    server_.behave({.raw = text});
    for (const auto& result :
         {backend_->add_peer(numbered_peer(1)), backend_->remove_peer(numbered_key(1))}) {
      ASSERT_FALSE(result) << text;
      EXPECT_EQ(result.error().kind, Kind::unavailable) << text;
      EXPECT_THAT(result.error().detail, HasSubstr(sentence)) << text;
    }
  }
}

TEST_F(UapiBackend, APeerThatIsRefusedStopsEverybody) {
  ASSERT_TRUE(backend_->list_peers());
  // wireguard-go sends errno as the negative number.
  for (const int error : {EINVAL, -EINVAL}) {
    server_.behave({.error = error});
    const auto added = backend_->add_peer(numbered_peer(1));
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().kind, Kind::refused);
    EXPECT_THAT(added.error().detail, HasSubstr("Invalid argument"));
    EXPECT_EQ(backend_->remove_peer(numbered_key(1)).error().kind, Kind::refused);
  }
  // What is wrong with the device is no peer's fault.
  server_.behave({.error = -EIO});
  EXPECT_EQ(backend_->add_peer(numbered_peer(1)).error().kind, Kind::unavailable);
}

TEST_F(UapiBackend, APortThatIsTakenServesNobodyAndNobodyKnows) {
  server_.behave({.error = -EADDRINUSE});
  const auto added = backend_->add_peer(numbered_peer(1));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind, Kind::unavailable);
  EXPECT_THAT(added.error().detail, AllOf(HasSubstr("51822"), HasSubstr("already in use")));
  // The peer was not tried; and key and port are tried again.
  server_.behave({});
  ASSERT_TRUE(backend_->add_peer(numbered_peer(1)));
  EXPECT_EQ(server_.state().listen_port, "51822");
}

TEST_F(UapiBackend, AMissingSocketIsWaitedFor) {
  server_.stop();
  const auto added = backend_->add_peer(numbered_peer(1));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind, Kind::unavailable);
  EXPECT_THAT(added.error().detail, AllOf(HasSubstr((dir_ / "lptest.sock").string()),
                                          HasSubstr("No such file"), HasSubstr("running?")));
}

TEST_F(UapiBackend, ASilentDeviceIsWaitedForForEver) {
  ASSERT_TRUE(backend_->list_peers());
  backend_ = make(false, 100ms);
  for (const auto& behaviour : {test::UapiServer::Behaviour{.answers = false},
                                {.delay = 3s},
                                {.raw = "new_line=1\n", .endless = true}}) {
    server_.start();
    server_.behave(behaviour);
    const auto peers = backend_->list_peers();
    ASSERT_FALSE(peers);
    EXPECT_EQ(peers.error().kind, Kind::timeout) << peers.error().detail;
    server_.stop();
  }
}

TEST_F(UapiBackend, ASocketWhoseQueueIsFullIsWaitedForForEver) {
  server_.stop_accepting();
  backend_ = make(false, 100ms);
  // The queue takes a few connections before it is full; these time out as well.
  for (int i = 0; i < 5; ++i) {
    const auto peers = backend_->list_peers();
    ASSERT_FALSE(peers);
    EXPECT_EQ(peers.error().kind, Kind::timeout) << peers.error().detail;
  }
}

TEST_F(UapiBackend, ADeviceThatWasRestartedStaysEmpty) {
  EXPECT_TRUE(backend_->is_as_left());
  ASSERT_TRUE(backend_->add_peer(numbered_peer(1)));
  EXPECT_TRUE(backend_->is_as_left());
  server_.stop();
  EXPECT_FALSE(backend_->is_as_left());
  server_.start();
  EXPECT_FALSE(backend_->is_as_left());
  ASSERT_TRUE(backend_->add_peer(numbered_peer(2)));
  EXPECT_TRUE(backend_->is_as_left());
  EXPECT_EQ(server_.state().private_key, clamped_key);
  EXPECT_EQ(server_.state().listen_port, "51822");
}

TEST_F(UapiBackend, ARestartIsNoticedOnlyWhenSomethingIsAsked) {
  std::promise<void> noticed;
  const auto controller =
      make_controller(std::move(backend_), {.deadline = 20s, .probe_interval = 10ms});
  std::promise<bool> listed;
  controller->list_peers([&](auto peers) { listed.set_value(peers.has_value()); });
  ASSERT_TRUE(listed.get_future().get());
  controller->on_recovery([&, once = false]() mutable {
    if (!std::exchange(once, true)) noticed.set_value();
  });
  server_.start();
  ASSERT_EQ(noticed.get_future().wait_for(test::patience), std::future_status::ready);
  EXPECT_EQ(server_.state().private_key, clamped_key);
  EXPECT_TRUE(controller->healthy());
  controller->shut_down();
}

}  // namespace
}  // namespace lp::gateway::wireguard
