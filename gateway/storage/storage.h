// The gateway's database, behind one interface (docs/storage.md). SQLite serves one instance,
// PostgreSQL several.
//
// Calls return at once; the work happens on the storage's own threads, and `Done` is called there,
// exactly once for each call, also at shutdown. Only what is not taken on (busy, invalid,
// shutting_down) is answered by the call itself, on the caller's thread. A completion must not
// block and must not throw: it hands the result to its own executor. All functions may be called
// from any thread, also from a completion; shut_down and the destructor not from a completion.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/crypto/keys.h"
#include "lib/messages/registration.h"
#include "lib/sqlite/error.h"

namespace lp::gateway::storage {

using ClientRowId = std::int64_t;

/// Why a call failed. The kinds are those of any database.
using StorageError = sqlite::Error;
template <typename T>
using StorageResult = std::expected<T, StorageError>;
template <typename T>
using Done = std::move_only_function<void(StorageResult<T>)>;

/// Who a ticket belongs to: a WireGuard key or a mixnet client id, each in its own key space.
enum class ClientKind : std::uint8_t { wireguard, mixnet };
struct Owner {
  ClientKind kind = ClientKind::wireguard;
  ByteArray<32> key{};
  friend bool operator==(const Owner&, const Owner&) = default;
};

/// An address pair of the pool.
struct AddressPair {
  messages::IpV4 ipv4;
  messages::IpV6 ipv6;
  friend bool operator==(const AddressPair&, const AddressPair&) = default;
};

/// An instance of this gateway that serves clients: several may share one database.
struct ServingInstance {
  std::string name{};
  crypto::X25519Public wireguard_public_key{};
  std::string announced_host{};  ///< an address; IPv6 without brackets
  std::uint16_t announced_port = 0;
  friend bool operator==(const ServingInstance&, const ServingInstance&) = default;
};

/// One verified ticket to be taken for its owner.
struct Acceptance {
  Owner owner;
  messages::TicketType ticket_type = messages::TicketType::v1_wireguard_entry;
  messages::Nullifier nullifier{};
  UnixSeconds expiry = 0;
  std::int64_t amount = 0;  ///< bytes to credit
  UnixSeconds now = 0;
};

enum class AcceptanceOutcome : std::uint8_t {
  accepted,        ///< nullifier marked and amount credited, durably
  replayed,        ///< this owner spent this nullifier before: same answer, no second credit
  spent_by_other,  ///< another owner spent it
  pool_exhausted,  ///< no address is left; nothing was written
};

struct AcceptanceResult {
  AcceptanceOutcome outcome = AcceptanceOutcome::accepted;
  ClientRowId client_id = 0;  ///< 0 where the client of a replayed ticket has been removed since
  /// dVPN, where accepted, or replayed and the peer still exists.
  std::optional<AddressPair> addresses{};
  std::int64_t amount = 0;      ///< credited then or now
  bool client_existed = false;  ///< before this ticket
  /// Where accepted: false for a peer whose balance this ticket leaves at zero or below. Such a
  /// peer stays out of WireGuard.
  bool has_bandwidth = true;
  /// dVPN: the *other* instance that has this client's peer, where another one has. The ticket
  /// counts there; the peer is not to be added to this instance's WireGuard, and the client gets
  /// that instance's key and endpoint.
  std::optional<ServingInstance> served_by{};
};

/// What a nullifier was spent for.
struct SpentTicket {
  Owner owner;
  ClientRowId client_id = 0;  ///< 0 where the client has been removed since
  std::int64_t amount = 0;
  std::optional<AddressPair> addresses{};
  std::optional<ServingInstance> served_by{};  ///< as in AcceptanceResult
};

/// What has gone through a peer's tunnel, in bytes, as the WireGuard device counts it: from the
/// client and to it, since the device has the peer.
struct TransferCounters {
  std::int64_t rx = 0;
  std::int64_t tx = 0;
  friend bool operator==(const TransferCounters&, const TransferCounters&) = default;
};

/// A row of wireguard_peers with its bandwidth.
struct Peer {
  ClientRowId client_id = 0;
  crypto::X25519Public public_key;
  AddressPair addresses;
  messages::TicketType ticket_type = messages::TicketType::v1_wireguard_entry;
  std::int64_t available = 0;
  std::int64_t used = 0;
  std::int64_t credited = 0;
  UnixSeconds created_at = 0;
  std::optional<UnixSeconds> last_seen{};  ///< the latest WireGuard handshake that was seen
  TransferCounters counters{};             ///< up to here usage has been debited
  bool removal_noted = false;

