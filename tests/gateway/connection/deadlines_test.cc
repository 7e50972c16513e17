#include "gateway/connection/deadlines.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <vector>

namespace lp::gateway::connection {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

struct Expired {
  std::vector<int> order;
};

class Probe final : public Deadline {
 public:
  Probe(Expired& expired, int number) : expired_(expired), number_(number) {}
  void expire() override {
    EXPECT_GE(steady_clock::now(), at);
    expired_.order.push_back(number_);
  }
  MonotonicTime at;

 private:
  Expired& expired_;
  int number_;
};

class DeadlinesTest : public testing::Test {
 protected:
  void set(Probe& probe, milliseconds from_now) {
    probe.at = start + from_now;
    deadlines.set(probe, probe.at);
  }

  asio::io_context context{1};
  Deadlines deadlines{context};
  Expired expired;
  const MonotonicTime start = steady_clock::now();
};

TEST_F(DeadlinesTest, NoneExpiresBeforeItsTimeOrOutOfOrder) {
  std::vector<std::unique_ptr<Probe>> probes;
  std::vector<int> numbers;
  for (int i = 0; i < 200; ++i)
    numbers.push_back(i);
  std::shuffle(numbers.begin(), numbers.end(), std::mt19937(1));
  for (int number : numbers) {
    probes.push_back(std::make_unique<Probe>(expired, number));
    set(*probes.back(), milliseconds(number / 4));
  }
  context.run();
  ASSERT_EQ(expired.order.size(), 200);
  for (std::size_t i = 1; i < 200; ++i)
    EXPECT_LE(expired.order[i - 1] / 4, expired.order[i] / 4);
}

TEST_F(DeadlinesTest, AnEarlierDeadlineSetLaterIsNotMissed) {
  Probe late(expired, 2);
  Probe early(expired, 1);
  set(late, milliseconds(60));
  set(early, milliseconds(20));
  context.run();
  EXPECT_EQ(expired.order, (std::vector{1, 2}));
}

TEST_F(DeadlinesTest, ADeadlineThatIsPutOffOrCancelledDoesNotExpireAtItsFormerTime) {
  Probe put_off(expired, 1);
  Probe cancelled(expired, 2);
  Probe other(expired, 3);
  auto gone = std::make_unique<Probe>(expired, 4);
  set(put_off, milliseconds(10));
  set(cancelled, milliseconds(10));
  set(other, milliseconds(30));
  set(*gone, milliseconds(10));
  set(put_off, milliseconds(50));
  Deadlines::cancel(cancelled);
  Deadlines::cancel(cancelled);
  gone.reset();
  context.run();
  EXPECT_EQ(expired.order, (std::vector{3, 1}));
}

TEST_F(DeadlinesTest, AllCanBeCutShort) {
  Probe one(expired, 1);
  Probe two(expired, 2);
  set(one, std::chrono::hours(1));
  set(two, std::chrono::hours(2));
  deadlines.for_each([this](Deadline& deadline) {
    auto& probe = static_cast<Probe&>(deadline);
    set(probe, milliseconds(5));
  });
  context.run();
  EXPECT_EQ(expired.order.size(), 2);
}

TEST_F(DeadlinesTest, StoppingLetsTheContextRunOutOfWork) {
  Probe probe(expired, 1);
  set(probe, std::chrono::hours(1));
  deadlines.stop();
  context.run();
  EXPECT_TRUE(expired.order.empty());
}

}  // namespace
}  // namespace lp::gateway::connection
