// What the storage tests share: a database in a directory of its own, calls that wait for their
// answer, and a second connection that looks at the rows.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "gateway/storage/sqlite_storage.h"
#include "gateway/storage/storage.h"

struct sqlite3;
namespace lp::postgres {
class Connection;
}

namespace lp::gateway::storage::test {

inline constexpr UnixSeconds now = 1'760'000'000;
inline constexpr UnixSeconds expiry = now + 86'400;
inline constexpr std::int64_t ticket_amount = 500'000'000;

/// A directory that goes with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Another program's connection to the database: an SQLite file, or a PostgreSQL URL.
class Rows {
 public:
  explicit Rows(const std::filesystem::path& database);
  ~Rows();
  Rows(Rows&&) noexcept;
  Rows& operator=(Rows&&) = delete;

  void execute(const std::string& sql);
  /// The SQL of the database's kind.
  void execute(const std::string& sqlite, const std::string& postgres);
  [[nodiscard]] std::int64_t integer(const std::string& sql);
  [[nodiscard]] std::string text(const std::string& sql);
  [[nodiscard]] std::int64_t count(const std::string& table);
  [[nodiscard]] bool is_postgres() const noexcept { return postgres_ != nullptr; }
  /// Of SQLite.
  [[nodiscard]] sqlite3* handle() const { return sqlite_; }
  [[nodiscard]] postgres::Connection& postgres() const { return *postgres_; }

  /// Nobody else writes until `release`.
  void hold();
  void release() { execute("COMMIT"); }
  /// Deletes every client, and by the schema what belongs to it.
  void delete_clients();
  /// Every INSERT or UPDATE of such rows (NEW is the row) fails, until `mend`.
  void sabotage(const std::string& event, const std::string& table,
                const std::string& condition = "1 = 1");
  void mend(const std::string& table);

 private:
  sqlite3* sqlite_ = nullptr;
  std::unique_ptr<postgres::Connection> postgres_;
};

[[nodiscard]] ByteArray<32> bytes32(std::uint64_t seed);
[[nodiscard]] Owner wireguard_owner(std::uint64_t seed);
[[nodiscard]] Owner mixnet_owner(std::uint64_t seed);
/// A ticket of `ticket_amount` with the nullifier of this seed.
[[nodiscard]] Acceptance ticket(const Owner& owner, std::uint64_t nullifier_seed);

/// Calls and waits for the answer.
template <typename T, typename Call>
[[nodiscard]] StorageResult<T> wait_for(Call&& call) {
  std::promise<StorageResult<T>> promise;
  auto answer = promise.get_future();
  call(Done<T>([&promise](StorageResult<T> result) { promise.set_value(std::move(result)); }));
  return answer.get();
}

[[nodiscard]] StorageResult<AcceptanceResult> accept(Storage& storage,
                                                     const Acceptance& acceptance);
[[nodiscard]] StorageResult<Storage::Compensated> compensate(Storage& storage,
                                                             const Acceptance& acceptance);
[[nodiscard]] StorageResult<std::optional<SpentTicket>> find_spent(
    Storage& storage, const messages::Nullifier& nullifier);
[[nodiscard]] std::vector<Peer> all_peers(Storage& storage);
/// Those that belong into WireGuard.
[[nodiscard]] std::vector<Peer> active_peers(Storage& storage);
UsageOutcome record_usage(Storage& storage, const std::vector<PeerUsage>& usage);
RemovedPeer remove_peer(Storage& storage, const Owner& owner);
void confirm_removals(Storage& storage, const std::vector<crypto::X25519Public>& keys);
[[nodiscard]] std::vector<crypto::X25519Public> removals(Storage& storage);
[[nodiscard]] std::string address(const AddressPair& addresses);  ///< "10.1.0.2 fd00::2"

/// Asserts the invariants of the database: a file or a URL.
void expect_invariants(const std::filesystem::path& database);

}  // namespace lp::gateway::storage::test