  [[nodiscard]] bool belongs_into_wireguard() const noexcept {
    return available > 0 && !removal_noted;
  }
};

/// Which peers to list: those with a higher client id than `after`, in the order of their ids, at
/// most `limit`.
struct PeerPage {
  ClientRowId after = 0;
  std::int64_t limit = -1;  ///< negative: all
};

/// What a reading of the device's counters costs one peer.
struct PeerUsage {
  ClientRowId client_id = 0;
  TransferCounters before{};  ///< as the row had them when the reading was taken
  TransferCounters after{};
  std::int64_t bytes = 0;  ///< to be debited
  std::optional<UnixSeconds> last_seen{};
};
struct UsageOutcome {
  std::int64_t bytes = 0;   ///< debited
  std::size_t peers = 0;    ///< that were debited or brought up to date
  std::size_t skipped = 0;  ///< gone, or with other counters than `before`: to be read anew
  std::size_t spent = 0;    ///< that were noted for removal
};

/// What became of a client that was to be removed.
struct RemovedPeer {
  bool existed = false;
  bool removal_noted = false;  ///< now or before, and not confirmed yet
};

/// One registration attempt for lp_sessions (only with record_sessions).
struct SessionRecord {
  std::uint32_t session_id = 0;
  std::uint32_t lp_id = 0;
  std::string client_ip;  ///< the socket's peer address
  UnixSeconds started_at = 0;
  std::optional<UnixSeconds> completed_at{};
  std::string status;  ///< "in_progress", "success", "handshake_failed", "credential_rejected", …
  std::optional<ClientRowId> client_id{};
};

struct StorageStats {
  std::uint64_t transactions = 0;  ///< committed
  std::uint64_t failed_transactions = 0;
  std::uint64_t statements = 0;               ///< besides BEGIN and COMMIT
  std::uint64_t registrations = 0;            ///< acceptances that were carried out
  std::uint64_t registration_statements = 0;  ///< statements these took
  std::uint64_t queue_length = 0;
  bool healthy = false;
  std::string unhealthy_reason{};
};

class Storage {
 public:
  virtual ~Storage() = default;

  /// Step 2 of a registration, one transaction: client row with its addresses where new, bandwidth,
  /// nullifier, credit. The INSERT of the nullifier is the double-spend check. 3 to 5 statements.
  /// Calls that wait at the same moment share one durable commit; an idle storage commits at once.
  /// A noted removal of the owner's key is cancelled: the key belongs into WireGuard again.
  virtual void accept_ticket(Acceptance acceptance, Done<AcceptanceResult> done) = 0;

  /// The ticket with this nullifier, if it was spent.
  virtual void find_spent(const messages::Nullifier& nullifier,
                          Done<std::optional<SpentTicket>> done) = 0;

  /// Undoes accept_ticket after WireGuard refused the peer, in one transaction: this nullifier and
  /// its credit go; the client, its addresses and its bandwidth row go only if no other accepted
  /// ticket belongs to it. Where the client goes, or stays without bandwidth, a removal is noted in
  /// wireguard_removals; `removal_noted` tells whether it was. Undoing what is not there changes
  /// nothing.
  struct Compensated {
    bool removal_noted = false;
  };
  virtual void compensate(const Owner& owner, const messages::Nullifier& nullifier, UnixSeconds now,
                          Done<Compensated> done) = 0;

  /// Peers, those that belong into WireGuard and those that do not. These and all that follows
  /// concern this instance's peers alone.
  virtual void list_peers(PeerPage page, Done<std::vector<Peer>> done) = 0;
  virtual void find_peer(const crypto::X25519Public& key, Done<std::optional<Peer>> done) = 0;
  /// Metering, one transaction for all of `usage`, which should be some hundreds: `bytes` move from
  /// available to used, and the row's counters become `after`, both or neither. An entry whose row
  /// has other counters than `before` is left out: it was read from a device that has been changed
  /// since, or has been debited already. A peer without bandwidth left, now or before, is noted for
  /// removal in the same transaction. `used` stops at 2^63 - 1.
  virtual void record_usage(std::vector<PeerUsage> usage, UnixSeconds now,
                            Done<UsageOutcome> done) = 0;
  /// One transaction: the client of this WireGuard key goes, with its addresses and its bandwidth;
  /// its tickets stay spent, by this key. The removal from WireGuard is noted.
  virtual void remove_peer(const crypto::X25519Public& key, Done<RemovedPeer> done) = 0;
  /// Keys noted for removal from WireGuard.
  virtual void list_removals(Done<std::vector<crypto::X25519Public>> done) = 0;
  /// WireGuard has confirmed that these peers are gone. Should one come back, the device counts it
  /// from zero: its row's counters become 0.
  virtual void confirm_removals(std::vector<crypto::X25519Public> keys,
                                Done<std::monostate> done) = 0;

  /// Inserts a session record, or completes the open one with the same lp_id, client_ip and
  /// started_at. Dropped when much waits. Failing never concerns a registration.
  virtual void record_session(SessionRecord record) = 0;

  [[nodiscard]] virtual StorageStats stats() const = 0;

  /// Finishes what waits, then closes. Later calls are answered with shutting_down.
  virtual void shut_down() = 0;
};

}  // namespace lp::gateway::storage
