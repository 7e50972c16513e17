// When the chain is asked, and that it is never asked twice at a time.
#include "gateway/ecash/key_refresher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <condition_variable>
#include <functional>
#include <future>
#include <optional>
#include <utility>

#include "lib/crypto/random.h"
#include "tests/gateway/ecash/keys.h"
#include "tests/support/process.h"

namespace lp::gateway::ecash {
namespace {

using namespace std::chrono_literals;
using test::new_key;
using test::TicketType;
using testing::HasSubstr;
using Answer = std::expected<std::vector<Key>, net::ChainError>;

constexpr UnixSeconds later = 1'763'086'400;
constexpr auto never = std::chrono::hours(24);

/// A chain whose every answer waits for the test.
class ScriptedChain {
 public:
  Answer fetch() {
    std::unique_lock lock(mutex_);
    ++begun_;
    at_once_ = std::max(at_once_, ++running_);
    changed_.notify_all();
    changed_.wait(lock, [this] { return permits_ > 0; });
    --permits_;
    --running_;
    return answer_;
  }
  void answer(Answer answer) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
  }
  void permit(int count = 1) {
    const std::lock_guard lock(mutex_);
    permits_ += count;
    changed_.notify_all();
  }
  void wait_until_begun(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_ >= count; });
  }
  [[nodiscard]] int begun() const {
    const std::lock_guard lock(mutex_);
    return begun_;
  }
  [[nodiscard]] int most_at_once() const {
    const std::lock_guard lock(mutex_);
    return at_once_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Answer answer_ = std::vector<Key>{};
  int permits_ = 0;
  int begun_ = 0;
  int running_ = 0;
  int at_once_ = 0;
};

/// The system's clock, and a way into the moment in which somebody asks it.
class HookedClock final : public WallClock {
 public:
  [[nodiscard]] UnixSeconds now() const noexcept override {
    if (auto hook = std::exchange(hook_, nullptr)) hook();
    return SystemWallClock().now();
  }
  void at_next(std::function<void()> hook) { hook_ = std::move(hook); }

 private:
  mutable std::function<void()> hook_;
};

class KeyRefresherTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }
  ~KeyRefresherTest() override {
    chain_.permit(1'000'000);
    refresher_.reset();
  }
  /// Starts it, and lets the first fetch through with `answer`.
  void start(RefreshOptions options, Answer answer) {
    chain_.answer(std::move(answer));
    refresher_ = std::make_unique<KeyRefresher>(
        options, [this](int) { return chain_.fetch(); }, *store_, clock_, metrics_);
    chain_.wait_until_begun(1);
    auto first = wait_for(unknown_);
    ASSERT_TRUE(first);
    chain_.permit();
    EXPECT_TRUE(first->get());
  }
  std::optional<std::future<bool>> wait_for(const KeyId& id) {
    auto promise = std::make_shared<std::promise<bool>>();
    KeyRefresher::Waiter waiter = [promise](bool fetched) { promise->set_value(fetched); };
    if (!refresher_->wait_for(id, waiter)) return std::nullopt;
    return promise->get_future();
  }
  KeyId id(UnixSeconds offset) const {
    return {.type = TicketType::v1_mixnet_exit, .expiry = later + offset};
  }

  lp::test::TempDir dir_;
  std::unique_ptr<KeyStore> store_ = KeyStore::open(dir_ / "keys.json", "n1").value();
  HookedClock clock_;
  metrics::Metrics metrics_;
  ScriptedChain chain_;
  const Key a_ = new_key(TicketType::v1_wireguard_entry, later);
  const KeyId unknown_{.type = TicketType::v1_mixnet_entry, .expiry = later};
  std::unique_ptr<KeyRefresher> refresher_;
};

TEST_F(KeyRefresherTest, KeysAreFetchedAtStartAndFromTimeToTime) {
  start({.interval = 1ms}, std::vector{a_});
  chain_.permit(3);
  chain_.wait_until_begun(4);
  EXPECT_EQ(*store_->find(id_of(a_)), a_);
  EXPECT_EQ(chain_.most_at_once(), 1);
}

