// What a gateway says over HTTP, and who says it.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sodium.h>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "probes/http/gateway_info.h"
#include "probes/http/http_get.h"
#include "probes/runner.h"
#include "tests/probes/scripted_http.h"

namespace lp::probe::http {
namespace {

using namespace std::chrono_literals;
using test::ScriptedHttp;

MonotonicTime in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

std::string sign(const crypto::IdentityKeyPair& key, std::string_view text) {
  ByteArray<crypto_sign_PUBLICKEYBYTES> public_key;
  ByteArray<crypto_sign_SECRETKEYBYTES> secret_key;
  crypto_sign_seed_keypair(public_key.data(), secret_key.data(), key.seed.data());
  ByteArray<crypto_sign_BYTES> signature;
  crypto_sign_detached(signature.data(), nullptr,
                       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                       secret_key.data());
  return to_base58(signature);
}

constexpr std::string_view sphinx = "Awn4R2AHX91tYeiMJMxW3mFfoePuHWzZYUFdDQnydZCD";
constexpr std::string_view noise = "118f7476ece0923ca6869f893753fb870a193574b240cf9a9";

std::string current_data(const std::string& identity) {
  return fmt::format(
      R"({{"ip_address":["192.0.2.1"],"hostname":"gw.example","keys":{{"ed25519_identity":"{0}",)"
      R"("x25519_sphinx":"{1}","primary_x25519_sphinx_key":{{"rotation_id":7,"public_key":"{1}"}},)"
      R"("pre_announced_x25519_sphinx_key":null,"x25519_versioned_noise":)"
      R"({{"supported_version":1,"x25519_pubkey":"{2}"}}}}}})",
      identity, sphinx, noise);
}

std::string wrap(const std::string& data, const std::string& signature) {
  return fmt::format(R"({{ "data": {}, "signature": "{}" }})", data, signature);
}

class HttpTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }
  crypto::IdentityKeyPair key_ = crypto::IdentityKeyPair::generate();
  std::string id_ = key_.identity.to_base58();
};

TEST_F(HttpTest, LpInfoIsRead) {
  const auto info = parse_lp_info(
      fmt::format(R"({{"identity":"{}","lp_public_key":"{}","lp_port":4711,"protocol_version":1,)"
                  R"("modes":["dvpn","mixnet"],"mock_ecash":true,"version":"0.1.0"}})",
                  id_, to_base58(key_.identity.to_x25519()->bytes)));
  ASSERT_TRUE(info) << info.error().detail;
  EXPECT_EQ(info->identity, key_.identity);
  EXPECT_EQ(info->lp_port, 4711);
  EXPECT_EQ(info->mock_ecash, true);
  EXPECT_EQ(info->version, "0.1.0");
}

TEST_F(HttpTest, LpInfoThatCannotBeMeantIsRefused) {
  const std::string deep(200, '[');
  for (const std::string& body :
       {std::string(), std::string("{}"), std::string("[]"), std::string("<html>"), deep,
        std::string(R"({"identity":7,"lp_port":1})"),
        std::string(R"({"identity":"0","lp_port":1})"),
        fmt::format(R"({{"identity":"{}","lp_port":1,"lp_public_key":"{}"}})", id_, sphinx),
        fmt::format(R"({{"identity":"{}"}})", id_),
        fmt::format(R"({{"identity":"{}","lp_port":0}})", id_),
        fmt::format(R"({{"identity":"{}","lp_port":65536}})", id_),
        fmt::format(R"({{"identity":"{}","lp_port":"1"}})", id_),
        fmt::format(R"({{"identity":"{}","lp_port":1.5}})", id_)}) {
    const auto info = parse_lp_info(body);
    ASSERT_FALSE(info) << body;
    EXPECT_EQ(name(info.error().code), "http_invalid") << body;
    EXPECT_EQ(info.error().stage, Stage::resolve);
  }
}

TEST_F(HttpTest, HostInformationIsVerifiedOverTheDataAsReceived) {
  const std::string data = current_data(id_);
  const auto info = parse_host_information(wrap(data, sign(key_, data)));
  ASSERT_TRUE(info) << info.error().detail;
  EXPECT_EQ(info->identity, key_.identity);
  EXPECT_EQ(info->lp_port, 41264);
}

