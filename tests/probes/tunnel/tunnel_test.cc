// The tunnel stage against an end that loses, delays, repeats, forges and refuses.
#include "probes/tunnel/tunnel.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/crypto/random.h"
#include "tests/probes/tunnel/scripted_wireguard.h"

namespace lp::probe::tunnel {
namespace {

using namespace std::chrono_literals;
using test::ScriptedWireguard;
using test::WireguardScript;

IpAddress address(const char* text) {
  return messages::ip_address_from_string(text).value();
}

Secret<32> preshared_of(std::uint8_t fill) {
  ByteArray<32> bytes;
  bytes.fill(fill);
  return Secret<32>(bytes);
}

/// What the script answers. Nothing here is waited for but what never comes: tests in which
/// something does not come shorten the time it has.
TunnelPlan plan_for(const ScriptedWireguard& gateway) {
  TunnelPlan plan;
  plan.endpoint = gateway.endpoint();
  plan.handshake_timeout = 60s;
  plan.initiation_interval = 60s;
  plan.checks.num_ping = 2;
  plan.checks.recv_timeout = 60s;
  plan.checks.families[0] = {.own = address("10.1.0.7"),
                             .gateway = address("10.1.0.1"),
                             .ips = {address("192.0.2.1")},
                             .hosts = {"example.org"},
                             .dns = address("192.0.2.53")};
  plan.checks.families[1] = {.own = address("fc01::7"),
                             .gateway = address("fc01::1"),
                             .ips = {address("2001:db8::1")},
                             .hosts = {"example.org"},
                             .dns = address("2001:db8::53")};
  return plan;
}

struct Run {
  Outcome<void> outcome;
  TunnelResult result;
};

Run run(const ScriptedWireguard& gateway, const TunnelPlan& plan, std::uint8_t preshared = 0) {
  Peers peers{.own = crypto::X25519KeyPair::generate(),
              .gateway = gateway.public_key(),
              .preshared = preshared_of(preshared),
              .others = {}};
  peers.others.emplace_back("none", Secret<32>());
  peers.others.emplace_back("identity", preshared_of(9));
  Run run;
  run.outcome = run_tunnel(plan, std::move(peers), run.result);
  return run;
}

Run run(const ScriptedWireguard& gateway) {
  return run(gateway, plan_for(gateway));
}

/// Some initiations get no answer.
TunnelPlan plan_with_lost_initiations(const ScriptedWireguard& gateway) {
  auto plan = plan_for(gateway);
  plan.initiation_interval = 500ms;
  return plan;
}

/// Some questions inside get no answer.
TunnelPlan plan_with_losses(const ScriptedWireguard& gateway) {
  auto plan = plan_for(gateway);
  plan.checks.recv_timeout = 800ms;
  return plan;
}

void expect_all_well(const Run& run) {
  ASSERT_TRUE(run.outcome) << name(run.outcome.error().code) << ": " << run.outcome.error().detail;
  EXPECT_TRUE(run.result.handshake_done);
  EXPECT_TRUE(run.result.remarks.empty()) << run.result.remarks.front();
  for (const auto& family : run.result.checks) {
    EXPECT_EQ(family.gateway.received, 2u);
    EXPECT_EQ(family.ips.received, 2u);
    EXPECT_EQ(family.hosts.received, 2u);
    EXPECT_EQ(family.names_resolved, 1u);
    EXPECT_GT(family.gateway.mean, 0ns);
    EXPECT_LE(family.gateway.min, family.gateway.mean);
    EXPECT_LE(family.gateway.mean, family.gateway.max);
    EXPECT_TRUE(family.dns_time.has_value());
  }
}

void expect_failure(const Run& run, ProbeCode code, std::string_view detail) {
  ASSERT_FALSE(run.outcome);
  EXPECT_EQ(run.outcome.error().stage, Stage::tunnel);
  EXPECT_EQ(name(run.outcome.error().code), name(code));
  EXPECT_NE(run.outcome.error().detail.find(detail), std::string::npos)
      << run.outcome.error().detail;
}

class TunnelTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }
};

