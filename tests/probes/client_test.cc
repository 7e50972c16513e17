// LpRegistrationClient against a gateway that behaves, and one that does not.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "lib/crypto/random.h"
#include "probes/client/lp_registration_client.h"
#include "tests/support/scripted_gateway.h"

namespace lp::probe::client {
namespace {

using namespace std::chrono_literals;
using test::Fault;
using test::ScriptedGateway;

MonotonicTime in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

messages::RegistrationRequest make_request(messages::Mode mode = messages::Dvpn{}) {
  messages::RegistrationRequest request;
  request.wg_public_key = "r2bh/8ap9W7EApQNz36N3nHYRrZxd5ZCFSXaSJ0r7Pw=";
  request.credential.signature.assign(48, 7);
  request.credential.bandwidth_amount = 500'000'000;
  request.credential.expiry = 2'000'000'000;
  request.mode = mode;
  request.client_ip = messages::IpV4{{127, 0, 0, 1}};
  request.timestamp = SystemWallClock().now();
  return request;
}

struct Deadlines {
  std::chrono::milliseconds handshake = 30s;
  std::chrono::milliseconds response = 30s;
};

Outcome<messages::RegistrationResponse> register_at(const ScriptedGateway& gateway,
                                                    const ClientOptions& options = {},
                                                    Deadlines deadlines = {},
                                                    messages::Mode mode = messages::Dvpn{}) {
  LpRegistrationClient client(gateway.lp_key(), options);
  const auto endpoint = Endpoint::from_literal("127.0.0.1", gateway.port());
  if (auto step = client.connect(*endpoint, in(30s)); !step) return std::unexpected(step.error());
  if (auto step = client.perform_handshake(in(deadlines.handshake)); !step) {
    return std::unexpected(step.error());
  }
  if (auto step = client.send_registration_request(make_request(mode), in(30s)); !step) {
    return std::unexpected(step.error());
  }
  auto response = client.receive_registration_response(in(deadlines.response));
  if (!response) return response;
  if (auto verdict = judge(*response, mode); !verdict) return std::unexpected(verdict.error());
  return response;
}

class ClientTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }
};

TEST_F(ClientTest, RegistersAndReadsTheGatewaysAnswer) {
  const ScriptedGateway gateway;
  const auto response = register_at(gateway);
  ASSERT_TRUE(response) << response.error().detail;
  EXPECT_EQ(*response, ScriptedGateway::good_response(messages::Dvpn{}));
  ASSERT_EQ(gateway.requests().size(), 1u);
  EXPECT_EQ(gateway.requests()[0].wg_public_key, make_request().wg_public_key);
  EXPECT_EQ(gateway.requests()[0].credential, make_request().credential);
}

TEST_F(ClientTest, MixnetRegistrationNeedsNoGatewayData) {
  const ScriptedGateway gateway;
  const messages::Mode mode = messages::Mixnet{{1, 2, 3}};
  const auto response = register_at(gateway, {}, {}, mode);
  ASSERT_TRUE(response) << response.error().detail;
  EXPECT_EQ(response->gateway_data, std::nullopt);
  EXPECT_EQ(gateway.requests()[0].mode, mode);
}

TEST_F(ClientTest, RegistersWithEachPacketInAWriteOfItsOwn) {
  const ScriptedGateway gateway;
  EXPECT_TRUE(register_at(gateway, {.coalesce = false}));
}

TEST_F(ClientTest, SendsClientHelloAndMessage1InOneWrite) {
  const ScriptedGateway gateway;
  ASSERT_TRUE(register_at(gateway));
  EXPECT_EQ(gateway.first_read_size(), 4u + 98u + 4u + 82u);
}

TEST_F(ClientTest, NeverUsesAnLpKeyTwice) {
  const ScriptedGateway gateway;
  constexpr std::size_t rounds = 20;
  for (std::size_t i = 0; i < rounds; ++i)
    ASSERT_TRUE(register_at(gateway));
  std::set<ByteArray<32>> keys;
  for (const auto& key : gateway.client_keys())
    keys.insert(key.bytes);
  EXPECT_EQ(keys.size(), rounds);
}

