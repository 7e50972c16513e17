// A WireGuard backend whose every answer the test decides.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "gateway/wireguard/controller.h"

namespace lp::test {

/// State shared by the test and the backend that the controller owns.
class WireguardScript {
 public:
  using Error = gateway::wireguard::WireguardError;
  using PeerConfig = gateway::wireguard::PeerConfig;

  /// The next calls of any operation fail with this, until it is cleared.
  void fail_with(std::optional<Error::Kind> kind) {
    const std::lock_guard lock(mutex_);
    failure_ = kind;
  }
  /// Only add_peer fails.
  void fail_add_with(std::optional<Error::Kind> kind) {
    const std::lock_guard lock(mutex_);
    add_failure_ = kind;
  }
  /// Calls hang inside the backend until `release`.
  void hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  /// Waits until that many calls were begun.
  void wait_for_calls(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return calls_ >= count; });
  }
  [[nodiscard]] std::size_t calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  [[nodiscard]] std::map<crypto::X25519Public, PeerConfig> peers() {
    const std::lock_guard lock(mutex_);
    return peers_;
  }
  /// A device that is another one: it counts from zero.
  void set_peers(std::map<crypto::X25519Public, PeerConfig> peers) {
    const std::lock_guard lock(mutex_);
    peers_ = std::move(peers);
    traffic_.clear();
  }
  /// Goes through the peer's tunnel; nothing does for a peer that is not there.
  void transfer(const crypto::X25519Public& key, std::uint64_t rx, std::uint64_t tx,
                UnixSeconds handshake = 0) {
    const std::lock_guard lock(mutex_);
    if (!peers_.contains(key)) return;
    auto& traffic = traffic_[key];
    traffic.rx_bytes += rx;
    traffic.tx_bytes += tx;
    if (handshake != 0) traffic.last_handshake = handshake;
  }
  /// The device has other settings for the peer until it is added again.
  void spoil_settings(const crypto::X25519Public& key) {
    const std::lock_guard lock(mutex_);
    traffic_[key].settings_match = false;
  }
  /// Called inside the backend with each list of peers, after it was made.
  void after_listing(std::function<void()> call) {
    const std::lock_guard lock(mutex_);
    after_listing_ = std::move(call);
  }

  [[nodiscard]] std::unique_ptr<gateway::wireguard::Backend> backend();

 private:
  friend class ScriptedBackend;
  std::optional<Error> begin_call(bool adding) {
    std::unique_lock lock(mutex_);
    ++calls_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
    if (failure_) return Error{.kind = *failure_, .detail = "scripted"};
    if (adding && add_failure_) return Error{.kind = *add_failure_, .detail = "scripted"};
    return std::nullopt;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Error::Kind> failure_;
  std::optional<Error::Kind> add_failure_;
  bool held_ = false;
  std::size_t calls_ = 0;
  std::map<crypto::X25519Public, PeerConfig> peers_;
  std::map<crypto::X25519Public, gateway::wireguard::PeerState> traffic_;
  std::function<void()> after_listing_;
};

class ScriptedBackend final : public gateway::wireguard::Backend {
 public:
  using PeerConfig = gateway::wireguard::PeerConfig;
  template <typename T>
  using Result = gateway::wireguard::WireguardResult<T>;

  explicit ScriptedBackend(WireguardScript& script) : script_(script) {}
  Result<std::monostate> add_peer(const PeerConfig& peer) override {
    if (auto error = script_.begin_call(true)) return std::unexpected(*error);
    const std::lock_guard lock(script_.mutex_);
    script_.peers_.insert_or_assign(peer.public_key, peer);
    script_.traffic_[peer.public_key].settings_match = true;
    return std::monostate{};
  }
  Result<std::monostate> remove_peer(const crypto::X25519Public& key) override {
    if (auto error = script_.begin_call(false)) return std::unexpected(*error);
    const std::lock_guard lock(script_.mutex_);
    script_.peers_.erase(key);
    script_.traffic_.erase(key);
    return std::monostate{};
  }
  Result<std::vector<gateway::wireguard::PeerState>> list_peers() override {
    if (auto error = script_.begin_call(false)) return std::unexpected(*error);
    std::vector<gateway::wireguard::PeerState> peers;
    std::function<void()> after_listing;
    {
      const std::lock_guard lock(script_.mutex_);
      for (const auto& [key, peer] : script_.peers_) {
        auto state = script_.traffic_[key];
        state.public_key = key;
        state.addresses = peer.addresses;
        peers.push_back(state);
      }
      after_listing = script_.after_listing_;
    }
    if (after_listing) after_listing();
    return peers;
  }

 private:
  WireguardScript& script_;
};

inline std::unique_ptr<gateway::wireguard::Backend> WireguardScript::backend() {
  return std::make_unique<ScriptedBackend>(*this);
}

/// A WireGuard key that differs by its number and is not of low order.
inline crypto::X25519Public numbered_key(std::uint32_t number) {
  crypto::X25519Public key;
  key.bytes.fill(0x42);
  store_be(key.bytes.data(), number);
  return key;
}

inline gateway::wireguard::PeerConfig numbered_peer(std::uint32_t number) {
  gateway::wireguard::PeerConfig peer{.public_key = numbered_key(number), .addresses = {}};
  store_be(peer.addresses.ipv4.octets.data(), 0x0a010000U + number);
  peer.addresses.ipv6.octets[0] = 0xfd;
  store_be(peer.addresses.ipv6.octets.data() + 12, number);
  return peer;
}

}  // namespace lp::test