// What nodes signed before keys were added to the structure, and still send.
TEST_F(HttpTest, HostInformationIsVerifiedInItsOlderForms) {
  const auto form = [&](const std::string& keys) {
    return fmt::format(R"({{"ip_address":["192.0.2.1"],"hostname":"gw.example","keys":{}}})", keys);
  };
  const std::string v3 =
      form(fmt::format(R"({{"ed25519_identity":"{}","x25519_sphinx":"{}","x25519_noise":"{}"}})",
                       id_, sphinx, noise));
  const std::string v1 = form(fmt::format(R"({{"ed25519":"{}","x25519":"{}"}})", id_, sphinx));
  for (const auto& signed_form : {v3, v1}) {
    EXPECT_TRUE(parse_host_information(wrap(current_data(id_), sign(key_, signed_form))))
        << signed_form;
  }
  const std::string without_noise = form(fmt::format(
      R"({{"ed25519_identity":"{}","x25519_sphinx":"{}","x25519_noise":null}})", id_, sphinx));
  const std::string v2 = form(fmt::format(
      R"({{"ed25519_identity":"{}","x25519_sphinx":"{}","x25519_noise":""}})", id_, sphinx));
  EXPECT_TRUE(parse_host_information(wrap(without_noise, sign(key_, without_noise))));
  EXPECT_TRUE(parse_host_information(wrap(without_noise, sign(key_, v2))));
}

// As a node of the Rust side published it.
TEST_F(HttpTest, HostInformationOfARealNodeVerifies) {
  const auto info = parse_host_information(R"({
      "data": {
        "ip_address": ["194.182.184.55"],
        "hostname": null,
        "keys": {
          "ed25519_identity": "2RMWm7PoadaoWpk3KhT2tcFFfA4oKUyC44KwmVvjxNDS",
          "x25519_sphinx": "Awn4R2AHX91tYeiMJMxW3mFfoePuHWzZYUFdDQnydZCD",
          "x25519_noise": null
        }
      },
      "signature": "5JcXh766JANhz3bu2hMBS8onTLihQn6vnGgduJg1qd8JAcPGPbXBwBTKmmQPYCVGeZYFHW4CMGhfHVBu2A1rE5f7"
    })");
  ASSERT_TRUE(info) << info.error().detail;
  EXPECT_EQ(info->identity.to_base58(), "2RMWm7PoadaoWpk3KhT2tcFFfA4oKUyC44KwmVvjxNDS");
}

TEST_F(HttpTest, HostInformationThatWasChangedIsRefused) {
  const std::string data = current_data(id_);
  std::string changed = data;
  changed.replace(changed.find("192.0.2.1"), 9, "192.0.2.2");
  const auto info = parse_host_information(wrap(changed, sign(key_, data)));
  ASSERT_FALSE(info);
  EXPECT_EQ(name(info.error().code), "host_information_signature");
  const auto other = crypto::IdentityKeyPair::generate();
  EXPECT_EQ(name(parse_host_information(wrap(data, sign(other, data))).error().code),
            "host_information_signature");
  for (const std::string& body : {std::string("{}"), std::string(R"({"data":{},"signature":"x"})"),
                                  wrap(data, "not base58 0OIl"), wrap(data, "1111"),
                                  wrap(current_data("2"), sign(key_, data))}) {
    EXPECT_EQ(name(parse_host_information(body).error().code), "http_invalid") << body;
  }
}

TEST_F(HttpTest, GatewayIsAskedOnThePortGiven) {
  const ScriptedHttp server(
      {{"/api/v1/lp", ScriptedHttp::ok(fmt::format(R"({{"identity":"{}","lp_port":7}})", id_))}});
  const auto info = ask_gateway({"127.0.0.1", server.port()}, in(30s), in(30s), -1);
  ASSERT_TRUE(info) << info.error().detail;
  EXPECT_EQ(info->lp_port, 7);
}

TEST_F(HttpTest, HostInformationIsAskedWhereTheFirstPathIsUnknown) {
  const std::string data = current_data(id_);
  const ScriptedHttp server(
      {{"/api/v1/host-information", ScriptedHttp::ok(wrap(data, sign(key_, data)))}});
  const auto info = ask_gateway({"127.0.0.1", server.port()}, in(30s), in(30s), -1);
  ASSERT_TRUE(info) << info.error().detail;
  EXPECT_EQ(info->identity, key_.identity);
  EXPECT_EQ(info->lp_port, 41264);
}

