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

/// Another program's connection to the database.
class Rows {
 public:
  explicit Rows(const std::filesystem::path& path);
  ~Rows();
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  void execute(const std::string& sql);
  [[nodiscard]] std::int64_t integer(const std::string& sql);
  [[nodiscard]] std::string text(const std::string& sql);
  [[nodiscard]] std::int64_t count(const std::string& table);
  [[nodiscard]] sqlite3* handle() const { return database_; }

 private:
  sqlite3* database_ = nullptr;
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

/// A storage on a new database, checked against the invariants at the end of the test.
class StorageTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Closes the storage if it is open, and opens it (again).
  void open();
  void open(SqliteOptions options);
  void close() { storage_.reset(); }
  [[nodiscard]] SqliteOptions options() const;
  [[nodiscard]] Storage& storage() { return *storage_; }
  [[nodiscard]] std::filesystem::path path() const { return directory_.path() / "test.sqlite"; }
  [[nodiscard]] Rows rows() const { return Rows(path()); }

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<Storage> storage_;
};

/// Asserts the invariants of the database at `path`.
void expect_invariants(const std::filesystem::path& path);

}  // namespace lp::gateway::storage::test
