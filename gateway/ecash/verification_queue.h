// Signatures are checked here, on threads that do nothing else (docs/ecash.md, "Spending").
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "gateway/connection/admission.h"
#include "gateway/ecash/known_keys.h"
#include "gateway/ecash/prepared_keys.h"
#include "gateway/metrics/metrics.h"
#include "lib/base/bytes.h"
#include "lib/ecash/ticket.h"

namespace lp::gateway::ecash {

/// What became of a ticket. The queue itself says good, bad or, after shut_down, not_checked.
enum class Verdict : std::uint8_t { good, bad, unknown_key, busy, not_checked };
using VerdictDone = std::move_only_function<void(Verdict)>;

/// A ticket that waits.
struct VerificationJob {
  std::shared_ptr<const Key> key;  ///< set before it is pushed
  messages::IpAddress peer;
  lp::ecash::TicketMessage message;
  Bytes signature;
  /// Its place among those that may wait, held until it is answered.
  std::optional<connection::Slot> slot;
  VerdictDone done;
};

/// Gives the slot back, for whoever is answered may come again at once, and then answers.
void answer(std::unique_ptr<VerificationJob> job, Verdict verdict);

/// Unbounded by itself: who waits is limited by slots.
class VerificationQueue {
 public:
  /// `metrics` must outlive it.
  VerificationQueue(unsigned threads, std::size_t max_batch, metrics::Metrics& metrics);
  ~VerificationQueue();
  VerificationQueue(const VerificationQueue&) = delete;
  VerificationQueue& operator=(const VerificationQueue&) = delete;

  /// Calls `done` exactly once, on one of the threads: `not_checked` only after shut_down.
  void push(std::unique_ptr<VerificationJob> job);
  [[nodiscard]] std::size_t length() const;

  /// Answers what waits with `not_checked` and joins the threads. More than once does nothing.
  void shut_down();

 private:
  using Batch = std::vector<std::unique_ptr<VerificationJob>>;

  void run();
  /// The oldest job, and all that wait under the same key. Under the mutex.
  [[nodiscard]] Batch take_batch();
  void verify(Batch batch);

  const std::size_t max_batch_;
  metrics::Metrics& metrics_;
  PreparedKeys prepared_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<VerificationJob>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;  // last: they use the rest
};

}  // namespace lp::gateway::ecash
