// The thread that asks the chain for keys: from time to time, when it is told to, and when a ticket
// names a key that nobody has seen yet (docs/ecash.md, "Chain").
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gateway/ecash/key_store.h"
#include "gateway/metrics/metrics.h"
#include "lib/base/clock.h"

namespace lp::gateway::ecash {

/// Asks once. `cancel_fd` can be read once the answer is not wanted any more.
using FetchKeys = std::function<std::expected<std::vector<Key>, net::ChainError>(int cancel_fd)>;

struct RefreshOptions {
  std::chrono::milliseconds interval{300'000};
  /// After a failure; doubled with each further one, up to the interval.
  std::chrono::milliseconds first_retry{2'000};
  /// Between two fetches that tickets brought about.
  std::chrono::milliseconds demand_gap{5'000};
  /// How long a key that the chain does not have is not asked for again, and how many of those are
  /// remembered.
  std::chrono::milliseconds remember{60'000};
  std::size_t max_remembered = 4'096;
};

/// There is never more than one fetch at a time: all are made by one thread.
class KeyRefresher {
 public:
  /// Starts the thread, which fetches at once. `store`, `clock` and `metrics` must outlive it.
  KeyRefresher(RefreshOptions options, FetchKeys fetch, KeyStore& store, const WallClock& clock,
               metrics::Metrics& metrics);
  ~KeyRefresher();
  KeyRefresher(const KeyRefresher&) = delete;
  KeyRefresher& operator=(const KeyRefresher&) = delete;

  /// Called with true after the fetch, on this thread; with false where there is none because of
  /// shut_down.
  using Waiter = std::move_only_function<void(bool fetched)>;

  /// Fetches as soon as none is under way.
  void refresh();
  /// Waits for the fetch that is under way or, where tickets may bring about one now, for that.
  /// False: there is none to wait for, and `waiter` is left as it was.
  [[nodiscard]] bool wait_for(const KeyId& id, Waiter& waiter);

  /// Why the last fetch brought no keys; empty where it did, or where there was none yet.
  [[nodiscard]] std::string problem() const;

  /// Cancels a fetch, answers who waits, joins the thread. Once is enough; more do nothing.
  void shut_down();

 private:
  using Clock = std::chrono::steady_clock;

  struct Waiting {
    KeyId id;
    Waiter done;
  };

  void run();
  void fetch_once();
  void sort_out_late(std::vector<Waiting>& answered);
  [[nodiscard]] bool may_demand(Clock::time_point now);
  /// Why the answer is of no use, empty where it is; counts it.
  [[nodiscard]] std::string take(const std::expected<std::vector<Key>, net::ChainError>& answer);
  [[nodiscard]] Clock::duration until_next(bool good);
  void remember_unknown(const KeyId& id);

  const RefreshOptions options_;
  const FetchKeys fetch_;
  KeyStore& store_;
  const WallClock& clock_;
  metrics::Metrics& metrics_;
  const int cancel_fd_;  // eventfd

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool fetching_ = false;
  bool wanted_ = false;
  std::vector<Waiting> waiting_;
  std::map<KeyId, Clock::time_point> unknown_;  // until when
  std::deque<KeyId> unknown_in_order_;
  Clock::time_point next_demand_;
  Clock::time_point next_;
  unsigned failures_ = 0;
  std::string problem_;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace lp::gateway::ecash
