// The database that is looked after, behind one interface: a gateway's, in SQLite or PostgreSQL, or
// an issuer's. The commands know no SQL.
//
// For one thread. Every function is one transaction or, where it reads, one snapshot; none holds
// locks for longer than its batch takes. A database that others have open stays usable to them all
// the time, but for `vacuum` on SQLite.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/sqlite/error.h"
#include "tools/db-maint/failure.h"
#include "tools/db-maint/table.h"

namespace lp::db_maint {

template <typename T>
using Result = sqlite::Result<T>;
using Status = sqlite::Status;

enum class StoreKind : std::uint8_t { gateway, issuer };
/// "gateway", "issuer"
[[nodiscard]] std::string_view name(StoreKind kind) noexcept;

/// What grows old and is removed by `cleanup`.
enum class Dated : std::uint8_t {
  spent_credentials,  ///< by the ticket's expiry
  lp_sessions,        ///< by their start
  withdrawals,        ///< by the expiry of their epoch
};
/// The table's name.
[[nodiscard]] std::string_view name(Dated dated) noexcept;

/// What one short transaction did.
struct Batch {
  std::int64_t rows = 0;
  std::chrono::nanoseconds locked{};  ///< for how long it held the write lock
  /// For how long it then kept the disk busy with moving the log into the database.
  std::chrono::nanoseconds synced{};
};

/// A WireGuard peer that was last seen, registered or topped up before some time.
struct StalePeer {
  std::int64_t client_id = 0;
  std::string instance;  ///< that serves it; empty where the database has one gateway alone
  ByteArray<32> public_key{};
  std::string private_ipv4;
  std::string private_ipv6;
  std::string ticket_type;
  UnixSeconds created_at = 0;
  std::optional<UnixSeconds> last_seen;
  std::optional<UnixSeconds> last_ticket;
  std::int64_t available = 0;
  std::int64_t used = 0;
};

/// What breaks an invariant, or the file.
struct Finding {
  std::string check;  ///< "integrity", "foreign_keys", or the invariant's name
  std::string detail;
};
struct Checked {
  std::vector<Finding> findings{};
  std::string not_checked{};  ///< what could not be looked at, and why; empty: nothing
};

struct BackupSize {
  std::int64_t bytes = 0;
  std::optional<std::int64_t> pages{};
};

using OnProgress = std::function<void(std::int64_t done, std::int64_t total)>;

class Store {
 public:
  virtual ~Store() = default;

  [[nodiscard]] virtual StoreKind kind() const = 0;
  [[nodiscard]] virtual std::span<const Dated> dated() const = 0;

  /// The latest moment that the database's own rows prove to have been; nothing where they prove
  /// none. A clock far ahead of it is wrong, or nobody has used the database since.
  [[nodiscard]] virtual Result<std::optional<UnixSeconds>> newest_activity() = 0;

  [[nodiscard]] virtual Result<std::int64_t> count_older(Dated dated, UnixSeconds before) = 0;
  /// At most `limit` rows, in one transaction; fewer only where no more are there.
  [[nodiscard]] virtual Result<Batch> remove_older(Dated dated, UnixSeconds before,
                                                   std::int64_t limit) = 0;

  // Peers of a gateway. The two ways to remove one:
  //
  // While the gateway may run: `retire_peers`, which takes what is left of their bandwidth and
  // notes their removal, so that the gateway takes them off WireGuard and does not put them back;
  // then, for those whose removal it has confirmed, `remove_peers`, which alone frees their
  // addresses.
  //
  // While their gateway cannot run (`take_exclusively`), `remove_peers` at once: it notes the
  // removal too, and a gateway carries those out before it serves.

  [[nodiscard]] virtual Result<std::vector<StalePeer>> stale_peers(UnixSeconds before) = 0;
  /// Those of `ids` that are stale still.
  [[nodiscard]] virtual Result<Batch> retire_peers(std::span<const std::int64_t> ids,
                                                   UnixSeconds before, UnixSeconds now) = 0;
  /// Those of `ids` whose removal is noted and not confirmed.
  [[nodiscard]] virtual Result<std::vector<std::int64_t>> unconfirmed_peers(
      std::span<const std::int64_t> ids) = 0;
  enum class Removable : std::uint8_t { confirmed, all };
  /// Those of `ids` that are stale still and, with `confirmed`, were retired and are confirmed. The
  /// others stay: they have come back.
  [[nodiscard]] virtual Result<Batch> remove_peers(std::span<const std::int64_t> ids,
                                                   UnixSeconds before, Removable removable) = 0;

  /// True: the gateway does not run and cannot start until `release`. Where several share the
  /// database: that of this instance or, without one, none of them. False: it runs; on SQLite:
  /// somebody has the file open. A gateway that starts meanwhile waits for some seconds.
  [[nodiscard]] virtual Result<bool> take_exclusively(const std::string& instance) = 0;
  [[nodiscard]] virtual Status release() = 0;

  /// Several gateways may work on the database, and each peer belongs to one of them.
  [[nodiscard]] virtual bool is_shared() const { return false; }
  /// Clients by what they have used.
  [[nodiscard]] virtual Result<Table> report(std::int64_t limit) = 0;
  [[nodiscard]] virtual Result<Facts> stats(UnixSeconds now) = 0;
  /// The first hundred findings of each check. `retention` as cleanup has it: within it no ticket
  /// of a client is gone.
  [[nodiscard]] virtual Result<Checked> check(UnixSeconds now, std::uint64_t retention) = 0;

  /// A snapshot as of now, checked before it is put in place, mode 0600.
  [[nodiscard]] virtual Outcome<BackupSize> backup(const std::filesystem::path& file,
                                                   const OnProgress& on_progress) = 0;
  /// Requires `take_exclusively` where that is said.
  [[nodiscard]] virtual Status vacuum() = 0;
  [[nodiscard]] virtual bool vacuum_is_exclusive() const = 0;
  [[nodiscard]] virtual Result<std::int64_t> schema_version() = 0;
  [[nodiscard]] virtual std::int64_t newest_schema_version() const = 0;
  /// Requires `take_exclusively`.
  [[nodiscard]] virtual Status migrate() = 0;

  /// Whether a file of the database would be gone once this one is written (partial_file.h).
  [[nodiscard]] virtual bool would_lose(const std::filesystem::path& /*file*/) const {
    return false;
  }

  [[nodiscard]] virtual std::int64_t file_bytes() const = 0;
  [[nodiscard]] virtual std::int64_t log_bytes() const = 0;
};

struct StoreOptions {
  std::string storage;  ///< "sqlite:PATH", a path, or "postgresql://…"
  std::chrono::milliseconds lock_timeout{5'000};
  bool writes = false;              ///< a database that cannot be written is refused at once
  bool maintains = false;           ///< does what only the owner of its tables may (PostgreSQL)
  bool any_schema_version = false;  ///< older ones, too
  bool retired = false;  ///< also one that was copied to PostgreSQL (SqliteStore::retire)
};

/// The storage as it may be shown: of a URL without its password.
[[nodiscard]] Outcome<std::string> name_of_storage(const std::string& storage);

/// Opens a database that is there; makes none.
[[nodiscard]] Outcome<std::unique_ptr<Store>> open_store(const StoreOptions& options);

}  // namespace lp::db_maint
