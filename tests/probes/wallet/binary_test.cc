// The real lp-probe with real tickets, against a gateway that misbehaves.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/json.hpp>
#include <filesystem>
#include <set>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "lib/ecash/verification_key.h"
#include "lib/messages/registration_errors.h"
#include "tests/probes/scripted_http.h"
#include "tests/probes/wallet/probe_run.h"
#include "tests/support/scripted_gateway.h"

namespace lp::test {
namespace {

namespace json = boost::json;
using messages::RegistrationFailure;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

class WalletBinaryTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }

  [[nodiscard]] Finished probe(const ScriptedGateway& gateway,
                               std::vector<std::string> args = {}) const {
    args.insert(args.end(), {"--only-lp-registration", "--format", "json", gateway.target()});
    return probe_.run(std::move(args));
  }

  static json::value parse(const Finished& finished) {
    boost::system::error_code error;
    auto value = json::parse(finished.output, error);
    EXPECT_FALSE(error) << finished.output << finished.error_output;
    return value;
  }
  static std::string error_code(const Finished& finished) {
    const auto value = parse(finished);
    const auto* code = value.is_object() ? value.as_object().if_contains("error_code") : nullptr;
    if (code == nullptr) return "no error_code";
    return code->is_string() ? std::string(code->as_string().c_str()) : "";
  }

  /// The wallet's states, in the order of the tickets.
  [[nodiscard]] std::vector<std::string> states() const {
    std::vector<std::string> found;
    const auto finished = run(probe_.without_issuer({"wallet", "list", "--format", "json"}));
    EXPECT_EQ(finished.ended.code, 0) << finished.error_output;
    const auto value = parse(finished);
    if (!value.is_array()) return found;
    for (const auto& ticket : value.as_array()) {
      found.emplace_back(ticket.at("state").as_string().c_str());
    }
    return found;
  }

