#include "gateway/wireguard/reconciler.h"

#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace lp::gateway::wireguard {
namespace {

using Key = crypto::X25519Public;

/// Waits for one completion. Only the reconciler's own thread and start-up may block so.
template <typename R, typename Call>
R wait_for(Call call) {
  std::promise<R> promise;
  auto future = promise.get_future();
  call([&promise](R result) { promise.set_value(std::move(result)); });
  return future.get();
}

class ThreadedReconciler final : public Reconciler {
 public:
  ThreadedReconciler(storage::Storage& storage, Controller& controller, Leases& leases,
                     ReconcilerOptions options)
      : storage_(storage), controller_(controller), leases_(leases), options_(std::move(options)) {
    compare();
    controller_.on_recovery([this] { trigger(); });
    thread_ = std::thread([this] { loop(); });
  }
  ~ThreadedReconciler() override { shut_down(); }

  Comparison compare() override {
    const std::lock_guard one_at_a_time(comparing_);
    Comparison comparison;
    carry_out_removals(comparison);
    align_peers(comparison);
    {
      const std::lock_guard lock(mutex_);
      last_ = comparison;
    }
    if (options_.after_each) options_.after_each();
    return comparison;
  }

  void trigger() override {
    {
      const std::lock_guard lock(mutex_);
      triggered_ = true;
    }
    wake_.notify_all();
  }

  [[nodiscard]] Comparison last() const override {
    const std::lock_guard lock(mutex_);
    return last_;
  }

  void shut_down() override {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      stopping_ = true;
    }
    controller_.on_recovery(nullptr);
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  void loop() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait_for(lock, options_.interval, [this] { return stopping_ || triggered_; });
      if (stopping_) return;
      triggered_ = false;
      lock.unlock();
      compare();
      lock.lock();
    }
  }

  // Every list is read twice: once to see which keys matter, and once more when these are leased,
  // for what was true before the lease may have been undone since.

  void carry_out_removals(Comparison& comparison) {
    const auto noted = list_removals();
    if (!noted || noted->empty()) return;
    const auto leased = lease(*noted);
    const auto still_noted = list_removals();
    if (!still_noted) return;
    std::vector<Key> removed;
    for (const auto& key : *still_noted) {
      if (leased.contains(key) && remove_peer(key)) removed.push_back(key);
    }
    comparison.removed += removed.size();
    comparison.pending_removals = still_noted->size() - removed.size();
    if (removed.empty()) return;
    (void)wait_for<storage::StorageResult<std::monostate>>(
        [&](auto done) { storage_.confirm_removals(removed, std::move(done)); });
  }

  void align_peers(Comparison& comparison) {
    auto active = list_active();
    auto present = list_present();
    if (!active || !present) return;
    std::vector<Key> different;
    for (const auto& [key, peer] : *active) {
      if (!is_aligned(peer, *present)) different.push_back(key);
    }
    for (const auto& [key, state] : *present) {
      if (!active->contains(key)) different.push_back(key);
    }
    comparison.completed = true;
    if (different.empty()) return;

    const auto leased = lease(different);
    active = list_active();
    present = list_present();
    if (!active || !present) {
      comparison.completed = false;
      return;
    }
    for (const auto& [key, held] : leased)
      align_peer(key, *active, *present, comparison);
  }

  void align_peer(const Key& key, const std::map<Key, PeerConfig>& active,
                  const std::map<Key, PeerState>& present, Comparison& comparison) {
    const auto wanted = active.find(key);
    if (wanted != active.end()) {
      if (!is_aligned(wanted->second, present) && add_peer(wanted->second)) ++comparison.added;
    } else if (present.contains(key)) {
      if (!options_.own_interface) {
        ++comparison.unknown;
      } else if (remove_peer(key)) {
        ++comparison.removed;
      }
    }
  }

  static bool is_aligned(const PeerConfig& peer, const std::map<Key, PeerState>& present) {
    const auto found = present.find(peer.public_key);
    return found != present.end() && found->second.settings_match &&
           found->second.addresses == peer.addresses;
  }

  std::map<Key, Lease> lease(const std::vector<Key>& keys) {
    std::map<Key, Lease> leased;
    for (const auto& key : keys) {
      auto lease = leases_.try_acquire({.kind = LeaseKey::Kind::wireguard_key, .key = key.bytes});
      if (lease) leased.emplace(key, std::move(*lease));
    }
    return leased;
  }

  std::optional<std::vector<Key>> list_removals() {
    auto keys = wait_for<storage::StorageResult<std::vector<Key>>>(
        [this](auto done) { storage_.list_removals(std::move(done)); });
    if (!keys) return std::nullopt;
    return std::move(*keys);
  }

  std::optional<std::map<Key, PeerConfig>> list_active() {
    auto peers = wait_for<storage::StorageResult<std::vector<storage::Peer>>>(
        [this](auto done) { storage_.list_active_peers(std::move(done)); });
    if (!peers) return std::nullopt;
    std::map<Key, PeerConfig> by_key;
    for (const auto& peer : *peers) {
      by_key.emplace(peer.public_key,
                     PeerConfig{.public_key = peer.public_key, .addresses = peer.addresses});
    }
    return by_key;
  }

  std::optional<std::map<Key, PeerState>> list_present() {
    auto peers = wait_for<WireguardResult<std::vector<PeerState>>>(
        [this](auto done) { controller_.list_peers(std::move(done)); });
    if (!peers) return std::nullopt;
    std::map<Key, PeerState> by_key;
    for (const auto& peer : *peers)
      by_key.emplace(peer.public_key, peer);
    return by_key;
  }

  bool add_peer(const PeerConfig& peer) {
    return wait_for<WireguardResult<std::monostate>>(
               [&](auto done) { controller_.add_peer(peer, std::move(done)); })
        .has_value();
  }
  bool remove_peer(const Key& key) {
    return wait_for<WireguardResult<std::monostate>>(
               [&](auto done) { controller_.remove_peer(key, std::move(done)); })
        .has_value();
  }

  storage::Storage& storage_;
  Controller& controller_;
  Leases& leases_;
  const ReconcilerOptions options_;

  std::mutex comparing_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Comparison last_;
  bool triggered_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Reconciler> start_reconciler(storage::Storage& storage, Controller& controller,
                                             Leases& leases, ReconcilerOptions options) {
  return std::make_unique<ThreadedReconciler>(storage, controller, leases, std::move(options));
}

}  // namespace lp::gateway::wireguard
