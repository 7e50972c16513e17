#include "gateway/wireguard/controller.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

namespace lp::gateway::wireguard {
namespace {

using Clock = std::chrono::steady_clock;

WireguardError unavailable(std::string detail) {
  return {.kind = WireguardError::Kind::unavailable, .detail = std::move(detail)};
}

OperationResult operation_result(const std::optional<WireguardError>& error) {
  if (!error) return OperationResult::success;
  switch (error->kind) {
    case WireguardError::Kind::unavailable:
      return OperationResult::unavailable;
    case WireguardError::Kind::timeout:
      return OperationResult::timeout;
    case WireguardError::Kind::refused:
      break;
  }
  return OperationResult::refused;
}

/// One call on its way to the backend. Whoever claims it first answers it: the backend's thread
/// with the result, the watchdog with `timeout`, the breaker with `unavailable`.
class PendingOperation {
 public:
  explicit PendingOperation(Clock::time_point deadline) : deadline_(deadline) {}
  virtual ~PendingOperation() = default;
  /// Carries it out and answers. Returns the error, if there was one.
  virtual std::optional<WireguardError> run(Backend& backend) = 0;
  virtual void answer_error(WireguardError error) = 0;

  [[nodiscard]] Clock::time_point deadline() const { return deadline_; }
  [[nodiscard]] bool answered() const { return claimed_.load(std::memory_order_acquire); }

 protected:
  [[nodiscard]] bool claim() { return !claimed_.exchange(true, std::memory_order_acq_rel); }

 private:
  const Clock::time_point deadline_;
  std::atomic<bool> claimed_ = false;
};

template <typename T>
class TypedOperation final : public PendingOperation {
 public:
  using Call = std::move_only_function<WireguardResult<T>(Backend&)>;
  TypedOperation(Clock::time_point deadline, Call call, Done<T> done)
      : PendingOperation(deadline), call_(std::move(call)), done_(std::move(done)) {}

  std::optional<WireguardError> run(Backend& backend) override {
    auto result = call_(backend);
    std::optional<WireguardError> error;
    if (!result) error = result.error();
    if (claim()) answer(std::move(result));
    return error;
  }

  void answer_error(WireguardError error) override {
    if (claim()) answer(std::unexpected(std::move(error)));
  }

 private:
  void answer(WireguardResult<T> result) {
    auto done = std::move(done_);
    done(std::move(result));
  }

  Call call_;
  Done<T> done_;
};

class BackendController final : public Controller {
 public:
  BackendController(std::unique_ptr<Backend> backend, ControllerOptions options)
      : options_(std::move(options)), backend_(std::move(backend)) {
    worker_ = std::thread([this] { work(); });
    watchdog_ = std::thread([this] { watch(); });
  }
  ~BackendController() override { shut_down(); }

  void add_peer(PeerConfig peer, Done<std::monostate> done) override {
    submit<std::monostate>(
        Operation::add, [this, peer](Backend& backend) { return add(backend, peer); },
        std::move(done));
  }

  void add_new_peer(PeerConfig peer, Done<std::monostate> done) override {
    submit<std::monostate>(
        Operation::add,
        [this, peer](Backend& backend) -> WireguardResult<std::monostate> {
          if (known_.contains(peer.public_key)) {
            if (auto removed = remove(backend, peer.public_key); !removed) return removed;
          }
          return add(backend, peer);
        },
        std::move(done));
  }

  void remove_peer(const crypto::X25519Public& key, Done<std::monostate> done) override {
    submit<std::monostate>(
        Operation::remove, [this, key](Backend& backend) { return remove(backend, key); },
        std::move(done));
  }

  void list_peers(Done<std::vector<PeerState>> done) override {
    submit<std::vector<PeerState>>(
        Operation::list, [this](Backend& backend) { return list(backend); }, std::move(done));
  }

  void set_foreign_peers(std::set<crypto::X25519Public> keys) override {
    const std::lock_guard lock(mutex_);
    foreign_ = std::move(keys);
  }

  [[nodiscard]] bool healthy() const override { return !down_.load(); }
  [[nodiscard]] std::size_t peer_count() const override { return peer_count_.load(); }

  void on_recovery(std::function<void()> callback) override {
    const std::lock_guard lock(mutex_);
    on_recovery_ = std::move(callback);
  }

  void shut_down() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_worker_.notify_all();
    wake_watchdog_.notify_all();
    if (worker_.joinable()) worker_.join();
    if (watchdog_.joinable()) watchdog_.join();
    refuse_all_waiting("shutting down");
  }

 private:
  template <typename T>
  void submit(Operation kind, typename TypedOperation<T>::Call call, Done<T> done) {
    if (options_.observe) {
      done = [this, kind, done = std::move(done)](WireguardResult<T> result) mutable {
        options_.observe(kind,
                         operation_result(result ? std::nullopt : std::optional(result.error())));
        done(std::move(result));
      };
    }
    auto operation = std::make_shared<TypedOperation<T>>(Clock::now() + options_.deadline,
                                                         std::move(call), std::move(done));
    {
      const std::lock_guard lock(mutex_);
      if (!stopping_ && !down_.load()) {
        waiting_.push_back(operation);
        watched_.push_back(operation);
        wake_worker_.notify_one();
        // The watchdog waits for the oldest deadline; later ones need no wake-up.
        if (watched_.size() == 1) wake_watchdog_.notify_one();
        return;
      }
    }
    operation->answer_error(unavailable("the WireGuard backend is down"));
  }