TEST_F(TunnelTest, EveryCheckIsAnsweredOverBothVersionsOfIp) {
  for (const char* here : {"127.0.0.1", "::1"}) {
    SCOPED_TRACE(here);
    const ScriptedWireguard gateway({.address = here});
    const auto done = run(gateway);
    expect_all_well(done);
    EXPECT_EQ(done.result.handshake.initiations, 1u);
    EXPECT_FALSE(done.result.handshake.cookie);
    EXPECT_EQ(gateway.initiators().size(), 1u);
    EXPECT_EQ(gateway.keepalives(), 1u);
  }
}

TEST_F(TunnelTest, LostInitiationsAreSentAgain) {
  const ScriptedWireguard gateway({.drop_initiations = 2});
  const auto done = run(gateway, plan_with_lost_initiations(gateway));
  expect_all_well(done);
  EXPECT_GE(done.result.handshake.initiations, 3u);
}

TEST_F(TunnelTest, LateResponseIsPassedOverAndTheNextOneTaken) {
  const ScriptedWireguard gateway({.late_response = true});
  const auto done = run(gateway, plan_with_lost_initiations(gateway));
  expect_all_well(done);
  EXPECT_GE(done.result.handshake.initiations, 2u);
}

TEST_F(TunnelTest, CookieGoesIntoTheNextInitiation) {
  const ScriptedWireguard gateway({.cookie = true});
  const auto done = run(gateway, plan_with_lost_initiations(gateway));
  expect_all_well(done);
  EXPECT_TRUE(done.result.handshake.cookie);
  EXPECT_GE(done.result.handshake.initiations, 2u);
}

TEST_F(TunnelTest, JunkAndForgeriesDoNotKeepTheTrueAnswerOut) {
  const ScriptedWireguard gateway({.junk = 200, .forged_first = true, .junk_inside = true});
  expect_all_well(run(gateway));
}

TEST_F(TunnelTest, ReplayedDatagramsCountOnce) {
  const ScriptedWireguard gateway({.twice = true});
  expect_all_well(run(gateway));
}

TEST_F(TunnelTest, PresharedKeyOnBothSidesWorks) {
  const ScriptedWireguard gateway({.preshared_fill = 9});
  expect_all_well(run(gateway, plan_for(gateway), 9));
}

TEST_F(TunnelTest, PresharedKeyOfOneSideIsToldFromSilence) {
  struct Case {
    std::uint8_t theirs, ours;
    const char* detail;
  };
  for (const auto& [theirs, ours, detail] :
       {Case{9, 0, "fits --wg-preshared-key identity"}, Case{0, 5, "fits --wg-preshared-key none"},
        Case{3, 5, "does not authenticate"}}) {
    const ScriptedWireguard gateway({.preshared_fill = theirs});
    auto plan = plan_for(gateway);
    plan.handshake_timeout = 1s;
    expect_failure(run(gateway, plan, ours), ProbeCode::wireguard_response_invalid, detail);
  }
}

TEST_F(TunnelTest, SilenceIsATimeoutAndSaysHowOftenItWasTried) {
  const ScriptedWireguard gateway({.drop_initiations = 1000});
  auto plan = plan_for(gateway);
  plan.handshake_timeout = 700ms;
  plan.initiation_interval = 300ms;
  const auto done = run(gateway, plan);
  expect_failure(done, ProbeCode::wireguard_handshake_timeout, "initiations sent, no answer");
  EXPECT_FALSE(done.result.handshake_done);
  EXPECT_GE(done.result.handshake.initiations, 2u);
}

TEST_F(TunnelTest, AnotherKeyGetsNoAnswer) {
  const ScriptedWireguard gateway;
  const ScriptedWireguard other;
  auto plan = plan_for(gateway);
  plan.handshake_timeout = 250ms;
  expect_failure(run(other, plan), ProbeCode::wireguard_handshake_timeout, "no answer");
}

TEST_F(TunnelTest, CookiesAloneAreLoad) {
  const ScriptedWireguard gateway({.cookies_only = true});
  auto plan = plan_with_lost_initiations(gateway);
  plan.handshake_timeout = 1s;
  expect_failure(run(gateway, plan), ProbeCode::wireguard_under_load, "cookies");
}

TEST_F(TunnelTest, ClosedPortIsRefusedAtOnce) {
  TunnelPlan plan;
  {
    const ScriptedWireguard gone;
    plan = plan_for(gone);
  }
  const ScriptedWireguard other;
  const auto done = run(other, plan);
  expect_failure(done, ProbeCode::wireguard_refused, "refused");
  EXPECT_EQ(done.result.handshake.initiations, 1u);
}

