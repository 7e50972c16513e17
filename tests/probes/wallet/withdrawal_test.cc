// Withdrawal into a wallet: from a good issuer, and from every bad one.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "probes/wallet/wallet_controller.h"
#include "tests/probes/wallet/scripted_issuer.h"
#include "tests/support/process.h"

namespace lp::probe::wallet {
namespace {

using messages::TicketType;
using test::ChainFault;
using test::IssuerFault;

#define ASSERT_OK(outcome) ASSERT_TRUE((outcome).has_value()) << (outcome).error().detail

class WithdrawalTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }

  void SetUp() override {
    test::write_file(token_path(), std::string(test::ScriptedIssuer::token) + "\n", 0600);
  }

  [[nodiscard]] std::filesystem::path token_path() const { return dir_ / "token"; }
  [[nodiscard]] std::filesystem::path path() const { return dir_ / "wallet.sqlite"; }
  [[nodiscard]] UnixSeconds expiry() const { return started_ + 86'400; }

  /// As a new process would have it: nothing of the last one but the file.
  [[nodiscard]] WalletController controller(
      std::chrono::milliseconds limit = test::patience) const {
    return {path(), Source{.chain = *net::Url::parse(issuer_.url()),
                           .contract = test::ScriptedIssuer::contract,
                           .issuer = *net::Url::parse(issuer_.url()),
                           .token_file = token_path(),
                           .limit = limit}};
  }

  [[nodiscard]] Wanted wanted(TicketType type = TicketType::v1_wireguard_entry) const {
    return {.gateway = gateway_, .type = type, .now = SystemWallClock().now()};
  }

  [[nodiscard]] std::vector<TicketState> states() const {
    std::vector<TicketState> found;
    auto wallet = Wallet::open(path());
    if (!wallet) return found;
    const auto tickets = (*wallet)->list();
    for (const auto& ticket : *tickets)
      found.push_back(ticket.state);
    return found;
  }

  test::TempDir dir_;
  UnixSeconds started_ = SystemWallClock().now();
  test::ScriptedIssuer issuer_{started_ + 86'400};
  crypto::Identity gateway_ = crypto::IdentityKeyPair::generate().identity;
};

TEST_F(WithdrawalTest, EveryTypeOfTicketVerifiesUnderItsKey) {
  auto tickets = controller();
  for (std::uint32_t index = 0; index < messages::ticket_type_count; ++index) {
    const auto type = static_cast<TicketType>(index);
    const auto kept = tickets.withdraw(wanted(type), 2);
    ASSERT_OK(kept);
    ASSERT_EQ(kept->size(), 2u);
    const ecash::VerificationKey key(issuer_.public_key(type));
    for (const auto& held : *kept) {
      EXPECT_EQ(held.ticket.message.type, type);
      EXPECT_EQ(held.ticket.message.expiry, expiry());
      EXPECT_TRUE(key.verify(held.ticket.message, held.ticket.credential().signature));
    }
  }
  EXPECT_EQ(issuer_.debited().size(), 8u);
}

TEST_F(WithdrawalTest, MoreTicketsThanFitIntoOneRequestComeInSeveral) {
  auto tickets = controller();
  const auto kept = tickets.withdraw(wanted(), max_batch + 1);
  ASSERT_OK(kept);
  EXPECT_EQ(kept->size(), max_batch + 1);
  EXPECT_EQ(issuer_.requests(), 2u);
  EXPECT_EQ(issuer_.debited().size(), max_batch + 1);
}

TEST_F(WithdrawalTest, TheIssuerSeesNothingThatIsSpent) {
  auto tickets = controller();
  const auto kept = tickets.withdraw(wanted(), 4);
  ASSERT_OK(kept);
  const auto seen = issuer_.seen();
  ASSERT_NE(seen.find("\"blinded\""), std::string::npos);
  for (const auto& held : *kept) {
    const auto& message = held.ticket.message;
    const auto signature = held.ticket.credential().signature;
    const Bytes nullifier(message.nullifier.begin(), message.nullifier.end());
    const Bytes gateway(message.gateway.bytes.begin(), message.gateway.bytes.end());
    for (const auto& secret : {nullifier, gateway, signature}) {
      EXPECT_EQ(seen.find(std::string(secret.begin(), secret.end())), std::string::npos);
      EXPECT_EQ(seen.find(to_base64(secret)), std::string::npos);
      EXPECT_EQ(seen.find(to_base58(secret)), std::string::npos);
      EXPECT_EQ(seen.find(to_hex(secret)), std::string::npos);
    }
    EXPECT_FALSE(issuer_.debited().contains(to_array<48>(signature)));
  }
}

TEST_F(WithdrawalTest, OfSeveralKeysTheOneThatIsGoodForLongestIsUsed) {
  issuer_.add_key(TicketType::v1_wireguard_entry, expiry() + 7);
  issuer_.add_key(TicketType::v1_wireguard_exit, expiry() + 100'000);
  auto tickets = controller();
  const auto kept = tickets.withdraw(wanted(), 1);
  ASSERT_OK(kept);
  EXPECT_EQ(kept->front().ticket.message.expiry, expiry() + 7);
  EXPECT_EQ(kept->front().ticket.epoch_id, 8u);
}

TEST_F(WithdrawalTest, IssuerThatSaysWhenToComeAgainIsAskedAgain) {
  issuer_.set(IssuerFault::busy_once);
  auto tickets = controller();
  const auto kept = tickets.withdraw(wanted(), 1);
  ASSERT_OK(kept);
  EXPECT_EQ(kept->size(), 1u);
  EXPECT_EQ(issuer_.requests(), 2u);
  EXPECT_EQ(issuer_.debited().size(), 1u);
}

struct IssuerCase {
  IssuerFault fault;
  ProbeCode code;
  bool signed_already;  ///< the issuer has debited before it misbehaved
};

class HostileIssuerTest : public WithdrawalTest, public testing::WithParamInterface<IssuerCase> {};

// Whatever the issuer answers: the error is its own, the ticket stays requested, and a good answer
// later is for the same point, which is paid for once.
TEST_P(HostileIssuerTest, NoTicketIsLostAndNonePaidTwice) {
  const auto& [fault, code, signed_already] = GetParam();
  issuer_.set(fault);
  {
    // Silence has to be sat out; every other answer comes at once.
    auto tickets =
        controller(fault == IssuerFault::silence ? std::chrono::milliseconds(300) : test::patience);
    const auto got = tickets.get_ecash_ticket(TicketType::v1_wireguard_entry, gateway_, 1);
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code, code) << name(got.error().code) << ": " << got.error().detail;
    EXPECT_EQ(got.error().stage, Stage::resolve);
    EXPECT_EQ(printable(got.error().detail, 1000), got.error().detail);
  }
  EXPECT_EQ(states(), std::vector{TicketState::requested});
  const auto before = issuer_.debited();
  EXPECT_EQ(before.size(), signed_already ? 1u : 0u);
  issuer_.set(IssuerFault::none);
  auto tickets = controller();
  const auto kept = tickets.get_ecash_ticket(TicketType::v1_wireguard_entry, gateway_, 1);
  ASSERT_OK(kept);
  EXPECT_EQ(states(), std::vector{TicketState::unspent});
  EXPECT_EQ(issuer_.debited().size(), 1u);
  if (signed_already) {
    EXPECT_EQ(issuer_.debited(), before);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Answers, HostileIssuerTest,
    testing::Values(IssuerCase{IssuerFault::lost_answer, ProbeCode::issuer_unreachable, true},
                    IssuerCase{IssuerFault::other_key, ProbeCode::ticket_invalid, true},
                    IssuerCase{IssuerFault::one_too_few, ProbeCode::issuer_invalid, true},
                    IssuerCase{IssuerFault::one_too_many, ProbeCode::issuer_invalid, true},
                    IssuerCase{IssuerFault::not_in_subgroup, ProbeCode::ticket_invalid, true},
                    IssuerCase{IssuerFault::not_on_curve, ProbeCode::ticket_invalid, true},
                    IssuerCase{IssuerFault::infinity, ProbeCode::ticket_invalid, true},
                    IssuerCase{IssuerFault::no_point, ProbeCode::ticket_invalid, true},
                    IssuerCase{IssuerFault::no_base64, ProbeCode::issuer_invalid, true},
                    IssuerCase{IssuerFault::no_list, ProbeCode::issuer_invalid, true},
                    IssuerCase{IssuerFault::junk, ProbeCode::issuer_invalid, true},
                    IssuerCase{IssuerFault::deep, ProbeCode::issuer_invalid, true},
                    IssuerCase{IssuerFault::huge, ProbeCode::issuer_invalid, true},
                    IssuerCase{IssuerFault::silence, ProbeCode::issuer_timeout, true},
                    IssuerCase{IssuerFault::no_http, ProbeCode::issuer_invalid, true},
                    IssuerCase{IssuerFault::bad_request, ProbeCode::issuer_refused, false},
                    IssuerCase{IssuerFault::unauthorised, ProbeCode::issuer_token_rejected, false},
                    IssuerCase{IssuerFault::conflict, ProbeCode::issuer_refused, false},
                    IssuerCase{IssuerFault::too_many, ProbeCode::issuer_allowance, false},
                    IssuerCase{IssuerFault::server_error, ProbeCode::issuer_unreachable, false},
                    IssuerCase{IssuerFault::busy, ProbeCode::issuer_unreachable, false},
                    IssuerCase{IssuerFault::redirect, ProbeCode::issuer_invalid, false}),
    [](const auto& info) {
      return "fault_" + std::to_string(static_cast<int>(info.param.fault)) + "_" +
             std::string(name(info.param.code));
    });

struct ChainCase {
  ChainFault fault;
  ProbeCode code;
};

class HostileChainTest : public WithdrawalTest, public testing::WithParamInterface<ChainCase> {};

TEST_P(HostileChainTest, NothingIsDrawnUnderAKeyThatIsNone) {
  const auto& [fault, code] = GetParam();
  issuer_.set(fault);
  auto tickets =
      controller(fault == ChainFault::silence ? std::chrono::milliseconds(300) : test::patience);
  const auto got = tickets.get_ecash_ticket(TicketType::v1_wireguard_entry, gateway_, 1);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, code) << name(got.error().code) << ": " << got.error().detail;
  EXPECT_TRUE(states().empty());
  EXPECT_EQ(issuer_.requests(), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Answers, HostileChainTest,
    testing::Values(ChainCase{ChainFault::no_keys, ProbeCode::no_verification_key},
                    ChainCase{ChainFault::other_types, ProbeCode::no_verification_key},
                    ChainCase{ChainFault::expired_keys, ProbeCode::no_verification_key},
                    ChainCase{ChainFault::bad_key, ProbeCode::chain_invalid},
                    ChainCase{ChainFault::twice, ProbeCode::chain_invalid},
                    ChainCase{ChainFault::junk, ProbeCode::chain_invalid},
                    ChainCase{ChainFault::huge, ProbeCode::chain_invalid},
                    ChainCase{ChainFault::silence, ProbeCode::chain_timeout},
                    ChainCase{ChainFault::server_error, ProbeCode::chain_invalid},
                    ChainCase{ChainFault::redirect, ProbeCode::chain_invalid}),
    [](const auto& info) {
      return "fault_" + std::to_string(static_cast<int>(info.param.fault)) + "_" +
             std::string(name(info.param.code));
    });

TEST_F(WithdrawalTest, OneWrongSignatureDoesNotLoseTheOthers) {
  issuer_.set(IssuerFault::second_other_key);
  {
    auto tickets = controller();
    const auto kept = tickets.withdraw(wanted(), 4);
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().code, ProbeCode::ticket_invalid);
    EXPECT_EQ(states(), (std::vector{TicketState::unspent, TicketState::requested,
                                     TicketState::unspent, TicketState::requested}));
    // Those that came do for a probe.
    const auto got = tickets.get_ecash_ticket(TicketType::v1_wireguard_entry, gateway_, 2);
    ASSERT_OK(got);
    EXPECT_EQ(got->size(), 2u);
  }
  const auto debited = issuer_.debited();
  EXPECT_EQ(debited.size(), 4u);
  issuer_.set(IssuerFault::none);
  auto tickets = controller();
  const auto kept = tickets.withdraw(wanted(), 2);
  ASSERT_OK(kept);
  EXPECT_EQ(issuer_.debited(), debited) << "the two that failed, not two more";
}

TEST_F(WithdrawalTest, TicketsAtHandAreUsedBeforeAnybodyIsAsked) {
  {
    auto tickets = controller();
    ASSERT_OK(tickets.withdraw(wanted(), 2));
  }
  issuer_.set(ChainFault::server_error);
  auto tickets = controller();
  const auto two = tickets.get_ecash_ticket(TicketType::v1_wireguard_entry, gateway_, 2);
  ASSERT_OK(two);
  EXPECT_EQ(two->size(), 2u);
  EXPECT_FALSE(tickets.get_ecash_ticket(TicketType::v1_wireguard_entry, gateway_, 1));
  EXPECT_EQ(issuer_.requests(), 1u);
}

TEST_F(WithdrawalTest, WithoutAnIssuerAnEmptyWalletSaysSo) {
  WalletController tickets(path(), std::nullopt);
  const auto got = tickets.get_ecash_ticket(TicketType::v1_wireguard_entry, gateway_, 1);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, ProbeCode::no_ticket);
  WalletController nowhere("", std::nullopt);
  const auto none = nowhere.get_ecash_ticket(TicketType::v1_wireguard_entry, gateway_, 1);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ProbeCode::wallet_unusable);
}

