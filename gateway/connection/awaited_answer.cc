#include "gateway/connection/awaited_answer.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <mutex>
#include <utility>

#include "gateway/config/log.h"

namespace lp::gateway::connection {

struct AwaitedAnswer::State {
  std::mutex mutex;
  asio::io_context* context;  // under the mutex; null once nobody waits, for it may be gone then
  std::optional<registration::Answer> answer;  // under the mutex
  std::move_only_function<void()> resume;      // the waiting thread's

  std::optional<registration::Answer> stop_waiting() {
    const std::lock_guard lock(mutex);
    context = nullptr;
    return std::exchange(answer, std::nullopt);
  }
  void resume_waiting() {
    if (resume) std::exchange(resume, nullptr)();
  }
};

AwaitedAnswer::AwaitedAnswer(asio::io_context& context) : state_(std::make_shared<State>()) {
  state_->context = &context;
}

AwaitedAnswer::~AwaitedAnswer() {
  (void)state_->stop_waiting();
}

registration::AnswerDone AwaitedAnswer::receiver() const {
  return [state = state_](registration::Answer answer) {
    const std::lock_guard lock(state->mutex);
    if (state->context == nullptr) {
      // The attempt's outcome was counted when the waiting ended.
      log::debug("an answer came too late for its client");
      return;
    }
    state->answer = std::move(answer);
    asio::post(*state->context, [state] { state->resume_waiting(); });
  };
}

Task<std::optional<registration::Answer>> AwaitedAnswer::wait() {
  co_await asio::async_initiate<const asio::use_awaitable_t<Executor>&, void()>(
      [this](auto handler) { state_->resume = std::move(handler); }, use_task);
  co_return state_->stop_waiting();
}

void AwaitedAnswer::give_up() {
  const auto state = state_;  // this may be gone when the coroutine comes to rest
  state->resume_waiting();
}

}  // namespace lp::gateway::connection
