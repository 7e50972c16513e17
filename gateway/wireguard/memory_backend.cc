#include <map>

#include "gateway/wireguard/controller.h"

namespace lp::gateway::wireguard {
namespace {

class MemoryBackend final : public Backend {
 public:
  WireguardResult<std::monostate> add_peer(const PeerConfig& peer) override {
    peers_.insert_or_assign(peer.public_key, peer);
    return std::monostate{};
  }

  WireguardResult<std::monostate> remove_peer(const crypto::X25519Public& key) override {
    peers_.erase(key);
    return std::monostate{};
  }

  WireguardResult<std::vector<PeerState>> list_peers() override {
    std::vector<PeerState> peers;
    peers.reserve(peers_.size());
    for (const auto& [key, peer] : peers_)
      peers.push_back({.public_key = key, .addresses = peer.addresses});
    return peers;
  }

 private:
  std::map<crypto::X25519Public, PeerConfig> peers_;
};

}  // namespace

std::unique_ptr<Backend> make_memory_backend() {
  return std::make_unique<MemoryBackend>();
}

}  // namespace lp::gateway::wireguard