TEST_F(WithdrawalTest, ATicketRequestedUnderAKeyThatIsGoneDoesNotHoldUpNewOnes) {
  {
    auto wallet = Wallet::open(path());
    ASSERT_OK(wallet);
    const net::ChainKey gone{.epoch_id = 3,
                             .type = TicketType::v1_wireguard_entry,
                             .expiry = expiry() - 1,
                             .public_key = ecash::IssuerKey::generate().public_key()};
    ASSERT_OK((*wallet)->request(wanted(), gone, 1));
  }
  auto tickets = controller();
  ASSERT_OK(tickets.withdraw(wanted(), 1));
  EXPECT_EQ(states(), (std::vector{TicketState::requested, TicketState::unspent}));
}

TEST_F(WithdrawalTest, AnEpochThatIsClosedDoesNotHoldUpTicketsOfTheNext) {
  issuer_.set(IssuerFault::lost_answer);
  {
    auto tickets = controller();
    EXPECT_FALSE(tickets.withdraw(wanted(), 1));
  }
  issuer_.set(IssuerFault::none);
  issuer_.close_epoch(7);
  {
    // It is the current one: refused, and nothing more is drawn.
    auto tickets = controller();
    const auto kept = tickets.withdraw(wanted(), 1);
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().code, ProbeCode::issuer_refused);
    EXPECT_EQ(states(), std::vector{TicketState::requested});
  }
  issuer_.add_key(TicketType::v1_wireguard_entry, expiry() + 7);
  auto tickets = controller();
  const auto kept = tickets.withdraw(wanted(), 1);
  ASSERT_OK(kept);
  EXPECT_EQ(kept->front().ticket.epoch_id, 8u);
  EXPECT_EQ(states(), (std::vector{TicketState::requested, TicketState::unspent}));
}