  TempDir dir_;
  ScriptedIssuer issuer_{SystemWallClock().now() + 86'400};
  ProbeWithWallet probe_{dir_, issuer_.url()};
};

using States = std::vector<std::string>;

TEST_F(WalletBinaryTest, AProbeWithdrawsATicketAndSpendsIt) {
  const ScriptedGateway gateway;
  const auto finished = probe(gateway);
  EXPECT_EQ(finished.ended.code, 0) << finished.output << finished.error_output;
  EXPECT_EQ(states(), States{"spent"});
  const auto requests = gateway.requests();
  ASSERT_EQ(requests.size(), 1u);
  const auto& request = requests.front();
  const ecash::TicketMessage message{.gateway = gateway.identity(),
                                     .nullifier = request.credential.nullifier,
                                     .bandwidth_amount = 500'000'000,
                                     .expiry = request.credential.expiry,
                                     .type = request.ticket_type};
  const ecash::VerificationKey key(issuer_.public_key(request.ticket_type));
  EXPECT_TRUE(key.verify(message, request.credential.signature));
  EXPECT_EQ(request.credential.bandwidth_amount, 500'000'000u);
}

TEST_F(WalletBinaryTest, LookingIntoAWalletThatIsNotThereMakesNone) {
  EXPECT_TRUE(states().empty());
  EXPECT_FALSE(std::filesystem::exists(probe_.wallet()));
}

TEST_F(WalletBinaryTest, OneAddressForChainAndIssuerIsSaid) {
  const ScriptedGateway gateway;
  EXPECT_TRUE(contains(probe(gateway).error_output, "chain and issuer are one address"));
}

TEST_F(WalletBinaryTest, CountUsesThatManyTicketsAndOneRequestToTheIssuer) {
  const ScriptedGateway gateway;
  const auto finished = probe(gateway, {"--count", "3", "--interval", "0"});
  EXPECT_EQ(finished.ended.code, 0) << finished.output << finished.error_output;
  EXPECT_EQ(states(), (States{"spent", "spent", "spent"}));
  EXPECT_EQ(issuer_.requests(), 1u);
  std::set<messages::Nullifier> nullifiers;
  std::set<std::string> keys;
  for (const auto& request : gateway.requests()) {
    nullifiers.insert(request.credential.nullifier);
    keys.insert(request.wg_public_key);
  }
  EXPECT_EQ(nullifiers.size(), 3u);
  EXPECT_EQ(keys.size(), 1u) << "a run leaves one peer behind";
}

TEST_F(WalletBinaryTest, AfterALostAnswerTheSameTicketGoesOutWithTheSameKey) {
  for (const std::string mode : {"dvpn", "mixnet"}) {
    const ScriptedGateway gateway({.fault = Fault::close_after_request, .every = 2});
    ASSERT_EQ(probe(gateway, {"--mode", mode}).ended.code, 0);
    EXPECT_EQ(probe(gateway, {"--mode", mode}).ended.code, 2);
    EXPECT_EQ(states().back(), "sent");
    ASSERT_EQ(probe(gateway, {"--mode", mode}).ended.code, 0);
    EXPECT_EQ(states().back(), "spent");
    const auto requests = gateway.requests();
    ASSERT_EQ(requests.size(), 3u);
    EXPECT_NE(requests[0].credential, requests[1].credential);
    EXPECT_EQ(requests[1].credential, requests[2].credential);
    EXPECT_EQ(requests[1].wg_public_key, requests[2].wg_public_key);
    EXPECT_EQ(requests[1].mode, requests[2].mode);
    EXPECT_NE(gateway.client_keys()[1], gateway.client_keys()[2]) << "the LP key is fresh";
  }
}

TEST_F(WalletBinaryTest, WhatFailsBeforeTheRequestLeavesTheTicketUnspent) {
  for (const Fault fault : {Fault::busy, Fault::close_on_accept, Fault::close_after_hello,
                            Fault::corrupt_message_2, Fault::speak_http, Fault::half_message_2}) {
    const ScriptedGateway gateway({.fault = fault});
    EXPECT_EQ(probe(gateway).ended.code, 2);
    EXPECT_EQ(states().back(), "unspent") << static_cast<int>(fault);
    EXPECT_TRUE(gateway.requests().empty());
  }
  // Nobody listens.
  const auto identity = crypto::IdentityKeyPair::generate().identity.to_base58();
  const auto finished =
      probe_.run({"--only-lp-registration", fmt::format("{}@127.0.0.1:{}", identity, free_port())});
  EXPECT_EQ(finished.ended.code, 2);
  EXPECT_EQ(states().back(), "unspent");
}

TEST_F(WalletBinaryTest, AnAnswerThatDoesNotAuthenticateIsNone) {
  for (const Fault fault : {Fault::corrupt_response, Fault::busy_after_request,
                            Fault::half_response, Fault::not_a_response}) {
    const ScriptedGateway gateway({.fault = fault});
    EXPECT_EQ(probe(gateway).ended.code, 2);
    EXPECT_EQ(states().back(), "sent") << static_cast<int>(fault);
  }
}

TEST_F(WalletBinaryTest, ARefusalDecidesWhatTheTicketIs) {
  const std::vector<std::pair<RegistrationFailure, std::string>> cases{
      {RegistrationFailure::credential_already_spent, "void"},
      {RegistrationFailure::credential_expired, "void"},
      {RegistrationFailure::bad_signature, "void"},
      {RegistrationFailure::gateway_busy, "unspent"},
      {RegistrationFailure::unknown_verification_key, "unspent"},
      {RegistrationFailure::wireguard_failed, "sent"},
      {RegistrationFailure::processing_timeout, "sent"},
  };
  for (const auto& [failure, state] : cases) {
    const std::string sentence(messages::sentence(failure));
    const ScriptedGateway gateway({.fault = Fault::refusal, .sentence = sentence});
    const auto finished = probe(gateway);
    EXPECT_EQ(finished.ended.code, 2);
    EXPECT_EQ(error_code(finished), messages::probe_code(failure));
    EXPECT_EQ(states().back(), state) << sentence;
  }
}

// Success spends the ticket, whatever else is wrong with the answer.
TEST_F(WalletBinaryTest, ASuccessThatCannotBeUsedIsSpentAllTheSame) {
  const ScriptedGateway gateway({.fault = Fault::no_gateway_data});
  EXPECT_EQ(error_code(probe(gateway)), "missing_gateway_data");
  EXPECT_EQ(states(), States{"spent"});
}

TEST_F(WalletBinaryTest, ParallelProbesNeverSendTheSameTicket) {
  const ScriptedGateway gateway;
  const auto identity = gateway.identity().to_base58();
  ASSERT_EQ(probe_.run({"wallet", "withdraw", "--gateway", identity, "--count", "12"}).ended.code,
            0);
  std::vector<Child> children;
  for (int i = 0; i < 4; ++i) {
    children.emplace_back(probe_.options(
        {"--only-lp-registration", "--count", "3", "--interval", "0", gateway.target()}));
  }
  for (auto& child : children)
    EXPECT_EQ(child.wait().code, 0) << child.error_output();
  const auto requests = gateway.requests();
  ASSERT_EQ(requests.size(), 12u);
  std::set<messages::Nullifier> nullifiers;
  for (const auto& request : requests)
    nullifiers.insert(request.credential.nullifier);
  EXPECT_EQ(nullifiers.size(), 12u);
  EXPECT_EQ(states(), States(12, "spent"));
}

TEST_F(WalletBinaryTest, ProbesThatMakeTheWalletAtTheSameTimeAllWork) {
  const ScriptedGateway gateway;
  std::vector<Child> children;
  for (int i = 0; i < 4; ++i) {
    children.emplace_back(probe_.options({"--only-lp-registration", gateway.target()}));
  }
  for (auto& child : children)
    EXPECT_EQ(child.wait().code, 0) << child.error_output();
  EXPECT_EQ(states(), States(4, "spent"));
}

// A probe that still waits for its answer has the ticket in hand: sending it a second time would
// prove nothing.
TEST_F(WalletBinaryTest, ATicketOnItsWayIsNotSentByAnotherProbe) {
  const ScriptedGateway gateway({.fault = Fault::silence_after_request});
  Child waiting(probe_.options({"--only-lp-registration", gateway.target()}));
  const auto limit = std::chrono::steady_clock::now() + patience;
  while (gateway.requests().empty() && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
  }
  const auto second = probe(gateway, {"--registration-timeout", "300ms"});
  EXPECT_EQ(error_code(second), "response_timeout");
  const auto requests = gateway.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_NE(requests[0].credential.nullifier, requests[1].credential.nullifier);
  (void)waiting.kill();
  // Killed, it has nothing in hand any more.
  EXPECT_EQ(error_code(probe(gateway, {"--registration-timeout", "300ms"})), "response_timeout");
  EXPECT_EQ(gateway.requests()[2].credential, requests[0].credential);
  EXPECT_EQ(gateway.requests()[2].wg_public_key, requests[0].wg_public_key);
}

TEST_F(WalletBinaryTest, ExportTakesTicketsOutOnceAndShowsThemAgainByNumber) {
  const ScriptedGateway gateway;
  const auto identity = gateway.identity().to_base58();
  ASSERT_EQ(probe_.run({"wallet", "withdraw", "--gateway", identity, "--count", "2"}).ended.code,
            0);
  const auto first = probe_.run({"wallet", "export", "--gateway", identity});
  EXPECT_EQ(first.ended.code, 0) << first.error_output;
  const auto tickets = parse(first);
  ASSERT_EQ(tickets.as_array().size(), 1u);
  const auto& ticket = tickets.as_array()[0].as_object();
  EXPECT_EQ(ticket.at("state"), "exported");
  const auto text = [&](const char* member) {
    return std::string(ticket.at(member).as_string().c_str());
  };
  const ecash::TicketMessage message{
      .gateway = *crypto::Identity::from_base58(text("gateway")),
      .nullifier = to_array<32>(*from_base64(text("nullifier"))),
      .bandwidth_amount = ticket.at("bandwidth_amount").to_number<std::uint64_t>(),
      .expiry = ticket.at("expiry").to_number<UnixSeconds>(),
      .type = *messages::ticket_type_from_name(text("ticket_type"))};
  EXPECT_TRUE(ecash::VerificationKey(issuer_.public_key(message.type))
                  .verify(message, *from_base64(text("signature"))));
  EXPECT_EQ(states(), (States{"exported", "unspent"}));
  // One is left, and two are not there.
  const auto two = probe_.run({"wallet", "export", "--gateway", identity, "--count", "2"});
  EXPECT_EQ(two.ended.code, 78);
  EXPECT_TRUE(contains(two.error_output, "no_ticket")) << two.error_output;
  EXPECT_EQ(states(), (States{"exported", "unspent"}));
  // What was cut off on its way can be had again; the probe does not use it.
  const auto again = probe_.run({"wallet", "export", "--ticket", "1"});
  EXPECT_EQ(again.ended.code, 0);
  EXPECT_EQ(parse(again).as_array().at(0).at("signature"), ticket.at("signature"));
  EXPECT_EQ(probe(gateway, {"--count", "2", "--interval", "0"}).ended.code, 0);
  EXPECT_EQ(states(), (States{"exported", "spent", "spent"}));
  EXPECT_EQ(probe_.run({"wallet", "export", "--ticket", "2"}).ended.code, 78);
}

TEST_F(WalletBinaryTest, NoTicketGoesToAnIdentityThatOnlyTheNetworkVouchesFor) {
  const ScriptedGateway gateway;
  const ScriptedHttp http({{"/api/v1/lp", ScriptedHttp::ok(fmt::format(
                                              R"({{"identity":"{}","lp_port":{}}})",
                                              gateway.identity().to_base58(), gateway.port()))}});
  const std::string address = fmt::format("127.0.0.1:{}", http.port());
  const std::vector<std::string> args{"--only-lp-registration", "--format", "json", "--gateway-ip",
                                      address};
  EXPECT_EQ(error_code(probe_.run(args)), "identity_unverified");
  EXPECT_FALSE(std::filesystem::exists(probe_.wallet()));
  EXPECT_EQ(issuer_.requests(), 0u);
  EXPECT_EQ(gateway.connections(), 0u);
  auto trusting = args;
  trusting.emplace_back("--trust-http-identity");
  EXPECT_EQ(probe_.run(trusting).ended.code, 0);
  EXPECT_EQ(states(), States{"spent"});
}

TEST_F(WalletBinaryTest, TroubleWithTicketsHasItsCodeAndExitStatusInEveryFormat) {
  const ScriptedGateway gateway;
  struct Case {
    std::string code;
    int exit_status;
    std::function<void()> arrange;
  };
  const std::vector<Case> cases{
      {"issuer_token_rejected", 77, [&] { write_file(probe_.token(), "wrong", 0600); }},
      {"issuer_token_exposed", 77, [&] { write_file(probe_.token(), "x", 0644); }},
      {"issuer_token_unreadable", 66, [&] { std::filesystem::remove(probe_.token()); }},
      {"chain_invalid", 69, [&] { issuer_.set(ChainFault::junk); }},
      {"wallet_exposed", 77, [&] { chmod(probe_.wallet().c_str(), 0644); }},
      {"wallet_corrupt", 66, [&] { write_file(probe_.wallet(), std::string(9000, 'x'), 0600); }},
      {"wallet_unusable", 73,
       [&] {
         std::filesystem::remove(probe_.wallet());
         std::filesystem::create_symlink("/nonexistent/wallet", probe_.wallet());
       }},
  };
  for (const auto& [code, exit_status, arrange] : cases) {
    arrange();
    const auto finished = probe(gateway);
    EXPECT_EQ(finished.ended.code, exit_status) << code << finished.error_output;
    EXPECT_EQ(error_code(finished), code) << finished.output;
    const auto command =
        probe_.run({"wallet", "withdraw", "--gateway", gateway.identity().to_base58()});
    EXPECT_EQ(command.ended.code, exit_status) << code;
    EXPECT_TRUE(contains(command.error_output, code + ": ")) << command.error_output;
    EXPECT_TRUE(contains(command.error_output, "hint: ")) << command.error_output;
    EXPECT_EQ(command.output, "");
  }
  EXPECT_EQ(gateway.connections(), 0u);
}

TEST_F(WalletBinaryTest, WithoutWalletIssuerOrMockTheProbeSaysWhatToDo) {
  const ScriptedGateway gateway;
  const auto finished = run(probe_.without_issuer({"--only-lp-registration", gateway.target()}));
  EXPECT_EQ(finished.ended.code, 78);
  EXPECT_TRUE(contains(finished.output, "no_ticket")) << finished.output;
  EXPECT_TRUE(contains(finished.output, "--use-mock-ecash")) << finished.output;
  EXPECT_EQ(gateway.connections(), 0u);
}

// A pipe that is closed early loses the text, not the tickets.
TEST_F(WalletBinaryTest, TicketsStayInTheWalletWhereTheirExportCannotBeWritten) {
  const ScriptedGateway gateway;
  const auto identity = gateway.identity().to_base58();
  ASSERT_EQ(probe_.run({"wallet", "withdraw", "--gateway", identity}).ended.code, 0);
  auto options = probe_.without_issuer({});
  auto args = options.args;
  args.insert(args.begin(), {"-c", "exec \"$0\" \"$@\" >/dev/full", options.program.string()});
  args.insert(args.end(), {"wallet", "export", "--gateway", identity});
  options.program = "/bin/sh";
  options.args = args;
  EXPECT_EQ(run(options).ended.code, 73);
  EXPECT_EQ(states(), States{"exported"});
  EXPECT_EQ(run(probe_.without_issuer({"wallet", "export", "--ticket", "1"})).ended.code, 0);
}

TEST_F(WalletBinaryTest, AWireGuardFileHasTheKeyThatTheTicketWasSentWith) {
  const ScriptedGateway gateway({.fault = Fault::close_after_request, .every = 2});
  const auto file = dir_ / "wg.conf";
  ASSERT_EQ(probe(gateway).ended.code, 0);
  EXPECT_EQ(probe(gateway).ended.code, 2);
  ASSERT_EQ(probe(gateway, {"--wg-config", file.string()}).ended.code, 0);
  const auto text = read_file(file);
  const std::string begin = "PrivateKey = ";
  const auto secret = from_base64(text.substr(text.find(begin) + begin.size(), 44));
  ASSERT_TRUE(secret);
  const auto pair = crypto::X25519KeyPair::from_secret(
      Secret<32>(std::span<const std::uint8_t, 32>(secret->data(), 32)));
  EXPECT_EQ(to_base64(pair.public_key.bytes), gateway.requests().at(2).wg_public_key);
}

}  // namespace
}  // namespace lp::test
