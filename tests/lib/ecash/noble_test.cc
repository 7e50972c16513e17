// Tickets against @noble/curves, an implementation that is not blst, both ways and with fresh keys.
// It is fetched by scripts/fetch-noble and run by Node.js; where either is missing these tests
// fail.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <memory>
#include <string>

#include "lib/base/encoding.h"
#include "lib/ecash/issuer_key.h"
#include "lib/ecash/verification_key.h"
#include "lib/ecash/withdrawal.h"
#include "tests/lib/ecash/tickets.h"
#include "tests/lib/outcome.h"
#include "tests/support/process.h"

namespace lp::ecash {
namespace {

namespace json = boost::json;
using test::error_of;

json::object to_json(const TicketMessage& message) {
  return {{"gateway", to_hex(message.gateway.bytes)},
          {"nullifier", to_hex(message.nullifier)},
          {"bandwidth_amount", std::to_string(message.bandwidth_amount)},
          {"expiry", std::to_string(message.expiry)},
          {"ticket_type", std::to_underlying(message.type)}};
}

class Noble : public testing::Test {
 protected:
  void SetUp() override {
    const std::string source = LP_SOURCE_DIR;
    const auto fetched =
        test::run({.program = source + "/scripts/fetch-noble", .args = {LP_NOBLE_DIR}},
                  std::chrono::minutes(3));
    ASSERT_EQ(fetched.ended.code, 0) << fetched.error_output;
    peer_ = std::make_unique<test::Child>(test::ChildOptions{
        .program = "/usr/bin/env",
        .args = {"node", source + "/tests/lib/ecash/noble.mjs", LP_NOBLE_DIR, "peer"}});
  }

  /// Asks, and gives the answer's `field`.
  json::value ask(const char* operation, json::object arguments, const char* field) {
    arguments["operation"] = operation;
    peer_->write(json::serialize(arguments) + "\n");
    const auto line = peer_->read_line();
    if (!line) throw std::runtime_error("no answer from node: " + peer_->error_output());
    const auto answer = json::parse(*line).as_object();
    if (!answer.contains(field)) throw std::runtime_error(*line);
    return answer.at(field);
  }

  Bytes ask_bytes(const char* operation, json::object arguments, const char* field = "point") {
    return from_hex(ask(operation, std::move(arguments), field).as_string()).value();
  }

  bool noble_verifies(const PublicKey& key, const TicketMessage& message, ByteView signature) {
    return ask("verify",
               {{"public_key", to_hex(key.encode())},
                {"message", to_json(message)},
                {"signature", to_hex(signature)}},
               "holds")
        .as_bool();
  }

  std::unique_ptr<test::Child> peer_;
};

TEST_F(Noble, RefusesOurSignatures) {
  for (const auto type : test::all_ticket_types) {
    const auto issuer = IssuerKey::generate();
    const auto withdrawal = Withdrawal::start(test::random_message().gateway, type, 1'763'424'000);
    const auto answer = issuer.sign(crypto::G1Point::decode(withdrawal.blinded()).value());
    const auto credential =
        withdrawal.finish(answer.encode(), VerificationKey(issuer.public_key())).value();
    EXPECT_TRUE(noble_verifies(issuer.public_key(), withdrawal.message(), credential.signature));

    auto changed = withdrawal.message();
    changed.nullifier[31] ^= 1;
    EXPECT_FALSE(noble_verifies(issuer.public_key(), changed, credential.signature));
  }
}

TEST_F(Noble, SignsOurWithdrawalsInVain) {
  const Bytes secret = ask_bytes("scalar", {}, "scalar");
  const auto key = PublicKey::decode(ask_bytes("public_key", {{"secret", to_hex(secret)}}));
  ASSERT_TRUE(key);
  const VerificationKey verification(*key);
  std::vector<messages::Credential> credentials;
  std::vector<UnverifiedTicket> tickets;
  for (const auto type : test::all_ticket_types) {
    const auto withdrawal = Withdrawal::start(test::random_message().gateway, type, 1'763'424'000);
    const Bytes answer = ask_bytes(
        "multiply", {{"scalar", to_hex(secret)}, {"point", to_hex(withdrawal.blinded())}});
    auto credential = withdrawal.finish(answer, verification);
    ASSERT_TRUE(credential) << gloss(credential.error());
    EXPECT_TRUE(noble_verifies(*key, withdrawal.message(), credential->signature));
    credentials.push_back(std::move(*credential));
    tickets.push_back({withdrawal.message(), credentials.back().signature});
  }
  const auto verdict = verification.verify_batch(tickets);
  EXPECT_FALSE(verdict.checked_one_by_one);
  for (const auto& ticket : verdict.tickets)
    EXPECT_EQ(error_of(ticket), test::no_error);
}

TEST_F(Noble, WithdrawsFromOurAuthorityInVain) {
  const auto issuer = IssuerKey::generate();
  const VerificationKey key(issuer.public_key());
  for (const auto type : test::all_ticket_types) {
    const auto message = test::random_message(type);
    const Bytes hash = ask_bytes("hash", {{"message", to_json(message)}});
    EXPECT_EQ(to_hex(hash), to_hex(hash_to_g1(message).encode()));
    const Bytes factor = ask_bytes("scalar", {}, "scalar");
    const Bytes blinded =
        ask_bytes("multiply", {{"scalar", to_hex(factor)}, {"point", to_hex(hash)}});
    const auto checked = crypto::G1Point::decode(blinded);
    ASSERT_TRUE(checked);
    const Bytes signature = ask_bytes(
        "divide", {{"scalar", to_hex(factor)}, {"point", to_hex(issuer.sign(*checked).encode())}});
    EXPECT_EQ(error_of(key.verify(message, signature)), test::no_error);

    auto changed = message;
    changed.expiry += 1;
    EXPECT_EQ(error_of(key.verify(changed, signature)), Error::signature_invalid);
  }
}

TEST_F(Noble, DerivesAnotherPublicKey) {
  for (int round = 0; round < 8; ++round) {
    const auto issuer = IssuerKey::generate();
    EXPECT_EQ(to_hex(ask_bytes("public_key", {{"secret", to_hex(issuer.secret().bytes())}})),
              to_hex(issuer.public_key().encode()));
  }
}

}  // namespace
}  // namespace lp::ecash
