#include "gateway/ecash/key_refresher.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "gateway/config/log.h"
#include "lib/crypto/random.h"

namespace lp::gateway::ecash {
namespace {

using metrics::KeyRefresh;

std::optional<KeyRefresh> label_of(net::ChainError::Kind kind) {
  using Kind = net::ChainError::Kind;
  switch (kind) {
    case Kind::unreachable:
      return KeyRefresh::unreachable;
    case Kind::timeout:
      return KeyRefresh::timeout;
    case Kind::tls:
      return KeyRefresh::tls;
    case Kind::http_status:
      return KeyRefresh::http_status;
    case Kind::too_large:
      return KeyRefresh::too_large;
    case Kind::malformed:
      return KeyRefresh::malformed;
    case Kind::cancelled:
      break;
  }
  return std::nullopt;
}

/// Between 90 and 110 hundredths: gateways that were started together do not ask together for ever.
std::chrono::milliseconds with_jitter(std::chrono::milliseconds time) {
  return time * (90 + static_cast<std::int64_t>(crypto::random_u32() % 21)) / 100;
}

int make_eventfd() {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return fd;
}

}  // namespace

KeyRefresher::KeyRefresher(RefreshOptions options, FetchKeys fetch, KeyStore& store,
                           const WallClock& clock, metrics::Metrics& metrics)
    : options_(options),
      fetch_(std::move(fetch)),
      store_(store),
      clock_(clock),
      metrics_(metrics),
      cancel_fd_(make_eventfd()),
      wanted_(true),
      thread_([this] { run(); }) {
  ::pthread_setname_np(thread_.native_handle(), "lp-keys");
}

KeyRefresher::~KeyRefresher() {
  shut_down();
  close(cancel_fd_);
}

void KeyRefresher::refresh() {
  const std::lock_guard lock(mutex_);
  wanted_ = true;
  changed_.notify_one();
}

bool KeyRefresher::wait_for(const KeyId& id, Waiter& waiter) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return false;
  const auto now = Clock::now();
  if (const auto remembered = unknown_.find(id);
      remembered != unknown_.end() && now < remembered->second) {
    return false;
  }
  if (!fetching_ && !wanted_ && !may_demand(now)) return false;
  waiting_.push_back({id, std::move(waiter)});
  return true;
}

std::string KeyRefresher::problem() const {
  const std::lock_guard lock(mutex_);
  return problem_;
}

void KeyRefresher::shut_down() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(cancel_fd_, &one, sizeof one);
  if (thread_.joinable()) thread_.join();
}

void KeyRefresher::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (!wanted_ && Clock::now() < next_) {
      changed_.wait_until(lock, next_);
      continue;
    }
    wanted_ = false;
    fetching_ = true;
    lock.unlock();
    fetch_once();
    lock.lock();
  }
  auto left = std::exchange(waiting_, {});
  lock.unlock();
  for (auto& waiting : left)
    waiting.done(false);
}

void KeyRefresher::fetch_once() {
  const auto answer = fetch_(cancel_fd_);
  std::unique_lock lock(mutex_);
  auto waiting = std::exchange(waiting_, {});
  lock.unlock();

  std::string problem = take(answer);
  const bool good = problem.empty();
  if (!good) {
    log::write_limited(log::Level::warning, "verification keys", "verification keys not refreshed",
                       {{"error", problem}});
  }

  lock.lock();
  fetching_ = false;
  next_ = Clock::now() + until_next(good);
  if (good && !problem_.empty()) log::info("verification keys refreshed again");
  problem_ = std::move(problem);
  if (answer) {
    for (const auto& one : waiting) {
      if (!store_.find(one.id)) remember_unknown(one.id);
    }
  }
  sort_out_late(waiting);
  lock.unlock();
  for (auto& one : waiting)
    one.done(true);
}

// Those who came when the answer was here already: it may have their key, and if it has not, it
// says nothing about now.
void KeyRefresher::sort_out_late(std::vector<Waiting>& answered) {
  for (auto& late : std::exchange(waiting_, {})) {
    const bool waits = !store_.find(late.id) && (wanted_ || may_demand(Clock::now()));
    (waits ? waiting_ : answered).push_back(std::move(late));
  }
}

// Asks for a fetch for somebody who waits, unless the last was asked for too short a while ago.
bool KeyRefresher::may_demand(Clock::time_point now) {
  if (now < next_demand_) return false;
  next_demand_ = now + options_.demand_gap;
  wanted_ = true;
  changed_.notify_one();
  return true;
}

std::string KeyRefresher::take(const std::expected<std::vector<Key>, net::ChainError>& answer) {
  if (!answer) {
    if (const auto label = label_of(answer.error().kind)) metrics_.keys_refreshed(*label);
    return answer.error().detail;
  }
  if (answer->empty()) {
    metrics_.keys_refreshed(KeyRefresh::empty);
    return "the chain has no keys at all; nothing is changed by that";
  }
  store_.apply(*answer, clock_.now());
  const bool agrees = store_.known()->offered.empty();
  metrics_.keys_refreshed(agrees ? KeyRefresh::success : KeyRefresh::conflict);
  return {};
}

KeyRefresher::Clock::duration KeyRefresher::until_next(bool good) {
  if (good) {
    failures_ = 0;
    return with_jitter(options_.interval);
  }
  const unsigned doublings = std::min(failures_++, 16U);
  return with_jitter(std::min(options_.interval, options_.first_retry * (1U << doublings)));
}

void KeyRefresher::remember_unknown(const KeyId& id) {
  const auto until = Clock::now() + options_.remember;
  const auto [at, inserted] = unknown_.insert_or_assign(id, until);
  if (!inserted) return;
  unknown_in_order_.push_back(id);
  if (unknown_in_order_.size() <= options_.max_remembered) return;
  unknown_.erase(unknown_in_order_.front());
  unknown_in_order_.pop_front();
}

}  // namespace lp::gateway::ecash
