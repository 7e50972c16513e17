// Opening: what is created, what is refused and how it is said, what a reopened database still has.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <barrier>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "gateway/storage/schema.h"
#include "gateway/storage/sqlite_storage.h"
#include "tests/gateway/storage/fixture.h"

namespace lp::gateway::storage::test {
namespace {

using Kind = StorageError::Kind;

class OpenTest : public ::testing::Test {
 protected:
  std::filesystem::path path() const { return directory_.path() / "test.sqlite"; }
  SqliteOptions options() const {
    return {.path = path(), .ipv4_pool = "10.1.0.0/16", .ipv6_pool = "fd00::/112"};
  }
  std::unique_ptr<Storage> open() {
    auto storage = open_sqlite(options());
    EXPECT_TRUE(storage) << storage.error().detail;
    return storage ? std::move(*storage) : nullptr;
  }
  /// Opening must fail, with this kind, a detail that begins with the path and contains `words`.
  void expect_refused(Kind kind, const std::string& words, SqliteOptions with) {
    const auto storage = open_sqlite(with);
    ASSERT_FALSE(storage);
    EXPECT_EQ(storage.error().kind, kind) << storage.error().detail;
    EXPECT_TRUE(storage.error().detail.starts_with(with.path.string())) << storage.error().detail;
    EXPECT_NE(storage.error().detail.find(words), std::string::npos) << storage.error().detail;
  }
  void expect_refused(Kind kind, const std::string& words) {
    expect_refused(kind, words, options());
  }
  void write_file(const std::string& content) {
    std::ofstream(path(), std::ios::binary) << content;
  }
  /// Overwrites `size` bytes at `offset` with 0xa5.
  void damage(std::streamoff offset, std::size_t size) {
    std::fstream file(path(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(offset);
    file << std::string(size, '\xa5');
  }
  mode_t mode_of(const std::string& suffix) const {
    struct stat status{};
    EXPECT_EQ(stat((path().string() + suffix).c_str(), &status), 0) << suffix;
    return status.st_mode & 07777;
  }
  /// Runs `body` in a child that is not root, for whom permissions count. True where it said so.
  bool as_ordinary_user(const std::function<bool()>& body) {
    std::filesystem::permissions(directory_.path(), std::filesystem::perms::all);
    const pid_t child = fork();
    if (child == 0) {
      const bool dropped = getuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0);
      _exit(dropped && body() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

  TemporaryDirectory directory_;
};

TEST_F(OpenTest, FilesAreForTheirOwnerAlone) {
  const mode_t umask_before = umask(0);
  {
    const auto storage = open();
    ASSERT_TRUE(accept(*storage, ticket(wireguard_owner(1), 1)));
    EXPECT_EQ(mode_of(""), 0600U);
    EXPECT_EQ(mode_of("-wal"), 0600U);
    EXPECT_EQ(mode_of("-shm"), 0600U);
  }
  umask(umask_before);
}

TEST_F(OpenTest, FileThatOthersCanReadIsTakenFromThem) {
  open();
  chmod(path().c_str(), 0664);
  const auto storage = open();
  EXPECT_EQ(mode_of(""), 0600U);
}

TEST_F(OpenTest, JournalIsAWriteAheadLog) {
  const auto storage = open();
  EXPECT_EQ(Rows(path()).text("PRAGMA journal_mode"), "wal");
}

TEST_F(OpenTest, ReopeningKeepsEverything) {
  AddressPair addresses;
  {
    const auto storage = open();
    const auto first = accept(*storage, ticket(wireguard_owner(1), 1));
    ASSERT_TRUE(first && first->addresses);
    addresses = *first->addresses;
    ASSERT_TRUE(accept(*storage, ticket(mixnet_owner(2), 2)));
    ASSERT_TRUE(accept(*storage, ticket(wireguard_owner(3), 3)));
    ASSERT_TRUE(compensate(*storage, ticket(wireguard_owner(3), 3)));
  }
  EXPECT_FALSE(std::filesystem::exists(path().string() + "-wal"));  // closed with a checkpoint
  const auto storage = open();
  const auto again = accept(*storage, ticket(wireguard_owner(1), 1));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->outcome, AcceptanceOutcome::replayed);
  EXPECT_EQ(again->addresses, addresses);
  EXPECT_EQ(accept(*storage, ticket(mixnet_owner(2), 2))->outcome, AcceptanceOutcome::replayed);
  EXPECT_EQ(active_peers(*storage).size(), 1U);
  EXPECT_EQ(removals(*storage).size(), 1U);
}

TEST_F(OpenTest, AnotherPoolKeepsThePeersThatAreThere) {
  AddressPair old_addresses;
  {
    const auto storage = open();
    old_addresses = *accept(*storage, ticket(wireguard_owner(1), 1))->addresses;
  }
  auto other = options();
  other.ipv4_pool = "10.0.0.0/14";  // holds the old pool
  other.ipv6_pool = "fd99::/64";
  {
    auto storage = open_sqlite(other);
    ASSERT_TRUE(storage) << storage.error().detail;
    EXPECT_EQ(accept(**storage, ticket(wireguard_owner(1), 2))->addresses, old_addresses);
    EXPECT_EQ(address(*accept(**storage, ticket(wireguard_owner(2), 3))->addresses),
              "10.0.0.2 fd99::2");
    // An address of the old pool goes back to it and not into the new one.
    ASSERT_TRUE(compensate(**storage, ticket(wireguard_owner(1), 1)));
    ASSERT_TRUE(compensate(**storage, ticket(wireguard_owner(1), 2)));
  }
  const auto storage = open();
  EXPECT_EQ(address(*accept(*storage, ticket(wireguard_owner(4), 4))->addresses),
            "10.1.0.3 fd00::3");
  expect_invariants(path());
}

TEST_F(OpenTest, NewerSchemaIsRefusedUntouched) {
  open();
  Rows(path()).execute("PRAGMA user_version = 99");
  expect_refused(Kind::newer_schema, "schema version 99");
  EXPECT_EQ(Rows(path()).integer("PRAGMA user_version"), 99);
}

TEST_F(OpenTest, DatabaseOfAnotherProgramIsRefusedUntouched) {
  write_file("");
  Rows(path()).execute("CREATE TABLE wallets (id INTEGER)");
  expect_refused(Kind::unavailable, "another program");
  EXPECT_EQ(Rows(path()).text("SELECT group_concat(name) FROM sqlite_schema"), "wallets");
  EXPECT_EQ(Rows(path()).text("PRAGMA journal_mode"), "delete");
}

TEST_F(OpenTest, EmptyFileBecomesADatabase) {
  write_file("");
  EXPECT_TRUE(accept(*open(), ticket(wireguard_owner(1), 1)));
}

TEST_F(OpenTest, FileThatIsNoDatabaseIsCorrupt) {
  write_file(std::string(8192, 'x'));
  expect_refused(Kind::corrupt, "not a database");
}

TEST_F(OpenTest, DamagedHeaderIsCorrupt) {
  open();
  damage(0, 16);
  expect_refused(Kind::corrupt, "not a database");
}

TEST_F(OpenTest, DamagedPageIsCorrupt) {
  {
    const auto storage = open();
    for (std::uint64_t i = 0; i < 200; ++i) {
      ASSERT_TRUE(accept(*storage, ticket(mixnet_owner(i), i)));
    }
  }
  const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path()));
  damage(size - 4096, 4096);
  expect_refused(Kind::corrupt, "");
}

TEST_F(OpenTest, TruncatedFileIsCorrupt) {
  open();
  std::filesystem::resize_file(path(), 5000);
  expect_refused(Kind::corrupt, "");
}

TEST_F(OpenTest, DirectoryIsRefused) {
  auto wrong = options();
  wrong.path = directory_.path();
  expect_refused(Kind::unavailable, "is a directory", wrong);
}

TEST_F(OpenTest, DeviceIsRefused) {
  auto wrong = options();
  wrong.path = "/dev/null";
  expect_refused(Kind::unavailable, "no regular file", wrong);
}

TEST_F(OpenTest, MissingDirectoryIsRefused) {
  auto wrong = options();
  wrong.path = directory_.path() / "nowhere" / "test.sqlite";
  expect_refused(Kind::unavailable, "No such file or directory", wrong);
}

TEST_F(OpenTest, NamesThatSqliteTakesForMemoryAreRefusedOrFiles) {
  auto empty = options();
  empty.path = "";
  const auto refused = open_sqlite(empty);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Kind::unavailable);
  auto memory = options();
  memory.path = directory_.path() / ":memory:";
  const auto storage = open_sqlite(memory);
  ASSERT_TRUE(storage) << storage.error().detail;
  EXPECT_TRUE(std::filesystem::is_regular_file(memory.path));
}

TEST_F(OpenTest, FileThatCannotBeWrittenIsRefused) {
  open();
  chmod(path().c_str(), 0400);
  ASSERT_EQ(chown(path().c_str(), getuid() == 0 ? 65534 : getuid(), static_cast<gid_t>(-1)), 0);
  EXPECT_TRUE(as_ordinary_user([&] {
    const auto storage = open_sqlite(options());
    return !storage && storage.error().kind == Kind::unavailable &&
           storage.error().detail.find("cannot be written") != std::string::npos;
  }));
}

TEST_F(OpenTest, FileThatCannotBeReadIsRefused) {
  open();
  chmod(path().c_str(), 0200);
  ASSERT_EQ(chown(path().c_str(), getuid() == 0 ? 65534 : getuid(), static_cast<gid_t>(-1)), 0);
  EXPECT_TRUE(as_ordinary_user([&] {
    const auto storage = open_sqlite(options());
    return !storage && storage.error().kind == Kind::unavailable &&
           storage.error().detail.find("cannot be read") != std::string::npos;
  }));
}

TEST_F(OpenTest, BadPoolsAreRefusedByTheirSetting) {
  auto wrong = options();
  wrong.ipv4_pool = "10.1.0.0";
  auto refused = open_sqlite(wrong);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Kind::invalid);
  EXPECT_EQ(refused.error().detail, "ipv4_pool '10.1.0.0' is no IPv4 prefix such as 10.1.0.0/16");
  wrong = options();
  wrong.ipv6_pool = "10.1.0.0/16";
  refused = open_sqlite(wrong);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Kind::invalid);
  EXPECT_TRUE(refused.error().detail.starts_with("ipv6_pool '10.1.0.0/16' is no IPv6 prefix"));
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(OpenTest, StoragesThatCreateTheDatabaseTogetherAgree) {
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (std::uint64_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const auto storage = open_sqlite(options());
      if (!storage) {
        ADD_FAILURE() << storage.error().detail;
        return;
      }
      for (std::uint64_t n = 0; n < 25; ++n) {
        const auto seed = 100 * i + n;
        const auto result = accept(**storage, ticket(wireguard_owner(seed), seed));
        EXPECT_TRUE(result) << result.error().detail;
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(Rows(path()).count("wireguard_peers"), 100);
  expect_invariants(path());
}

// They meet in the moment in which the new file becomes a WAL database, once in some tens of
// rounds.
TEST_F(OpenTest, StoragesThatOpenANewDatabaseAtOnceAreRefusedAsLocked) {
  for (int round = 0; round < 30; ++round) {
    auto shared = options();
    shared.path += std::to_string(round);
    std::barrier together(4);
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        together.arrive_and_wait();
        const auto storage = open_sqlite(shared);
        EXPECT_TRUE(storage) << storage.error().detail;
      });
    }
  }
}

}  // namespace
}  // namespace lp::gateway::storage::test
