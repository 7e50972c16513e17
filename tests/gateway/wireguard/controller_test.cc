#include "gateway/wireguard/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "tests/gateway/wireguard/scripted_backend.h"

namespace lp::gateway::wireguard {
namespace {

using test::numbered_key;
using test::numbered_peer;
using Kind = WireguardError::Kind;
using AddResult = WireguardResult<std::monostate>;

class ControllerTest : public testing::Test {
 protected:
  std::unique_ptr<Controller> controller(ControllerOptions options = {}) {
    return make_controller(script.backend(), options);
  }

  static std::future<AddResult> add(Controller& controller, std::uint32_t number) {
    auto promise = std::make_shared<std::promise<AddResult>>();
    auto future = promise->get_future();
    controller.add_peer(numbered_peer(number),
                        [promise](AddResult result) { promise->set_value(std::move(result)); });
    return future;
  }
  static std::future<AddResult> remove(Controller& controller, std::uint32_t number) {
    auto promise = std::make_shared<std::promise<AddResult>>();
    auto future = promise->get_future();
    controller.remove_peer(numbered_key(number),
                           [promise](AddResult result) { promise->set_value(std::move(result)); });
    return future;
  }

  test::WireguardScript script;
};

TEST_F(ControllerTest, OperationsReachTheBackendInOrder) {
  auto subject = controller();
  auto first = add(*subject, 1);
  auto second = add(*subject, 2);
  auto third = remove(*subject, 1);
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get());
  EXPECT_TRUE(third.get());
  const auto peers = script.peers();
  ASSERT_EQ(peers.size(), 1U);
  EXPECT_EQ(peers.begin()->second.addresses, numbered_peer(2).addresses);
  EXPECT_EQ(subject->peer_count(), 1U);
}

TEST_F(ControllerTest, RefusedPeerDoesNotCloseTheDoorForOthers) {
  auto subject = controller();
  script.fail_add_with(Kind::refused);
  EXPECT_EQ(add(*subject, 1).get().error().kind, Kind::refused);
  EXPECT_TRUE(subject->healthy());
  script.fail_add_with(std::nullopt);
  EXPECT_TRUE(add(*subject, 2).get());
}

TEST_F(ControllerTest, HangingBackendIsAnsweredByTheDeadlineAndLaterCallsAtOnce) {
  auto subject = controller({.deadline = std::chrono::milliseconds(50)});
  script.hold();
  EXPECT_EQ(add(*subject, 1).get().error().kind, Kind::timeout);
  while (subject->healthy())
    std::this_thread::yield();
  EXPECT_EQ(add(*subject, 2).get().error().kind, Kind::unavailable);
  EXPECT_EQ(script.calls(), 1U);
  script.release();
}

TEST_F(ControllerTest, OperationThatTimedOutInTheQueueIsNeverCarriedOut) {
  auto subject = controller(
      {.deadline = std::chrono::milliseconds(50), .probe_interval = std::chrono::milliseconds(1)});
  script.hold();
  auto running = add(*subject, 1);
  script.wait_for_calls(1);
  auto queued = add(*subject, 2);
  EXPECT_FALSE(running.get());
  EXPECT_FALSE(queued.get());
  std::promise<void> recovered;
  subject->on_recovery([&recovered] { recovered.set_value(); });
  script.release();
  recovered.get_future().wait();
  EXPECT_FALSE(script.peers().contains(numbered_key(2)));
  // What was inside the backend took effect late; the comparison with the database sees it.
  EXPECT_TRUE(script.peers().contains(numbered_key(1)));
  EXPECT_EQ(subject->peer_count(), 1U);
}

TEST_F(ControllerTest, BackendThatIsDownIsProbedUntilItAnswersAgain) {
  auto subject = controller({.probe_interval = std::chrono::milliseconds(1)});
  script.fail_with(Kind::unavailable);
  EXPECT_EQ(add(*subject, 1).get().error().kind, Kind::unavailable);
  while (subject->healthy())
    std::this_thread::yield();
  script.wait_for_calls(4);
  EXPECT_FALSE(subject->healthy());
  std::promise<void> recovered;
  subject->on_recovery([&recovered] { recovered.set_value(); });
  script.fail_with(std::nullopt);
  recovered.get_future().wait();
  EXPECT_TRUE(subject->healthy());
  EXPECT_TRUE(add(*subject, 1).get());
}

TEST_F(ControllerTest, ShutDownAnswersWhatWaits) {
  auto subject = controller({.deadline = std::chrono::hours(1)});
  script.hold();
  auto running = add(*subject, 1);
  script.wait_for_calls(1);
  auto queued = add(*subject, 2);
  std::thread releaser([this] { script.release(); });
  subject->shut_down();
  releaser.join();
  (void)running.get();
  (void)queued.get();
  EXPECT_EQ(add(*subject, 3).get().error().kind, Kind::unavailable);
}

}  // namespace
}  // namespace lp::gateway::wireguard
