// What a chain may answer about keys, and what is refused as a whole.
#include "lib/net/verification_keys.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "lib/ecash/issuer_key.h"
#include "tests/lib/net/scripted_server.h"

namespace lp::net {
namespace {

using test::ScriptedServer;
using testing::HasSubstr;

std::string new_public_key() {
  return to_base64(ecash::IssuerKey::generate().public_key().encode());
}

std::string row(std::string_view type, std::uint64_t expiry, std::string_view public_key,
                std::uint64_t epoch = 1) {
  return fmt::format(R"({{"epoch_id":{},"ticket_type":"{}","expiry":{},"public_key":"{}"}})", epoch,
                     type, expiry, public_key);
}

std::string answer(const std::vector<std::string>& rows) {
  return fmt::format(R"({{"data":{{"keys":[{}]}}}})", fmt::join(rows, ","));
}

std::string refusal(const std::string& body) {
  const auto keys = parse_verification_keys(body);
  EXPECT_FALSE(keys) << body;
  return keys ? "" : keys.error();
}

class VerificationKeys : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }
  const std::string a_ = new_public_key();
  const std::string b_ = new_public_key();
};

TEST_F(VerificationKeys, AnswerOfTheContractIsRead) {
  const auto keys = parse_verification_keys(answer(
      {row("V1WireguardEntry", 1'763'424'000, a_, 7), row("V1MixnetExit", 1'763'424'000, b_, 8)}));
  ASSERT_TRUE(keys) << keys.error();
  ASSERT_EQ(keys->size(), 2u);
  EXPECT_EQ(keys->at(0).epoch_id, 7u);
  EXPECT_EQ(keys->at(0).type, messages::TicketType::v1_wireguard_entry);
  EXPECT_EQ(keys->at(0).expiry, 1'763'424'000u);
  EXPECT_EQ(to_base64(keys->at(0).public_key.encode()), a_);
  EXPECT_EQ(keys->at(1).type, messages::TicketType::v1_mixnet_exit);
  EXPECT_TRUE(parse_verification_keys(answer({}))->empty());
  EXPECT_TRUE(parse_verification_keys(R"({"height":"5","data":{"keys":[],"next":null}})"));
}

TEST_F(VerificationKeys, TwoKeysForOneTypeAndExpiryAreRefused) {
  EXPECT_THAT(refusal(answer({row("V1MixnetExit", 5, a_), row("V1MixnetExit", 5, b_, 2)})),
              HasSubstr("two keys for V1MixnetExit with expiry 5"));
  EXPECT_THAT(refusal(answer({row("V1MixnetExit", 5, a_), row("V1MixnetExit", 5, a_)})),
              HasSubstr("two keys"));
}

// It would turn a ticket of one type into one of another.
TEST_F(VerificationKeys, OnePublicKeyUnderTwoNamesIsRefused) {
  EXPECT_THAT(refusal(answer({row("V1MixnetExit", 5, a_), row("V1WireguardExit", 5, a_)})),
              HasSubstr("public key"));
  EXPECT_THAT(refusal(answer({row("V1MixnetExit", 5, a_), row("V1MixnetExit", 6, a_)})),
              HasSubstr("public key"));
}

TEST_F(VerificationKeys, PointThatFailsItsChecksRefusesTheWholeAnswer) {
  const auto key_refusal = [&](const Bytes& encoding) {
    return refusal(
        answer({row("V1MixnetExit", 5, a_), row("V1MixnetExit", 6, to_base64(encoding))}));
  };
  const Bytes good = *from_base64(b_);
  Bytes infinity(96, 0);
  infinity[0] = 0xc0;
  EXPECT_THAT(key_refusal(infinity), HasSubstr("key 1 has a public_key that is none"));
  Bytes uncompressed = good;
  uncompressed[0] &= 0x7f;
  EXPECT_THAT(key_refusal(uncompressed), HasSubstr("key 1"));
  EXPECT_THAT(key_refusal(Bytes(good.begin(), good.end() - 1)), HasSubstr("key 1"));
  // Half of all x are no point's; of those that are, nearly none is in the subgroup.
  int refused = 0;
  for (std::uint8_t x = 1; x < 20; ++x) {
    Bytes small(96, 0);
    small[0] = 0x80;
    small[95] = x;
    refused += key_refusal(small).empty() ? 0 : 1;
  }
  EXPECT_EQ(refused, 19);
}

TEST_F(VerificationKeys, WhatIsMalformedRefusesTheWholeAnswer) {
  const std::string good = row("V1MixnetEntry", 9, b_);
  for (const std::string& bad :
       {row("V1Nothing", 5, a_), row("", 5, a_), row("V1MixnetExit", 0, a_),
        row("V1MixnetExit", std::uint64_t{1} << 63U, a_), row("V1MixnetExit", 5, ""),
        row("V1MixnetExit", 5, "===="), row("V1MixnetExit", 5, a_ + "\\n"), std::string("null"),
        std::string("[]"), std::string("7"), std::string("{}"),
        fmt::format(
            R"({{"epoch_id":1.5,"ticket_type":"V1MixnetExit","expiry":5,"public_key":"{}"}})", a_),
        fmt::format(
            R"({{"epoch_id":-1,"ticket_type":"V1MixnetExit","expiry":5,"public_key":"{}"}})", a_),
        fmt::format(R"({{"epoch_id":1,"ticket_type":2,"expiry":5,"public_key":"{}"}})", a_),
        fmt::format(
            R"({{"epoch_id":1,"ticket_type":"V1MixnetExit","expiry":"5","public_key":"{}"}})", a_),
        fmt::format(
            R"({{"epoch_id":1,"ticket_type":"V1MixnetExit","expiry":1e400,"public_key":"{}"}})",
            a_)}) {
    EXPECT_NE(refusal(answer({good, bad})), "") << bad;
  }
  for (const std::string& body :
       {std::string(), std::string("<html>"), std::string("null"), std::string("[]"),
        std::string("{}"), std::string(R"({"data":null})"), std::string(R"({"data":{}})"),
        std::string(R"({"data":{"keys":{}}})"), std::string(R"({"data":{"keys":null}})"),
        std::string(R"({"keys":[]})"), answer({good}) + "x", answer({good}).substr(0, 60),
        std::string("{\"data\":{\"keys\":[\"\xff\"]}}"), std::string(1'000'000, '[')}) {
    EXPECT_NE(refusal(body), "") << body.substr(0, 80);
  }
}

TEST_F(VerificationKeys, OneKeyTooManyRefusesTheWholeAnswer) {
  std::vector<std::string> rows(max_verification_keys + 1, "{}");
  EXPECT_THAT(refusal(answer(rows)), HasSubstr("4097 keys"));
  rows.pop_back();
  EXPECT_THAT(refusal(answer(rows)), HasSubstr("key 0"));
}

TEST_F(VerificationKeys, QueryIsTheContractsSmartQuery) {
  std::string seen;
  const ScriptedServer server([&](ScriptedServer::Connection& connection) {
    seen = connection.read_request();
    connection.send(ScriptedServer::response(answer({row("V1MixnetExit", 5, a_)})));
  });
  for (const char* path : {"/", "/rest/", "/rest"}) {
    const Url base{.tls = false, .host = "127.0.0.1", .port = server.port(), .path = path};
    const auto keys =
        fetch_verification_keys(base, "n1ecash", {.deadline = std::chrono::minutes(1)});
    ASSERT_TRUE(keys) << keys.error().detail;
    EXPECT_EQ(keys->size(), 1u);
    const std::string prefix = std::string_view(path) == "/" ? "" : "/rest";
    EXPECT_THAT(seen, HasSubstr("GET " + prefix +
                                "/cosmwasm/wasm/v1/contract/n1ecash/smart/"
                                "eyJ2ZXJpZmljYXRpb25fa2V5cyI6e319 HTTP/1.1\r\n"));
  }
}

TEST_F(VerificationKeys, AnswerThatIsNoSuccessIsNotRead) {
  const auto kind = [&](std::string_view status) {
    const ScriptedServer server(ScriptedServer::answer(
        ScriptedServer::response(answer({row("V1MixnetExit", 5, a_)}), status)));
    const Url base{.tls = false, .host = "127.0.0.1", .port = server.port(), .path = "/"};
    const auto keys = fetch_verification_keys(base, "n1", {.deadline = std::chrono::minutes(1)});
    EXPECT_FALSE(keys);
    return keys ? ChainError::Kind::cancelled : keys.error().kind;
  };
  for (const char* status : {"204 No Content", "301 Moved", "307 Temporary Redirect",
                             "404 Not Found", "429 Too Many Requests", "502 Bad Gateway"}) {
    EXPECT_EQ(kind(status), ChainError::Kind::http_status) << status;
  }
}

}  // namespace
}  // namespace lp::net