TEST_F(WithdrawalTest, TheTokenIsReadFromAFileOfItsOwnerAlone) {
  const auto code = [&]() -> std::optional<ProbeCode> {
    const auto token = read_token(token_path());
    return token ? std::nullopt : std::optional(token.error().code);
  };
  EXPECT_EQ(*read_token(token_path()), test::ScriptedIssuer::token);
  for (const mode_t mode : {0640U, 0604U, 0620U, 0644U}) {
    ASSERT_EQ(chmod(token_path().c_str(), mode), 0);
    EXPECT_EQ(code(), ProbeCode::issuer_token_exposed) << mode;
  }
  ASSERT_EQ(chmod(token_path().c_str(), 0400), 0);
  EXPECT_EQ(code(), std::nullopt);
  ASSERT_EQ(chmod(token_path().c_str(), 0600), 0);
  for (const std::string text : {"", " \n", "two\nlines", "two words", "\x80", "a\x1b"}) {
    test::write_file(token_path(), text, 0600);
    EXPECT_EQ(code(), ProbeCode::issuer_token_unreadable) << text;
  }
  test::write_file(token_path(), std::string(5000, 'a'), 0600);
  EXPECT_EQ(code(), ProbeCode::issuer_token_unreadable);
  std::filesystem::remove(token_path());
  EXPECT_EQ(code(), ProbeCode::issuer_token_unreadable);
  std::filesystem::create_directory(token_path());
  EXPECT_EQ(code(), ProbeCode::issuer_token_unreadable);
}

}  // namespace
}  // namespace lp::probe::wallet
