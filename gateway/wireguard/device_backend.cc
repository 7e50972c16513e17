#include "gateway/wireguard/device_backend.h"

#include <cerrno>
#include <string>
#include <utility>

#include "gateway/config/log.h"

namespace lp::gateway::wireguard {
namespace {

class DeviceBackend final : public Backend {
 public:
  DeviceBackend(std::unique_ptr<Device> device, SharedConfig config,
                std::chrono::milliseconds deadline)
      : device_(std::move(device)), config_(std::move(config)), deadline_(deadline) {}

  WireguardResult<std::monostate> add_peer(const PeerConfig& peer) override {
    const IoDeadline deadline(deadline_);
    auto result = make_ready(deadline);
    if (result) result = device_->set_peer(peer, deadline);
    return report(std::move(result));
  }

  WireguardResult<std::monostate> remove_peer(const crypto::X25519Public& key) override {
    const IoDeadline deadline(deadline_);
    auto result = make_ready(deadline);
    if (result) result = device_->remove_peer(key, deadline);
    return report(std::move(result));
  }

  WireguardResult<std::vector<PeerState>> list_peers() override {
    return report(list(IoDeadline(deadline_)));
  }

  bool is_as_left() override { return !ready_life_ || device_->life() == ready_life_; }

 private:
  WireguardResult<std::monostate> make_ready(IoDeadline deadline) {
    if (ready_life_ && device_->life() == ready_life_) return std::monostate{};
    auto peers = list(deadline);
    if (!peers) return std::unexpected(std::move(peers.error()));
    return std::monostate{};
  }

  WireguardResult<std::vector<PeerState>> list(IoDeadline deadline) {
    // Asked first: of a device that is restarted meanwhile nothing is taken for known.
    const auto life = device_->life();
    ready_life_.reset();
    auto listing = device_->read(deadline);
    if (!listing) return std::unexpected(std::move(listing.error()));
    const bool has_key =
        equal_constant_time(listing->private_key.bytes(), config_->private_key.bytes());
    if (!has_key || listing->listen_port != config_->listen_port) {
      if (auto configured = device_->configure(deadline); !configured) {
        return std::unexpected(std::move(configured.error()));
      }
      log::info("WireGuard: private key and listen port are set",
                {{"interface", config_->interface}, {"port", config_->listen_port}});
    }
    ready_life_ = life;
    return std::move(listing->peers);
  }

  template <typename T>
  WireguardResult<T> report(WireguardResult<T> result) {
    if (result) {
      if (!std::exchange(reported_, {}).empty()) {
        log::warning("WireGuard works again", {{"interface", config_->interface}});
      }
    } else if (result.error().kind == WireguardError::Kind::refused) {
      log::write_limited(log::Level::warning, "wireguard refused", "WireGuard refused a change",
                         {{"interface", config_->interface}, {"error", result.error().detail}});
    } else if (reported_ != result.error().detail) {
      // It is asked every two seconds; once is enough.
      reported_ = result.error().detail;
      log::error("WireGuard does not work",
                 {{"interface", config_->interface}, {"error", reported_}});
    }
    return result;
  }

  const std::unique_ptr<Device> device_;
  const SharedConfig config_;
  const std::chrono::milliseconds deadline_;
  std::optional<DeviceLife> ready_life_;  // of the device that has key and port
  std::string reported_;                  // the failure that the log has; empty while it works
};

}  // namespace

bool is_about_peer(int error) {
  return error == EINVAL || error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

SharedConfig share(DeviceConfig config) {
  const auto key = config.private_key.mutable_bytes();
  key.front() &= 0xf8;
  key.back() = static_cast<std::uint8_t>((key.back() & 0x7f) | 0x40);
  return std::make_shared<const DeviceConfig>(std::move(config));
}

std::unique_ptr<Backend> make_device_backend(std::unique_ptr<Device> device, SharedConfig config,
                                             std::chrono::milliseconds deadline) {
  return std::make_unique<DeviceBackend>(std::move(device), std::move(config), deadline);
}

}  // namespace lp::gateway::wireguard