  // The backend's thread.
  void work() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (down_.load()) {
        wake_worker_.wait_for(lock, options_.probe_interval, [this] { return stopping_; });
        if (stopping_) return;
        lock.unlock();
        probe();
        lock.lock();
        continue;
      }
      if (Clock::now() >= next_look_) {
        lock.unlock();
        look_at_device();
        lock.lock();
        continue;
      }
      if (waiting_.empty()) {
        wake_worker_.wait_until(lock, next_look_,
                                [this] { return stopping_ || !waiting_.empty() || down_.load(); });
        continue;
      }
      const auto operation = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      carry_out(*operation);
      lock.lock();
    }
  }

  void carry_out(PendingOperation& operation) {
    // What nobody waits for any more must not take effect.
    if (operation.answered()) return;
    const auto error = operation.run(*backend_);
    if (error && error->kind != WireguardError::Kind::refused) trip(error->detail);
  }

  void probe() {
    if (!list(*backend_)) return;
    down_.store(false);
    report_recovery();
  }

  // A device that was restarted has lost its peers, and nobody has noticed who only waits.
  void look_at_device() {
    next_look_ = Clock::now() + options_.probe_interval;
    if (backend_->is_as_left()) return;
    const auto peers = list(*backend_);
    if (peers) {
      report_recovery();
    } else if (peers.error().kind != WireguardError::Kind::refused) {
      trip(peers.error().detail);
    }
  }

  void report_recovery() {
    std::function<void()> callback;
    {
      const std::lock_guard lock(mutex_);
      callback = on_recovery_;
    }
    if (callback) callback();
  }

  // Opens the breaker: nobody waits for a backend that does not answer.
  void trip(const std::string& reason) {
    down_.store(true);
    refuse_all_waiting(reason);
  }

  void refuse_all_waiting(const std::string& reason) {
    std::deque<std::shared_ptr<PendingOperation>> waiting;
    {
      const std::lock_guard lock(mutex_);
      waiting.swap(waiting_);
    }
    for (const auto& operation : waiting)
      operation->answer_error(unavailable(reason));
  }

  // The watchdog's thread. Deadlines are in the order of submission.
  void watch() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (watched_.empty()) {
        wake_watchdog_.wait(lock, [this] { return stopping_ || !watched_.empty(); });
        continue;
      }
      const auto operation = watched_.front();
      if (operation->answered()) {
        watched_.pop_front();
        continue;
      }
      if (Clock::now() < operation->deadline()) {
        wake_watchdog_.wait_until(lock, operation->deadline(), [this] { return stopping_; });
        continue;
      }
      watched_.pop_front();
      lock.unlock();
      operation->answer_error(
          {.kind = WireguardError::Kind::timeout, .detail = "no answer within the deadline"});
      trip("the WireGuard backend hangs");
      lock.lock();
    }
    // The worker has its last operation in hand; whoever waits for it is answered all the same.
    auto watched = std::exchange(watched_, {});
    lock.unlock();
    for (const auto& operation : watched)
      operation->answer_error(unavailable("shutting down"));
  }

  WireguardResult<std::vector<PeerState>> list(Backend& backend) {
    auto peers = backend.list_peers();
    if (!peers) return peers;
    std::map<crypto::X25519Public, storage::ClientRowId> listed;
    for (auto& peer : *peers) {
      const auto known = known_.find(peer.public_key);
      peer.client_id = known == known_.end() ? 0 : known->second;
      listed.emplace(peer.public_key, peer.client_id);
    }
    known_ = std::move(listed);
    peer_count_.store(known_.size());
    return peers;
  }

  WireguardResult<std::monostate> add(Backend& backend, const PeerConfig& peer) {
    if (is_foreign(peer.public_key)) return refuse_foreign();
    auto added = backend.add_peer(peer);
    if (!added) return added;
    known_.insert_or_assign(peer.public_key, peer.client_id);
    peer_count_.store(known_.size());
    return added;
  }

  WireguardResult<std::monostate> remove(Backend& backend, const crypto::X25519Public& key) {
    // What a refused registration leaves to be removed is not there: the foreign peer stays.
    if (is_foreign(key)) return std::monostate{};
    auto removed = backend.remove_peer(key);
    if (!removed) return removed;
    known_.erase(key);
    peer_count_.store(known_.size());
    return removed;
  }

  bool is_foreign(const crypto::X25519Public& key) {
    const std::lock_guard lock(mutex_);
    return foreign_.contains(key);
  }
  static WireguardResult<std::monostate> refuse_foreign() {
    return std::unexpected(WireguardError{
        .kind = WireguardError::Kind::refused,
        .detail = "the interface has a peer with this key that is not this gateway's"});
  }

  const ControllerOptions options_;
  const std::unique_ptr<Backend> backend_;  // worker only
  /// Peers of the device, and for whom they were added. Worker only.
  std::map<crypto::X25519Public, storage::ClientRowId> known_;
  Clock::time_point next_look_ = Clock::now() + options_.probe_interval;  // worker only
  std::atomic<std::size_t> peer_count_ = 0;
  std::atomic<bool> down_ = false;

  std::mutex mutex_;
  std::condition_variable wake_worker_;
  std::condition_variable wake_watchdog_;
  std::deque<std::shared_ptr<PendingOperation>> waiting_;
  std::deque<std::shared_ptr<PendingOperation>> watched_;
  std::set<crypto::X25519Public> foreign_;
  std::function<void()> on_recovery_;
  bool stopping_ = false;

  std::thread worker_;
  std::thread watchdog_;
};

}  // namespace

std::unique_ptr<Controller> make_controller(std::unique_ptr<Backend> backend,
                                            ControllerOptions options) {
  return std::make_unique<BackendController>(std::move(backend), options);
}

}  // namespace lp::gateway::wireguard
