// The WireGuard controller behind one interface (docs/gateway.md, "WireGuard"): AddPeer,
// RemovePeer, ListPeers, fed through a channel, each with a deadline of two seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "gateway/storage/storage.h"
#include "lib/base/clock.h"
#include "lib/crypto/keys.h"

namespace lp::gateway::wireguard {

inline constexpr std::chrono::milliseconds operation_deadline{2'000};
inline constexpr std::chrono::seconds persistent_keepalive{25};

/// A peer as it goes into WireGuard: allowed-ips are its /32 and /128, no endpoint.
struct PeerConfig {
  crypto::X25519Public public_key;
  storage::AddressPair addresses;
  storage::ClientRowId client_id = 0;  ///< whose it is; backends have no use for it
};

/// A peer as the device has it.
struct PeerState {
  crypto::X25519Public public_key;
  /// Nothing where the allowed-ips are anything but one /32 and one /128.
  std::optional<storage::AddressPair> addresses{};
  /// The preshared key, and what else add_peer sets besides the addresses, is as add_peer sets it.
  bool settings_match = true;
  std::uint64_t rx_bytes = 0;      ///< from the client, since the device has the peer
  std::uint64_t tx_bytes = 0;      ///< to the client
  UnixSeconds last_handshake = 0;  ///< 0: none since the device has the peer
  /// For whom the controller has added it; 0 where that was before the gateway's start, and from
  /// backends.
  storage::ClientRowId client_id = 0;
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

/// One WireGuard device. A backend of a real one gives it its private key and listen port before
/// anything else, and again where it finds a device without them (restarted empty). Called from the
/// controller's thread alone; may block up to the deadline.
class Backend {
 public:
  virtual ~Backend() = default;
  /// Adds the peer or replaces its allowed-ips and settings; its counters and session stay. Adding
  /// one that is there is no error.
  [[nodiscard]] virtual WireguardResult<std::monostate> add_peer(const PeerConfig& peer) = 0;
  /// Removing one that is not there is no error.
  [[nodiscard]] virtual WireguardResult<std::monostate> remove_peer(
      const crypto::X25519Public& key) = 0;
  [[nodiscard]] virtual WireguardResult<std::vector<PeerState>> list_peers() = 0;
  /// False where the device is gone, or is another one than that which was given key and port: a
  /// device made anew has no peers. Does not wait for the device, and may be asked often.
  [[nodiscard]] virtual bool is_as_left() { return true; }
};

/// Nothing real: a map. For local tests and the demo.
[[nodiscard]] std::unique_ptr<Backend> make_memory_backend();

enum class Operation : std::uint8_t { add, remove, list };
/// Success, or the kind of the error.
enum class OperationResult : std::uint8_t { success, unavailable, timeout, refused };

/// The channel to the backend's thread. Functions may be called from any thread; completions run
/// on the controller's threads, or before returning where an operation is refused at once, and must
/// not block.
class Controller {
 public:
  virtual ~Controller() = default;
  /// Refused at once (kind unavailable) while the backend is known to be down.
  virtual void add_peer(PeerConfig peer, Done<std::monostate> done) = 0;
  /// For a client that is new: a peer with this key that the device still has is a former client's,
  /// whose counters and session must not be this one's. It goes before.
  virtual void add_new_peer(PeerConfig peer, Done<std::monostate> done) = 0;
  virtual void remove_peer(const crypto::X25519Public& key, Done<std::monostate> done) = 0;
  virtual void list_peers(Done<std::vector<PeerState>> done) = 0;
  [[nodiscard]] virtual bool healthy() const = 0;
  /// Peers on a shared interface that are not this gateway's, all there are: to add or remove one
  /// of them is refused from now on, so that nobody who registers with such a key changes it.
  virtual void set_foreign_peers(std::set<crypto::X25519Public> keys) = 0;
  /// Peers in WireGuard as of the last operation.
  [[nodiscard]] virtual std::size_t peer_count() const = 0;
  /// Called on the controller's thread when a backend that was down answers again, and when its
  /// device was restarted.
  virtual void on_recovery(std::function<void()> callback) = 0;
  /// Answers what waits with `unavailable` and ends the threads.
  virtual void shut_down() = 0;
};

struct ControllerOptions {
  std::chrono::milliseconds deadline = operation_deadline;  ///< from submission to answer
  std::chrono::milliseconds probe_interval{2'000};          ///< of a backend that is down
  /// Told of every operation when it is answered, on the thread that answers it.
  std::function<void(Operation, OperationResult)> observe = {};
};

/// A controller with one thread on `backend` and one that watches deadlines, so that a backend that
/// hangs never stalls a caller. An operation that outlives the deadline before it was begun is
/// never carried out; one that outlives it inside the backend is answered `timeout`, and what it
/// does later is set right by the caller's noted removal or the next comparison with the database.
///
/// A breaker: after `unavailable` or `timeout` operations are refused at once, and the backend is
/// asked for its peers every `probe_interval` until it answers.
///
/// A backend that finds its device restarted counts as one that answers again: every
/// `probe_interval` it is asked, too, whether the device is as it was left.
[[nodiscard]] std::unique_ptr<Controller> make_controller(std::unique_ptr<Backend> backend,
                                                          ControllerOptions options = {});

}  // namespace lp::gateway::wireguard