TEST_F(KeyRefresherTest, ManyWhoMissAKeyWaitForOneFetch) {
  start({.interval = never, .demand_gap = 0ms, .remember = 0ms}, std::vector{a_});
  std::vector<std::future<bool>> waiting;
  const Key b = new_key(TicketType::v1_mixnet_exit, later);
  chain_.answer(std::vector{a_, b});
  const int before = chain_.begun();
  for (UnixSeconds i = 0; i < 100; ++i) {
    auto one = wait_for(id(i));
    ASSERT_TRUE(one);
    waiting.push_back(std::move(*one));
  }
  chain_.wait_until_begun(before + 1);
  for (UnixSeconds i = 0; i < 100; ++i)
    waiting.push_back(std::move(*wait_for(id(i))));
  chain_.permit();
  for (auto& one : waiting)
    EXPECT_TRUE(one.get());
  EXPECT_EQ(chain_.begun(), before + 1);
  EXPECT_EQ(*store_->find(id_of(b)), b);
}

TEST_F(KeyRefresherTest, TicketsBringAboutOneFetchInAWhile) {
  start({.interval = never, .demand_gap = never, .remember = 0ms}, std::vector{a_});
  auto first = wait_for(id(1));
  ASSERT_TRUE(first);
  chain_.permit();
  EXPECT_TRUE(first->get());
  const int begun = chain_.begun();
  for (UnixSeconds i = 2; i < 50; ++i)
    EXPECT_FALSE(wait_for(id(i)));
  EXPECT_EQ(chain_.begun(), begun);
}

TEST_F(KeyRefresherTest, KeyThatTheChainDoesNotHaveIsNotAskedForAgain) {
  start({.interval = never, .demand_gap = 0ms, .remember = never}, std::vector{a_});
  auto first = wait_for(id(1));
  ASSERT_TRUE(first);
  chain_.permit();
  EXPECT_TRUE(first->get());
  EXPECT_FALSE(wait_for(id(1)));
  auto other = wait_for(id(2));
  ASSERT_TRUE(other);
  chain_.permit();
  EXPECT_TRUE(other->get());
}

TEST_F(KeyRefresherTest, ChainThatFailsHasNotSaidThatItHasNoSuchKey) {
  start({.interval = never, .first_retry = never, .demand_gap = 0ms, .remember = never},
        std::vector{a_});
  chain_.answer(std::unexpected(
      net::ChainError{.kind = net::ChainError::Kind::timeout, .detail = "chain.example: late"}));
  for (int i = 0; i < 3; ++i) {
    auto one = wait_for(id(1));
    ASSERT_TRUE(one) << i;
    chain_.permit();
    EXPECT_TRUE(one->get());
    EXPECT_EQ(refresher_->problem(), "chain.example: late");
  }
  EXPECT_EQ(*store_->find(id_of(a_)), a_);  // and good keys are kept
  EXPECT_THAT(metrics_.text(), HasSubstr("lp_ecash_key_refreshes_total{result=\"timeout\"} 3\n"));
}

TEST_F(KeyRefresherTest, MemoryOfUnknownKeysIsBounded) {
  start({.interval = never, .demand_gap = 0ms, .remember = never, .max_remembered = 4},
        std::vector{a_});
  for (UnixSeconds i = 0; i < 5; ++i) {
    auto one = wait_for(id(i));
    ASSERT_TRUE(one);
    chain_.permit();
    EXPECT_TRUE(one->get());
  }
  EXPECT_FALSE(wait_for(id(4)));
  EXPECT_TRUE(wait_for(id(0)));  // the oldest went
}