TEST_F(ClientTest, ReportsTheTimeOfEachStepInOrder) {
  const ScriptedGateway gateway;
  LpRegistrationClient client(gateway.lp_key());
  ASSERT_TRUE(client.connect(*Endpoint::from_literal("127.0.0.1", gateway.port()), in(30s)));
  ASSERT_TRUE(client.perform_handshake(in(30s)));
  ASSERT_TRUE(client.send_registration_request(make_request(), in(30s)));
  ASSERT_TRUE(client.receive_registration_response(in(30s)));
  const auto& times = client.times();
  EXPECT_LE(times.connected, times.hello_sent);
  EXPECT_LT(times.hello_sent, times.handshake_complete);
  EXPECT_LE(times.handshake_complete, times.request_sent);
  EXPECT_LT(times.request_sent, times.response_received);
  EXPECT_EQ(client.local().host(), "127.0.0.1");
  EXPECT_TRUE(client.lp_id());
}

TEST_F(ClientTest, RegistersOverIpv6) {
  std::optional<ScriptedGateway> gateway;
  try {
    gateway.emplace(test::Script{}, "::1");
  } catch (const std::exception& error) {
    GTEST_SKIP() << "no IPv6 loopback: " << error.what();
  }
  LpRegistrationClient client(gateway->lp_key());
  ASSERT_TRUE(client.connect(*Endpoint::from_literal("[::1]", gateway->port()), in(30s)));
  EXPECT_TRUE(client.perform_handshake(in(30s)));
  EXPECT_TRUE(std::holds_alternative<messages::IpV6>(client.local().ip()));
}

TEST_F(ClientTest, StepsOutOfOrderAreAnErrorAndTouchNoSocket) {
  LpRegistrationClient client(crypto::X25519KeyPair::generate().public_key);
  EXPECT_EQ(client.perform_handshake(in(1s)).error().code, ProbeCode::internal);
  EXPECT_EQ(client.send_registration_request(make_request(), in(1s)).error().code,
            ProbeCode::internal);
  EXPECT_EQ(client.receive_registration_response(in(1s)).error().code, ProbeCode::internal);
}

TEST_F(ClientTest, ClosedPortIsRefused) {
  std::uint16_t port = 0;
  {
    const ScriptedGateway gone;
    port = gone.port();
  }
  LpRegistrationClient client(crypto::X25519KeyPair::generate().public_key);
  const auto result = client.connect(*Endpoint::from_literal("127.0.0.1", port), in(30s));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().stage, Stage::connect);
  EXPECT_EQ(result.error().code, ProbeCode::tcp_refused);
}

TEST_F(ClientTest, SourceAddressOfAnotherHostIsNamed) {
  const ScriptedGateway gateway;
  const auto response = register_at(gateway, {.source = Endpoint::from_literal("192.0.2.1", 0)});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ProbeCode::source_address_unusable);
}

TEST_F(ClientTest, SourceAddressIsUsed) {
  const ScriptedGateway gateway;
  LpRegistrationClient client(gateway.lp_key(), {.source = Endpoint::from_literal("127.0.0.9", 0)});
  ASSERT_TRUE(client.connect(*Endpoint::from_literal("127.0.0.1", gateway.port()), in(30s)));
  EXPECT_EQ(client.local().host(), "127.0.0.9");
}

TEST_F(ClientTest, WrongIdentityClosesTheConnectionAfterClientHello) {
  const ScriptedGateway gateway;
  LpRegistrationClient client(crypto::X25519KeyPair::generate().public_key);
  ASSERT_TRUE(client.connect(*Endpoint::from_literal("127.0.0.1", gateway.port()), in(30s)));
  const auto result = client.perform_handshake(in(30s));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ProbeCode::closed_after_client_hello);
}

TEST_F(ClientTest, KeyOfLowOrderIsRefusedBeforeAnythingIsSent) {
  const ScriptedGateway gateway;
  LpRegistrationClient client(crypto::X25519Public{});
  ASSERT_TRUE(client.connect(*Endpoint::from_literal("127.0.0.1", gateway.port()), in(30s)));
  const auto result = client.perform_handshake(in(30s));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ProbeCode::gateway_key_invalid);
}