TEST_F(HttpTest, EachWayToFailHasItsCode) {
  const auto code = [](std::map<std::string, std::string> answers,
                       std::chrono::milliseconds limit = 30s) {
    const ScriptedHttp server(std::move(answers));
    const auto info = ask_gateway({"127.0.0.1", server.port()}, in(30s), in(limit), -1);
    return info ? std::string("ok") : std::string(name(info.error().code));
  };
  EXPECT_EQ(code({}), "http_invalid");  // 404 twice
  EXPECT_EQ(code({{"/api/v1/lp", ""}, {"/api/v1/host-information", ""}}, 200ms), "http_timeout");
  EXPECT_EQ(code({{"/api/v1/lp", "SSH-2.0-x\r\n"}}), "http_invalid");
  EXPECT_EQ(code({{"/api/v1/lp", ScriptedHttp::ok(std::string(max_body + 1, ' '))}}),
            "http_invalid");
  EXPECT_EQ(
      code({{"/api/v1/lp", "HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n"}}),
      "http_invalid");
  EXPECT_EQ(code({{"/api/v1/lp",
                   "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\n"
                   "Content-Length: 0\r\n\r\n"}}),
            "http_invalid");
  const std::string data = current_data(id_);
  EXPECT_EQ(code({{"/api/v1/host-information", ScriptedHttp::ok(wrap(data, sign(key_, "x")))}}),
            "host_information_signature");
  std::uint16_t gone = 0;
  {
    const ScriptedHttp server({});
    gone = server.port();
  }
  const auto refused = ask_gateway({"127.0.0.1", gone}, in(30s), in(30s), -1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(name(refused.error().code), "http_unreachable");
}

TEST_F(HttpTest, ClockIsComparedWithTheDateHeader) {
  const ScriptedHttp server(
      {{"/api/v1/lp", ScriptedHttp::ok("{}", "Sun, 06 Nov 1994 08:49:37 GMT")}});
  const auto gateway = *client::Endpoint::from_literal("127.0.0.1", 1);
  const auto seen = observe_gateway(gateway, "127.0.0.1", server.port(), in(30s), -1);
  ASSERT_TRUE(seen.clock_offset_seconds);
  EXPECT_LT(*seen.clock_offset_seconds, -30LL * 365 * 86'400);
  EXPECT_FALSE(seen.identity);
}

TEST(HttpDateTest, OneFormIsReadAndNoOther) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784'111'777u);
  EXPECT_EQ(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"), 0u);
  EXPECT_EQ(parse_http_date("Tue, 29 Feb 2028 23:59:60 GMT"), 1'835'481'600u);
  for (const char* text : {"", "Sun, 06 Nov 1994 08:49:37", "Sunday, 06-Nov-94 08:49:37 GMT",
                           "Sun Nov  6 08:49:37 1994", "Sun, 31 Nov 1994 08:49:37 GMT",
                           "Sun, 06 Xyz 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
                           "Sun, 06 Nov 1994 08:60:37 GMT", "Wed, 31 Dec 1969 23:59:59 GMT",
                           "Tue, 29 Feb 2027 00:00:00 GMT", "Sun, 0a Nov 1994 08:49:37 GMT"}) {
    EXPECT_FALSE(parse_http_date(text)) << text;
  }
}

TEST(TicketGateTest, RealTicketGoesToNoIdentityThatOnlyTheNetworkVouchesFor) {
  using report::IdentitySource;
  for (const auto source : {IdentitySource::unknown, IdentitySource::http_unverified}) {
    EXPECT_TRUE(may_send_ticket(source, true));
    EXPECT_FALSE(may_send_ticket(source, false));
  }
  for (const auto source :
       {IdentitySource::given, IdentitySource::http_trusted, IdentitySource::http_expected}) {
    EXPECT_TRUE(may_send_ticket(source, false));
  }
}

TEST(ResolveTest, LiteralsAndFamilies) {
  const auto v4 = resolve("127.0.0.1", 7, Family::any, in(30s), -1);
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->at(0).to_string(), "127.0.0.1:7");
  EXPECT_EQ(name(resolve("127.0.0.1", 7, Family::ipv6, in(30s), -1).error().code),
            "no_address_of_family");
  EXPECT_EQ(name(resolve("::1", 7, Family::ipv4, in(30s), -1).error().code),
            "no_address_of_family");
  const auto local = resolve("localhost", 7, Family::ipv4, in(30s), -1);
  ASSERT_TRUE(local) << local.error().detail;
  EXPECT_EQ(local->at(0).to_string(), "127.0.0.1:7");
}

TEST(ResolveTest, NameThatCannotExistIsAnErrorOfItsStage) {
  const auto result = resolve("does-not-exist.invalid", 7, Family::any, in(30s), -1);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().stage, Stage::resolve);
  EXPECT_EQ(name(result.error().code).substr(0, 4), "dns_");
}

TEST(ResolveTest, QuestionIsAskedAfterItsDeadline) {
  const auto result = resolve("does-not-exist.invalid", 7, Family::any, MonotonicTime::min(), -1);
  ASSERT_FALSE(result);
  EXPECT_EQ(name(result.error().code), "dns_timeout");
}

}  // namespace
}  // namespace lp::probe::http
