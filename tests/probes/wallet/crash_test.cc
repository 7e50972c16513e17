// kill -9 of the real probe, the real issuer and the real gateway at random moments of withdraw and
// spend: no ticket is lost and none counted twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

#include "lib/crypto/random.h"
#include "probes/wallet/wallet.h"
#include "tests/probes/wallet/probe_run.h"
#include "tests/probes/wallet/real_issuer.h"
#include "tests/system/gateway_process.h"

namespace lp::test {
namespace {

using probe::wallet::TicketState;

class WalletCrash : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }

  [[nodiscard]] std::vector<probe::wallet::Ticket> tickets() const {
    auto wallet = probe::wallet::Wallet::open(probe_.wallet());
    if (!wallet) {
      ADD_FAILURE() << wallet.error().detail;
      return {};
    }
    auto list = (*wallet)->list();
    if (!list) ADD_FAILURE() << list.error().detail;
    return list ? std::move(*list) : std::vector<probe::wallet::Ticket>{};
  }

  [[nodiscard]] std::map<TicketState, std::size_t> counts() const {
    std::map<TicketState, std::size_t> found;
    for (const auto& ticket : tickets())
      ++found[ticket.state];
    return found;
  }

  [[nodiscard]] std::vector<std::string> spend(std::size_t count) const {
    return {"--only-lp-registration",
            "--count",
            std::to_string(count),
            "--interval",
            "0",
            "--log-level",
            "error",
            gateway_.target()};
  }
  [[nodiscard]] std::vector<std::string> withdraw(std::size_t count) const {
    return {"wallet",  "withdraw",           "--gateway", gateway_.identity(),
            "--count", std::to_string(count)};
  }

  TempDir dir_;
  RealIssuer issuer_;
  ProbeWithWallet probe_{dir_, issuer_.url(), issuer_.contract(), issuer_.token()};
  GatewayProcess gateway_{
      {.flags = {"--chain-url", issuer_.url(), "--ecash-contract", issuer_.contract()},
       .mock_ecash = false}};
};

void wait_for(std::chrono::nanoseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::microseconds(100));
}

TEST_F(WalletCrash, NoTicketIsLostAndNoneCountedTwice) {
  // How long an undisturbed run takes, for the range of the moments.
  const auto begin = std::chrono::steady_clock::now();
  const auto undisturbed = probe_.run(spend(2));
  ASSERT_EQ(undisturbed.ended.code, 0) << undisturbed.output << undisturbed.error_output;
  const auto whole = std::chrono::steady_clock::now() - begin;

  std::mt19937 random(std::random_device{}());
  std::uniform_int_distribution<std::chrono::nanoseconds::rep> moment(
      0, std::chrono::nanoseconds(whole).count());
  std::map<TicketState, int> left;
  for (int round = 0; round < rounds(12, 300); ++round) {
    Child child(probe_.options(round % 2 == 0 ? withdraw(2) : spend(2)));
    wait_for(std::chrono::nanoseconds(moment(random)));
    switch (round % 6) {
      case 4:  // while tickets are withdrawn
        issuer_.kill();
        (void)child.wait();
        issuer_.start();
        break;
      case 5:  // while tickets are spent
        gateway_.kill();
        (void)child.wait();
        gateway_.start();
        break;
      default:
        (void)child.kill();
    }
    for (const auto& [state, count] : counts())
      ++left[state];
  }

  // For whoever asks how often a kill came in between.
  RecordProperty("rounds_with_requested_left", left[TicketState::requested]);
  RecordProperty("rounds_with_sent_left", left[TicketState::sent]);
  // What was left in the middle comes to its end.
  if (const auto sent = counts()[TicketState::sent]; sent > 0) {
    const auto finished = probe_.run(spend(sent));
    EXPECT_EQ(finished.ended.code, 0) << finished.output << finished.error_output;
  }
  if (const auto requested = counts()[TicketState::requested]; requested > 0) {
    const auto finished = probe_.run(withdraw(requested));
    EXPECT_EQ(finished.ended.code, 0) << finished.error_output;
  }

  auto found = counts();
  EXPECT_EQ(found[TicketState::requested], 0u);
  EXPECT_EQ(found[TicketState::sent], 0u);
  EXPECT_EQ(found[TicketState::voided], 0u);
  // Every allowance that was debited is a ticket, and no ticket was debited twice.
  EXPECT_EQ(issuer_.debited(), tickets().size());
  // Every ticket that the gateway took is spent in the wallet, and the other way round.
  const auto tables = gateway_.tables();
  EXPECT_EQ(tables.spent, static_cast<std::int64_t>(found[TicketState::spent]));
  EXPECT_EQ(tables.credited, tables.spent * 500'000'000);
  for (const auto& ticket : tickets()) {
    EXPECT_EQ(gateway_.is_spent(ticket.message.nullifier), ticket.state == TicketState::spent)
        << ticket.id;
  }
  EXPECT_THAT(gateway_.violations(), testing::IsEmpty());
  // What is unspent is good.
  if (const auto unspent = found[TicketState::unspent]; unspent > 0) {
    const auto before = issuer_.debited();
    const auto finished = probe_.run(spend(unspent));
    EXPECT_EQ(finished.ended.code, 0) << finished.output << finished.error_output;
    EXPECT_EQ(issuer_.debited(), before);
  }
  EXPECT_EQ(gateway_.stop(), 0);
}

}  // namespace
}  // namespace lp::test