// A gateway at its limit answers Busy and closes without reading. Whether the client's write or its
// read meets the reset first is a matter of timing; it must see Busy either way.
TEST_F(ClientTest, BusyIsSeenHoweverTheConnectionEnds) {
  const ScriptedGateway gateway({.fault = Fault::busy});
  for (int i = 0; i < 200; ++i) {
    const auto response = register_at(gateway, {.coalesce = i % 2 == 0});
    ASSERT_FALSE(response);
    ASSERT_EQ(name(response.error().code), "busy") << response.error().detail;
  }
}

TEST_F(ClientTest, BusyThatIsAlreadyThereIsSeenWhenTheWriteFails) {
  const ScriptedGateway gateway({.fault = Fault::busy});
  LpRegistrationClient client(gateway.lp_key(), {.coalesce = false});
  ASSERT_TRUE(client.connect(*Endpoint::from_literal("127.0.0.1", gateway.port()), in(30s)));
  // Once our side is shut down every write fails with EPIPE, and Busy is what can still be read.
  ASSERT_EQ(shutdown(client.native_handle(), SHUT_WR), 0);
  ASSERT_EQ(wait_for(client.native_handle(), POLLIN, in(30s), -1), Wait::ready);
  const auto result = client.perform_handshake(in(30s));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ProbeCode::busy);
}

TEST_F(ClientTest, CancellationEndsAWait) {
  const ScriptedGateway gateway({.fault = Fault::silence});
  const Descriptor cancel(eventfd(0, EFD_CLOEXEC));
  ASSERT_TRUE(cancel.valid());
  const std::uint64_t one = 1;
  std::thread canceller([&] {
    while (gateway.client_keys().empty())
      std::this_thread::yield();
    ASSERT_EQ(write(cancel.get(), &one, sizeof one), ssize_t{sizeof one});
  });
  const auto response = register_at(gateway, {.cancel_fd = cancel.get()});
  canceller.join();
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ProbeCode::interrupted);
}

TEST_F(ClientTest, PacketsThatHaveToBeDroppedDoNotHideTheAnswer) {
  const ScriptedGateway gateway({.fault = Fault::dropped_then_response});
  EXPECT_TRUE(register_at(gateway));
}

TEST_F(ClientTest, AnswerThatArrivesByteByByteIsRead) {
  const ScriptedGateway gateway({.fault = Fault::response_in_pieces});
  EXPECT_TRUE(register_at(gateway));
}

// A trickle of bytes renews no deadline: half of message 2 is not an answer.
TEST_F(ClientTest, DeadlineIsAbsolute) {
  const ScriptedGateway gateway({.fault = Fault::stalled_message_2});
  const auto response = register_at(gateway, {}, {.handshake = 100ms});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ProbeCode::handshake_timeout);
  EXPECT_NE(response.error().detail.find("43 bytes"), std::string::npos) << response.error().detail;
}

struct FaultCase {
  Fault fault;
  Stage stage;
  std::string_view code;
  Deadlines deadlines = {};
};

std::ostream& operator<<(std::ostream& out, const FaultCase& value) {
  return out << value.code;
}

class ClientFaultTest : public testing::TestWithParam<FaultCase> {};

TEST_P(ClientFaultTest, HasItsStageAndCode) {
  ASSERT_TRUE(crypto::initialise());
  const ScriptedGateway gateway(
      {.fault = GetParam().fault, .sentence = "Credential already spent"});
  const auto response = register_at(gateway, {}, GetParam().deadlines);
  ASSERT_FALSE(response);
  EXPECT_EQ(name(response.error().code), GetParam().code) << response.error().detail;
  EXPECT_EQ(name(response.error().stage), name(GetParam().stage)) << response.error().detail;
  EXPECT_FALSE(response.error().detail.empty());
}