TEST_F(TunnelTest, NothingInsideIsSilence) {
  const ScriptedWireguard gateway({.silent_inside = true});
  const auto done = run(gateway, plan_with_losses(gateway));
  expect_failure(done, ProbeCode::tunnel_silent, "nothing comes back");
  EXPECT_TRUE(done.result.handshake_done);
  EXPECT_EQ(done.result.checks[0].gateway.sent, 2u);
  EXPECT_EQ(done.result.checks[0].gateway.performance(), 0.0);
}

TEST_F(TunnelTest, GatewayAloneIsNoForwardingAndTheGatewaysReasonIsShown) {
  const ScriptedWireguard gateway({.pingable = {"10.1.0.1", "fc01::1"},
                                   .resolver_v4 = "",
                                   .resolver_v6 = "",
                                   .prohibited = "192.0.2.1"});
  expect_failure(run(gateway, plan_with_losses(gateway)), ProbeCode::tunnel_no_forwarding,
                 "no address beyond the gateway answers");
  auto plan = plan_with_losses(gateway);
  plan.checks.families[0].hosts.clear();
  expect_failure(run(gateway, plan), ProbeCode::tunnel_no_forwarding,
                 "192.0.2.1: prohibited by a firewall, says 10.1.0.1");
}

TEST_F(TunnelTest, NamesThatDoNotResolveFailAndSayWhy) {
  const ScriptedWireguard gateway({.rcode = 3});
  const auto done = run(gateway);
  expect_failure(done, ProbeCode::tunnel_dns_failed, "example.org: the name does not exist");
  EXPECT_EQ(done.result.checks[0].ips.performance(), 1.0);
  EXPECT_FALSE(done.result.checks[0].hosts.asked());
}

TEST_F(TunnelTest, OneVersionOfIpAloneIsARemark) {
  const ScriptedWireguard gateway({.pingable = {"10.1.0.1", "192.0.2.1"}, .resolver_v6 = ""});
  const auto done = run(gateway, plan_with_losses(gateway));
  ASSERT_TRUE(done.outcome) << done.outcome.error().detail;
  ASSERT_EQ(done.result.remarks.size(), 3u);
  EXPECT_EQ(done.result.remarks[0].find("over IPv6 the gateway answers no ping"), 0u);
  EXPECT_EQ(done.result.remarks[1].find("over IPv6 no address beyond the gateway answers"), 0u);
  EXPECT_EQ(done.result.remarks[2].find("over IPv6 no name is resolved"), 0u);
}

TEST_F(TunnelTest, LostQuestionIsAskedAgainAndALostPingIsCounted) {
  const ScriptedWireguard gateway({.drop_inside = 1});
  auto plan = plan_with_losses(gateway);
  plan.checks.families[1] = {};
  auto done = run(gateway, plan);
  ASSERT_TRUE(done.outcome) << done.outcome.error().detail;
  EXPECT_EQ(done.result.checks[0].names_resolved, 1u) << "the question is what goes first";
  const ScriptedWireguard again({.drop_inside = 1});
  plan.endpoint = again.endpoint();
  plan.checks.families[0].hosts.clear();
  done = run(again, plan);
  ASSERT_TRUE(done.outcome) << done.outcome.error().detail;
  EXPECT_EQ(done.result.checks[0].gateway.sent, 2u);
  EXPECT_EQ(done.result.checks[0].gateway.received, 1u);
}

TEST_F(TunnelTest, CancellationEndsEveryWait) {
  const client::Descriptor cancel(eventfd(1, EFD_CLOEXEC));
  const ScriptedWireguard gateway({.drop_initiations = 1000});
  auto plan = plan_for(gateway);
  plan.cancel_fd = cancel.get();
  expect_failure(run(gateway, plan), ProbeCode::interrupted, "interrupted");
}

TEST_F(TunnelTest, GatewayIsTheFirstAddressOfThePool) {
  EXPECT_EQ(messages::to_string(gateway_of(std::get<messages::IpV4>(address("10.1.200.7")))),
            "10.1.0.1");
  EXPECT_EQ(messages::to_string(gateway_of(std::get<messages::IpV6>(address("fc01::ab:cdef")))),
            "fc01::ab:1");
}

}  // namespace
}  // namespace lp::probe::tunnel
