// The gateway's database, behind one interface (docs/storage.md). SQLite serves one instance,
// PostgreSQL will serve several.
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
};

/// What a nullifier was spent for.
struct SpentTicket {
  Owner owner;
  ClientRowId client_id = 0;  ///< 0 where the client has been removed since
  std::int64_t amount = 0;
  std::optional<AddressPair> addresses{};
};

/// A peer that belongs into WireGuard.
struct Peer {
  ClientRowId client_id = 0;
  crypto::X25519Public public_key;
  AddressPair addresses;
  messages::TicketType ticket_type = messages::TicketType::v1_wireguard_entry;
  std::int64_t available = 0;
  std::int64_t used = 0;
  std::int64_t credited = 0;
  UnixSeconds created_at = 0;
  std::optional<UnixSeconds> last_seen{};
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

  /// All peers that belong into WireGuard: rows with bandwidth left, less noted removals.
  virtual void list_active_peers(Done<std::vector<Peer>> done) = 0;
  /// Keys noted for removal from WireGuard.
  virtual void list_removals(Done<std::vector<crypto::X25519Public>> done) = 0;
  /// WireGuard has confirmed that these peers are gone.
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
