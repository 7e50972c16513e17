// Which tickets wait, for what, beside whom, and how many.
#include "gateway/ecash/ecash_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/gateway/ecash/real_tickets.h"

namespace lp::gateway::ecash {
namespace {

using test::day;
using test::Gate;
using test::Signer;
using test::start_time;
using test::TicketType;
using test::withdraw;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Failure = messages::RegistrationFailure;
using Result = std::expected<Verified, Failure>;

constexpr messages::IpV4 alice{{203, 0, 113, 7}};
constexpr messages::IpV4 bob{{203, 0, 113, 8}};

class EcashManagerTest : public test::RealTickets {
 protected:
  std::future<Result> verify(messages::Credential credential,
                             TicketType type = TicketType::v1_wireguard_entry,
                             const messages::IpAddress& peer = alice) {
    auto promise = std::make_shared<std::promise<Result>>();
    auto future = promise->get_future();
    manager_->verify({.credential = std::move(credential), .type = type, .peer = peer},
                     clock_.now(),
                     [promise](Result result) { promise->set_value(std::move(result)); });
    return future;
  }
  messages::Credential ticket() { return withdraw(entry_, gateway_.identity); }

  /// The worker stands before the gate with a ticket that was good.
  void hold_worker(Gate& gate) {
    manager_->verify({.credential = ticket(), .type = entry_.type, .peer = bob}, clock_.now(),
                     [&gate](Result result) {
                       EXPECT_TRUE(result);
                       gate.pass();
                     });
    gate.wait_for_arrival();
  }
  static bool is_pending(std::future<Result>& future) {
    return future.wait_for(std::chrono::seconds(0)) == std::future_status::timeout;
  }
};

TEST_F(EcashManagerTest, TicketsThatWaitUnderOneKeyAreOneBatch) {
  start_with({entry_.key(), exit_.key()});
  Gate gate;
  hold_worker(gate);
  std::vector<std::future<Result>> entries;
  std::vector<std::future<Result>> exits;
  for (int i = 0; i < 6; ++i) {
    entries.push_back(verify(ticket()));
    exits.push_back(verify(withdraw(exit_, gateway_.identity), TicketType::v1_wireguard_exit));
  }
  EXPECT_EQ(metric("lp_ecash_queue_length"), 12);
  gate.open();
  for (auto* results : {&entries, &exits}) {
    for (auto& result : *results) {
      const auto verified = result.get();
      ASSERT_TRUE(verified);
      EXPECT_EQ(verified->amount, 500'000'000);
      EXPECT_FALSE(verified->expired);
    }
  }
  // The one alone, and two of six: as one each of their kind.
  EXPECT_EQ(metric("lp_ecash_batch_size_count"), 3);
  EXPECT_EQ(metric("lp_ecash_batch_size_sum"), 13);
  EXPECT_EQ(metric("lp_ecash_batch_size_bucket{le=\"1\"}"), 1);
  EXPECT_EQ(metric("lp_ecash_batch_size_bucket{le=\"4\"}"), 1);
  EXPECT_EQ(metric("lp_ecash_batch_size_bucket{le=\"8\"}"), 3);
  EXPECT_EQ(metric("lp_ecash_batches_split_total"), 0);
}

TEST_F(EcashManagerTest, FalseTicketCostsNoOtherInItsBatch) {
  start_with({entry_.key()});
  Gate gate;
  hold_worker(gate);
  std::vector<std::future<Result>> results;
  for (int i = 0; i < 8; ++i) {
    auto credential = ticket();
    if (i == 3) credential.signature = ticket().signature;  // a signature, but another ticket's
    if (i == 5) credential.signature = Bytes(48, 0);        // none at all
    results.push_back(verify(credential));
  }
  gate.open();
  for (int i = 0; i < 8; ++i) {
    const auto result = results[static_cast<std::size_t>(i)].get();
    if (i == 3 || i == 5) {
      ASSERT_FALSE(result) << i;
      EXPECT_EQ(result.error(), Failure::bad_signature);
    } else {
      EXPECT_TRUE(result) << i;
    }
  }
  EXPECT_EQ(metric("lp_ecash_batches_split_total"), 1);
}

TEST_F(EcashManagerTest, BatchHasALimit) {
  auto small = options();
  small.max_batch = 4;
  start_with({entry_.key()}, small);
  Gate gate;
  hold_worker(gate);
  std::vector<std::future<Result>> results;
  for (int i = 0; i < 10; ++i)
    results.push_back(verify(ticket()));
  gate.open();
  for (auto& result : results)
    EXPECT_TRUE(result.get());
  EXPECT_EQ(metric("lp_ecash_batch_size_count"), 4);  // 1, 4, 4, 2
  EXPECT_EQ(metric("lp_ecash_batch_size_bucket{le=\"4\"}"), 4);
}

TEST_F(EcashManagerTest, WaitingIsBoundedInAllAndByAddress) {
  auto narrow = options();
  narrow.max_waiting = 5;  // the one at the gate has given its place back
  narrow.max_waiting_per_address = 2;
  start_with({entry_.key()}, narrow);
  Gate gate;
  hold_worker(gate);
  const auto busy = [&](const messages::IpAddress& peer) {
    auto result = verify(ticket(), entry_.type, peer);
    if (is_pending(result)) return false;
    EXPECT_EQ(result.get().error(), Failure::gateway_busy);
    return true;
  };
  std::vector<std::future<Result>> taken;
  const auto take = [&](const messages::IpAddress& peer) {
    taken.push_back(verify(ticket(), entry_.type, peer));
    EXPECT_TRUE(is_pending(taken.back()));
  };
  take(alice);
  take(alice);
  EXPECT_TRUE(busy(alice));
  // One IPv6 /64 is one client.
  messages::IpV6 six{{0x20, 0x01, 0x0d, 0xb8}};
  take(six);
  six.octets[15] = 1;
  take(six);
  six.octets[14] = 1;
  EXPECT_TRUE(busy(six));
  take(bob);
  six.octets[0] = 0x21;
  EXPECT_TRUE(busy(six));  // nobody else has had a place, but there is none
  EXPECT_EQ(metric("lp_ecash_queue_length"), 5);
  gate.open();
  for (auto& one : taken)
    EXPECT_TRUE(one.get());
  EXPECT_TRUE(verify(ticket()).get());
}

// Refused before it could take a place from anybody.
TEST_F(EcashManagerTest, WhatIsRefusedForNothingTakesNoPlace) {
  auto none = options();
  none.max_waiting = 0;
  start_with({entry_.key()}, none);
  auto credential = ticket();
  credential.bandwidth_amount = 1;
  EXPECT_EQ(verify(credential).get().error(), Failure::wrong_amount);
  credential = ticket();
  credential.expiry = start_time + 61 * day;
  EXPECT_EQ(verify(credential).get().error(), Failure::unknown_verification_key);
  EXPECT_EQ(verify(ticket()).get().error(), Failure::gateway_busy);
}

TEST_F(EcashManagerTest, KeyThatIsNewOnTheChainIsFetchedForItsFirstTicket) {
  start_with({entry_.key()});
  const Signer next{.type = TicketType::v1_wireguard_entry, .expiry = start_time + 30 * day};
  chain_.answer(std::vector{entry_.key(), next.key()});
  EXPECT_EQ(failure(dvpn(7, withdraw(next, gateway_.identity))), std::nullopt);
  EXPECT_EQ(chain_.fetches(), 2);
}

TEST_F(EcashManagerTest, WhoWaitsForAKeyHoldsNobodyUp) {
  start_with({entry_.key()});
  const Signer next{.type = TicketType::v1_wireguard_entry, .expiry = start_time + 30 * day};
  chain_.hold();
  std::vector<std::future<registration::Answer>> waiting;
  for (std::uint32_t i = 0; i < 20; ++i)
    waiting.push_back(submit(dvpn(100 + i, withdraw(next, gateway_.identity))));
  chain_.wait_for_fetches(2);
  EXPECT_EQ(failure(dvpn(7, ticket())), std::nullopt);
  EXPECT_EQ(waiting[0].wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  chain_.answer(std::vector{entry_.key(), next.key()});
  chain_.release();
  for (auto& one : waiting)
    EXPECT_EQ(one.get().failure, std::nullopt);
  EXPECT_EQ(chain_.fetches(), 2);
}

// A chain that hangs, and clients who ask for keys that there are not.
TEST_F(EcashManagerTest, WhoWaitsForAKeyTakesNoPlaceFromThoseWithAKnownOne) {
  auto narrow = options();
  narrow.max_waiting = 1;
  narrow.max_waiting_for_key = 3;
  narrow.max_waiting_for_key_per_address = 2;
  start_with({entry_.key()}, narrow);
  auto unknown = ticket();
  unknown.expiry = start_time + 7 * day;
  chain_.hold();
  std::vector<std::future<Result>> waiting;
  waiting.push_back(verify(unknown));
  waiting.push_back(verify(unknown));
  EXPECT_EQ(verify(unknown).get().error(), Failure::gateway_busy);
  waiting.push_back(verify(unknown, entry_.type, bob));
  EXPECT_EQ(verify(unknown, entry_.type, bob).get().error(), Failure::gateway_busy);
  EXPECT_TRUE(verify(ticket()).get());
  chain_.release();
  for (auto& one : waiting)
    EXPECT_EQ(one.get().error(), Failure::unknown_verification_key);
  EXPECT_TRUE(verify(ticket()).get());
}

TEST_F(EcashManagerTest, OnlyAnExpiryThatCanBeNewIsAskedFor) {
  start_with({entry_.key()});
  const auto asked = [&](UnixSeconds expiry) {
    const int before = chain_.fetches();
    auto credential = ticket();
    credential.expiry = expiry;
    EXPECT_EQ(verify(credential).get().error(), Failure::unknown_verification_key);
    return chain_.fetches() != before;
  };
  EXPECT_FALSE(asked(0));
  EXPECT_FALSE(asked(start_time));
  EXPECT_TRUE(asked(start_time + 1));
  EXPECT_TRUE(asked(start_time + 60 * day));
  EXPECT_FALSE(asked(start_time + 60 * day + 1));
  EXPECT_FALSE(asked(std::numeric_limits<std::int64_t>::max()));
}

TEST_F(EcashManagerTest, RevokedKeysTicketsAreRefused) {
  start_with({entry_.key(), exit_.key()});
  EXPECT_EQ(failure(dvpn(7, ticket())), std::nullopt);
  chain_.answer(std::vector{exit_.key()});
  manager_->refresh();
  while (manager_->keys().known->trusted.size() != 1)
    std::this_thread::yield();
  EXPECT_EQ(failure(dvpn(7, ticket())), Failure::unknown_verification_key);
  EXPECT_EQ(failure(dvpn(8, withdraw(exit_, gateway_.identity), exit_.type)), std::nullopt);
}

TEST_F(EcashManagerTest, OfferedKeyIsAlarmedAndUsedOnceItIsAccepted) {
  start_with({entry_.key()});
  const Signer other{.type = entry_.type, .expiry = entry_.expiry};
  EXPECT_THAT(manager_->warnings(), IsEmpty());
  chain_.answer(std::vector{other.key()});
  manager_->refresh();
  while (manager_->keys().known->offered.empty())
    std::this_thread::yield();
  EXPECT_THAT(manager_->warnings(), ElementsAre(HasSubstr("contradict")));
  EXPECT_EQ(metric("lp_ecash_keys{state=\"offered\"}"), 1);
  EXPECT_EQ(failure(dvpn(7, ticket())), std::nullopt);
  EXPECT_EQ(failure(dvpn(8, withdraw(other, gateway_.identity))), Failure::bad_signature);
  ASSERT_TRUE(manager_->accept_key(test::base64_of(other.key())));
  EXPECT_THAT(manager_->warnings(), IsEmpty());
  EXPECT_EQ(failure(dvpn(8, withdraw(other, gateway_.identity))), std::nullopt);
  EXPECT_EQ(failure(dvpn(7, ticket())), Failure::bad_signature);
}

TEST_F(EcashManagerTest, ReadyIsOneThatHasAKeyForSomeTicket) {
  chain_.answer(std::unexpected(
      net::ChainError{.kind = net::ChainError::Kind::tls, .detail = "chain.example: expired"}));
  start(options());
  while (manager_->keys().problem.empty())
    std::this_thread::yield();
  EXPECT_THAT(manager_->not_ready_reason(), HasSubstr("chain.example: expired"));
  chain_.answer(std::vector{entry_.key()});
  manager_->refresh();
  while (manager_->keys().known->trusted.empty())
    std::this_thread::yield();
  EXPECT_EQ(manager_->not_ready_reason(), "");
  EXPECT_EQ(metric("lp_ecash_keys_confirmed_timestamp_seconds"), start_time);
  clock_.time = entry_.expiry;
  EXPECT_THAT(manager_->not_ready_reason(), HasSubstr("no verification key"));
}

// LpGatewayNoVerificationKey looks at it, and nobody can register then.
TEST_F(EcashManagerTest, ExpiredKeysHideFromTheAlertThatNoneIsLeft) {
  start_with({entry_.key(), exit_.key()});
  EXPECT_EQ(metric("lp_ecash_keys{state=\"trusted\"}"), 2);
  clock_.time = std::max(entry_.expiry, exit_.expiry);
  EXPECT_EQ(metric("lp_ecash_keys{state=\"trusted\"}"), 0);
}

TEST_F(EcashManagerTest, ShutdownAnswersAllWhoWait) {
  start_with({entry_.key()});
  Gate gate;
  hold_worker(gate);
  chain_.hold();
  std::vector<std::future<Result>> waiting;
  for (int i = 0; i < 5; ++i)
    waiting.push_back(verify(ticket()));
  auto unknown = ticket();
  unknown.expiry = start_time + 7 * day;
  auto for_key = verify(unknown);
  chain_.wait_for_fetches(2);
  std::thread stopping([this] { manager_->shut_down(); });
  chain_.release();
  (void)for_key.get();  // with what came of the fetch, or that there is none
  gate.open();
  stopping.join();
  for (auto& one : waiting) {
    // The worker may have taken them before it was told.
    const auto result = one.get();
    if (!result) {
      EXPECT_EQ(result.error(), Failure::shutting_down);
    }
  }
  EXPECT_EQ(verify(ticket()).get().error(), Failure::shutting_down);
}

}  // namespace
}  // namespace lp::gateway::ecash