INSTANTIATE_TEST_SUITE_P(
    All, ClientFaultTest,
    testing::Values(
        FaultCase{Fault::busy, Stage::client_hello, "busy"},
        FaultCase{Fault::close_on_accept, Stage::client_hello, "closed_after_client_hello"},
        FaultCase{Fault::close_after_hello, Stage::client_hello, "closed_after_client_hello"},
        FaultCase{Fault::silence, Stage::handshake, "handshake_timeout", {.handshake = 100ms}},
        FaultCase{Fault::busy_with_content, Stage::handshake, "busy_with_content"},
        FaultCase{Fault::speak_http, Stage::handshake, "frame_oversize"},
        FaultCase{Fault::short_packet, Stage::handshake, "packet_too_short"},
        FaultCase{Fault::version_2, Stage::handshake, "version_unsupported"},
        FaultCase{Fault::unknown_type, Stage::handshake, "message_type_unknown"},
        FaultCase{Fault::encrypted_type, Stage::handshake, "unexpected_message"},
        FaultCase{Fault::long_message_2, Stage::handshake, "packet_size_unexpected"},
        FaultCase{Fault::half_message_2, Stage::handshake, "closed_mid_frame"},
        FaultCase{Fault::other_session_id, Stage::handshake, "session_id_mismatch"},
        FaultCase{Fault::other_counter, Stage::handshake, "counter_unexpected"},
        FaultCase{Fault::corrupt_message_2, Stage::handshake, "noise_decrypt"},
        FaultCase{Fault::close_after_request, Stage::handshake, "closed_after_handshake"},
        FaultCase{
            Fault::silence_after_request, Stage::response, "response_timeout", {.response = 100ms}},
        FaultCase{Fault::half_response, Stage::response, "closed_mid_frame"},
        FaultCase{
            Fault::stalled_response, Stage::response, "response_timeout", {.response = 100ms}},
        FaultCase{Fault::corrupt_response, Stage::response, "noise_decrypt"},
        FaultCase{Fault::response_other_session_id,
                  Stage::response,
                  "session_id_mismatch",
                  {.response = 100ms}},
        FaultCase{Fault::response_low_counter, Stage::response, "counter_unexpected"},
        FaultCase{Fault::many_other_session_ids, Stage::response, "too_many_dropped"},
        FaultCase{Fault::handshake_type_response, Stage::response, "unexpected_message"},
        FaultCase{Fault::busy_after_request, Stage::response, "unexpected_message"},
        FaultCase{Fault::refusal, Stage::response, "credential_spent"},
        FaultCase{Fault::refusal_without_text, Stage::response, "registration_rejected"},
        FaultCase{Fault::no_gateway_data, Stage::response, "missing_gateway_data"},
        FaultCase{Fault::zero_gateway_key, Stage::response, "gateway_data_invalid"},
        FaultCase{Fault::zero_endpoint_port, Stage::response, "gateway_data_invalid"},
        FaultCase{Fault::not_a_response, Stage::response, "response_malformed"}));

TEST_F(ClientTest, EverySentenceOfAGatewayHasItsCode) {
  for (const auto& row : messages::registration_errors) {
    EXPECT_EQ(name(code_of_sentence(row.sentence)), row.probe_code);
  }
  EXPECT_EQ(name(code_of_sentence("No idea")), "registration_rejected");
  EXPECT_EQ(name(code_of_sentence("")), "registration_rejected");
}

TEST_F(ClientTest, GatewaysTextReachesNoTerminalUnescaped) {
  const ScriptedGateway gateway(
      {.fault = Fault::refusal, .sentence = "\x1b[2J\n" + std::string(5000, 'a')});
  const auto response = register_at(gateway);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().detail.substr(0, 11), "\\x1b[2J\\x0a");
  EXPECT_LT(response.error().detail.size(), 300u);
}

TEST(EndpointTest, LiteralsAreReadAndWrittenBack) {
  EXPECT_EQ(Endpoint::from_literal("192.0.2.7", 41264)->to_string(), "192.0.2.7:41264");
  EXPECT_EQ(Endpoint::from_literal("2001:db8::1", 1)->to_string(), "[2001:db8::1]:1");
  EXPECT_EQ(Endpoint::from_literal("[2001:db8::1]", 65535)->to_string(), "[2001:db8::1]:65535");
  EXPECT_FALSE(Endpoint::from_literal("gateway.example", 1));
  EXPECT_FALSE(Endpoint::from_literal("192.0.2.256", 1));
  EXPECT_FALSE(Endpoint::from_literal("fe80::1%no-such-interface", 1));
  EXPECT_FALSE(Endpoint::from_literal("", 1));
  const messages::SocketAddress address{messages::IpV6{{0x20, 1}}, 7};
  EXPECT_EQ(Endpoint(address).to_string(), "[2001::]:7");
  EXPECT_EQ(Endpoint(address).ip(), address.ip);
}

}  // namespace
}  // namespace lp::probe::client
