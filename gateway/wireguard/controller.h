// The WireGuard controller behind one interface (docs/gateway.md, "WireGuard"): AddPeer,
// RemovePeer, ListPeers, fed through a channel, each with a deadline of two seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "gateway/storage/storage.h"
#include "lib/crypto/keys.h"

namespace lp::gateway::wireguard {

inline constexpr std::chrono::milliseconds operation_deadline{2'000};
inline constexpr std::chrono::seconds persistent_keepalive{25};

/// A peer as it goes into WireGuard: allowed-ips are its /32 and /128, no endpoint.
struct PeerConfig {
  crypto::X25519Public public_key;
  storage::AddressPair addresses;
};

struct WireguardError {
  enum class Kind : std::uint8_t { unavailable, timeout, refused };
  Kind kind = Kind::unavailable;
  std::string detail;
};
template <typename T>
using WireguardResult = std::expected<T, WireguardError>;
template <typename T>
using Done = std::move_only_function<void(WireguardResult<T>)>;

/// One WireGuard device. Called from the controller's thread alone; may block up to the deadline.
class Backend {
 public:
  virtual ~Backend() = default;
  /// Adds the peer or replaces its allowed-ips. Adding one that is there is no error.
  [[nodiscard]] virtual WireguardResult<std::monostate> add_peer(const PeerConfig& peer) = 0;
  /// Removing one that is not there is no error.
  [[nodiscard]] virtual WireguardResult<std::monostate> remove_peer(
      const crypto::X25519Public& key) = 0;
  [[nodiscard]] virtual WireguardResult<std::vector<PeerConfig>> list_peers() = 0;
};

/// Nothing real: a map. For local tests and the demo.
[[nodiscard]] std::unique_ptr<Backend> make_memory_backend();

/// The channel to the backend's thread. Functions may be called from any thread; completions run
/// on the controller's threads and must not block.
class Controller {
 public:
  virtual ~Controller() = default;
  /// Refused at once while the backend is known to be down (kind unavailable).
  virtual void add_peer(PeerConfig peer, Done<std::monostate> done) = 0;
  virtual void remove_peer(const crypto::X25519Public& key, Done<std::monostate> done) = 0;
  virtual void list_peers(Done<std::vector<PeerConfig>> done) = 0;
  [[nodiscard]] virtual bool healthy() const = 0;
  /// Peers in WireGuard as of the last operation.
  [[nodiscard]] virtual std::size_t peer_count() const = 0;
  virtual void shut_down() = 0;
};

/// A controller with one thread on `backend`. An operation that outlives the deadline is answered
/// `timeout`; its late effect is undone by the next comparison with the database.
[[nodiscard]] std::unique_ptr<Controller> make_controller(std::unique_ptr<Backend> backend);

}  // namespace lp::gateway::wireguard