TEST_F(KeyRefresherTest, FailureIsTriedAgainBeforeTheNextTime) {
  start(
      {.interval = never, .first_retry = 1ms},
      std::unexpected(net::ChainError{.kind = net::ChainError::Kind::unreachable, .detail = "x"}));
  chain_.permit(2);
  chain_.wait_until_begun(4);
  chain_.answer(std::vector{a_});
  chain_.permit(1'000);
  while (!store_->find(id_of(a_)))
    std::this_thread::yield();
}

TEST_F(KeyRefresherTest, EmptyListIsAProblemAndTakesNothing) {
  start({.interval = never, .first_retry = never, .demand_gap = 0ms}, std::vector{a_});
  chain_.answer(std::vector<Key>{});
  auto one = wait_for(id(1));
  ASSERT_TRUE(one);
  chain_.permit();
  EXPECT_TRUE(one->get());
  EXPECT_THAT(refresher_->problem(), HasSubstr("no keys at all"));
  EXPECT_EQ(*store_->find(id_of(a_)), a_);
  EXPECT_THAT(metrics_.text(), HasSubstr("lp_ecash_key_refreshes_total{result=\"empty\"} 1\n"));
}

TEST_F(KeyRefresherTest, ContradictionIsCounted) {
  start({.interval = never, .demand_gap = 0ms}, std::vector{a_});
  chain_.answer(std::vector{new_key(a_.type, a_.expiry)});
  auto one = wait_for(id(1));
  ASSERT_TRUE(one);
  chain_.permit();
  EXPECT_TRUE(one->get());
  EXPECT_EQ(*store_->find(id_of(a_)), a_);
  EXPECT_THAT(metrics_.text(), HasSubstr("lp_ecash_key_refreshes_total{result=\"conflict\"} 1\n"));
}

TEST_F(KeyRefresherTest, WhoTellsItToRefreshNeedNotWait) {
  start({.interval = never, .demand_gap = never}, std::vector{a_});
  const int begun = chain_.begun();
  refresher_->refresh();
  chain_.wait_until_begun(begun + 1);
  chain_.permit();
}

// The clock is asked when the answer is there and its keys are not in use yet.
TEST_F(KeyRefresherTest, AnAnswerOlderThanTheQuestionIsTakenForUnknown) {
  start({.interval = never, .demand_gap = 0ms, .remember = 0ms}, std::vector{a_});
  const Key b = new_key(TicketType::v1_mixnet_exit, later);
  chain_.answer(std::vector{a_, b});
  std::optional<std::future<bool>> in_it;
  std::optional<std::future<bool>> not_in_it;
  clock_.at_next([&] {
    in_it = wait_for(id_of(b));
    not_in_it = wait_for(id(5));
  });
  refresher_->refresh();
  chain_.permit();
  chain_.wait_until_begun(3);  // for the one that was not in it
  ASSERT_TRUE(in_it);
  EXPECT_TRUE(in_it->get());
  EXPECT_EQ(*store_->find(id_of(b)), b);
  ASSERT_TRUE(not_in_it);
  EXPECT_EQ(not_in_it->wait_for(0s), std::future_status::timeout);
  chain_.permit();
  EXPECT_TRUE(not_in_it->get());
  EXPECT_EQ(chain_.begun(), 3);
}

TEST_F(KeyRefresherTest, ShutdownCancelsTheFetchAndAnswersWhoWaits) {
  std::promise<void> fetching;
  KeyRefresher refresher(
      {.interval = never},
      [&](int cancel_fd) -> Answer {
        fetching.set_value();
        pollfd fd{.fd = cancel_fd, .events = POLLIN, .revents = 0};
        poll(&fd, 1, -1);
        return std::unexpected(
            net::ChainError{.kind = net::ChainError::Kind::cancelled, .detail = "cancelled"});
      },
      *store_, clock_, metrics_);
  fetching.get_future().get();
  std::promise<bool> answered;
  KeyRefresher::Waiter waiter = [&](bool fetched) { answered.set_value(fetched); };
  ASSERT_TRUE(refresher.wait_for(unknown_, waiter));
  refresher.shut_down();
  (void)answered.get_future().get();  // with what came of the fetch
  waiter = [](bool) {};
  EXPECT_FALSE(refresher.wait_for(unknown_, waiter));
}

}  // namespace
}  // namespace lp::gateway::ecash
