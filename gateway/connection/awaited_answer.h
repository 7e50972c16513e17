// Where a registrar's answer meets the connection that waits for it.
#pragma once

#include <memory>
#include <optional>

#include "gateway/connection/asio.h"
#include "gateway/registration/registrar.h"

namespace lp::gateway::connection {

/// The waiting side. It belongs to the thread that runs `context`; the registrar may answer on any
/// thread, at any time, and also when nobody waits any more: then the answer is dropped.
class AwaitedAnswer {
 public:
  explicit AwaitedAnswer(asio::io_context& context);
  AwaitedAnswer(const AwaitedAnswer&) = delete;
  AwaitedAnswer& operator=(const AwaitedAnswer&) = delete;
  ~AwaitedAnswer();

  /// What the registrar is given to answer with.
  [[nodiscard]] registration::AnswerDone receiver() const;
  /// Called once. Nothing where `give_up` was called before the answer came.
  [[nodiscard]] Task<std::optional<registration::Answer>> wait();
  /// Ends the wait. The waiting coroutine goes on before this returns.
  void give_up();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace lp::gateway::connection
