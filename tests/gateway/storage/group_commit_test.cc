// One durable commit for all that wait, one bad call that spoils nobody else's, locks of other
// programs, shutdown.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include "tests/gateway/storage/faulty_vfs.h"
#include "tests/gateway/storage/storage_test.h"

namespace lp::gateway::storage::test {
namespace {

using Answer = StorageResult<AcceptanceResult>;

class GroupCommitTest : public StorageTest {
 protected:
  /// Hands the call over and returns at once.
  std::future<Answer> submit(const Acceptance& acceptance) {
    auto promise = std::make_shared<std::promise<Answer>>();
    auto answer = promise->get_future();
    storage().accept_ticket(acceptance,
                            [promise](Answer result) { promise->set_value(std::move(result)); });
    return answer;
  }
  std::vector<std::future<Answer>> submit_tickets(std::uint64_t count) {
    std::vector<std::future<Answer>> answers;
    answers.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      answers.push_back(submit(ticket(wireguard_owner(i), i)));
    }
    return answers;
  }

  /// How many transactions a batch becomes that gathers while the lock is held: SQLite's writer
  /// waits for the lock and then takes what is there, PostgreSQL's waits with the first of them.
  [[nodiscard]] std::uint64_t most_batches() const { return is_postgres() ? 2 : 1; }
};
INSTANTIATE_TEST_SUITE_P(Databases, GroupCommitTest, both_databases, database_name);

/// With disks that are full or fail, and files that are taken away.
class FileCommitTest : public GroupCommitTest {
 protected:
  void SetUp() override {
    vfs_.emplace();
    GroupCommitTest::SetUp();
  }
  void TearDown() override {
    GroupCommitTest::TearDown();
    vfs_.reset();
  }
  FaultyVfs& vfs() { return *vfs_; }

 private:
  std::optional<FaultyVfs> vfs_;
};
INSTANTIATE_TEST_SUITE_P(Databases, FileCommitTest, ::testing::Values(Database::sqlite),
                         database_name);

TEST_P(GroupCommitTest, WhatWaitsIsOneTransaction) {
  auto holder = rows();
  holder.hold();
  const auto before = storage().stats();
  auto answers = submit_tickets(200);
  holder.release();
  for (auto& answer : answers) {
    const auto result = answer.get();
    ASSERT_TRUE(result) << result.error().detail;
    EXPECT_EQ(result->outcome, AcceptanceOutcome::accepted);
  }
  const auto after = storage().stats();
  EXPECT_LE(after.transactions - before.transactions, most_batches());
  EXPECT_EQ(after.registrations - before.registrations, 200U);
  EXPECT_EQ(after.registration_statements - before.registration_statements,
            is_postgres() ? after.transactions - before.transactions : 1000U);
}

TEST_P(FileCommitTest, WhatWaitsIsOneSync) {
  auto holder = rows();
  holder.hold();
  const int syncs_before = vfs().log_syncs();
  auto answers = submit_tickets(200);
  holder.release();
  for (auto& answer : answers)
    EXPECT_TRUE(answer.get());
  EXPECT_EQ(vfs().log_syncs() - syncs_before, 1);
}

TEST_P(GroupCommitTest, CommitEachMakesATransactionOfEveryCall) {
  Options options;
  options.commit_each = true;
  open(options);
  auto holder = rows();
  holder.hold();
  auto answers = submit_tickets(20);
  holder.release();
  for (auto& answer : answers)
    EXPECT_TRUE(answer.get());
  EXPECT_EQ(storage().stats().transactions, 20U);
}

TEST_P(GroupCommitTest, BadCallsInABatchSpoilNoOther) {
  auto holder = rows();
  holder.sabotage("INSERT", "mixnet_clients");
  holder.hold();
  auto good = submit_tickets(50);
  std::vector<std::future<Answer>> bad;
  bad.push_back(submit(ticket(mixnet_owner(1000), 1000)));
  auto more_good = submit(ticket(wireguard_owner(2000), 2000));
  bad.push_back(submit(ticket(mixnet_owner(3000), 3000)));
  holder.release();
  std::set<std::string> addresses;
  good.push_back(std::move(more_good));
  for (auto& answer : good) {
    const auto result = answer.get();
    ASSERT_TRUE(result) << result.error().detail;
    EXPECT_EQ(result->outcome, AcceptanceOutcome::accepted);
    addresses.insert(address(*result->addresses));
  }
  EXPECT_EQ(addresses.size(), 51U);
  for (auto& answer : bad) {
    const auto result = answer.get();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, StorageError::Kind::invalid);
    EXPECT_NE(result.error().detail.find("bad"), std::string::npos);
  }
  EXPECT_EQ(rows().count("spent_credentials"), 51);
  EXPECT_TRUE(storage().stats().healthy);
  holder.mend("mixnet_clients");
}

TEST_P(GroupCommitTest, CompensationSeesTheTicketItFollowsInTheSameBatch) {
  Options options;
  options.ipv4_pool = "10.9.0.0/30";
  open(options);
  auto holder = rows();
  holder.hold();
  const auto first = ticket(wireguard_owner(1), 1);
  auto accepted = submit(first);
  std::promise<StorageResult<Storage::Compensated>> undone;
  storage().compensate(first.owner, first.nullifier, now,
                       [&](auto result) { undone.set_value(std::move(result)); });
  auto next = submit(ticket(wireguard_owner(2), 2));
  auto exhausted = submit(ticket(wireguard_owner(3), 3));
  holder.release();
  EXPECT_EQ(accepted.get()->outcome, AcceptanceOutcome::accepted);
  EXPECT_TRUE(undone.get_future().get()->removal_noted);
  // The address given back in this very transaction: there is one for one of them.
  const auto outcomes = std::pair{next.get()->outcome, exhausted.get()->outcome};
  const auto refused = AcceptanceOutcome::pool_exhausted;
  EXPECT_TRUE((outcomes == std::pair{AcceptanceOutcome::accepted, refused}) ||
              (outcomes == std::pair{refused, AcceptanceOutcome::accepted}));
  EXPECT_LE(storage().stats().transactions, most_batches());
}

TEST_P(FileCommitTest, FullDiskIsAnErrorForEachAndLosesNothing) {
  ASSERT_TRUE(accept(storage(), ticket(wireguard_owner(500), 500)));
  auto holder = rows();
  holder.hold();
  auto answers = submit_tickets(20);
  vfs().fail_writes(SQLITE_FULL);
  holder.release();
  for (auto& answer : answers) {
    const auto result = answer.get();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, StorageError::Kind::full);
  }
  auto stats = storage().stats();
  EXPECT_FALSE(stats.healthy);
  EXPECT_NE(stats.unhealthy_reason.find("full"), std::string::npos) << stats.unhealthy_reason;
  EXPECT_GE(stats.failed_transactions, 1U);

  vfs().fail_writes(SQLITE_OK);
  for (std::uint64_t i = 0; i < 20; ++i) {
    const auto result = accept(storage(), ticket(wireguard_owner(i), i));
    ASSERT_TRUE(result) << result.error().detail;
    EXPECT_EQ(result->outcome, AcceptanceOutcome::accepted);
    // No address was lost to what was rolled back.
    EXPECT_EQ(result->addresses->ipv4.octets[3], 3 + i);
  }
  EXPECT_TRUE(storage().stats().healthy);
  EXPECT_EQ(storage().stats().unhealthy_reason, "");
  EXPECT_TRUE(find_spent(storage(), ticket(wireguard_owner(500), 500).nullifier)->has_value());
}

TEST_P(FileCommitTest, WhatCouldNotBeSyncedIsNotAnsweredAsAccepted) {
  vfs().fail_syncs(SQLITE_IOERR_FSYNC);
  const auto refused = accept(storage(), ticket(wireguard_owner(1), 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, StorageError::Kind::unavailable);
  EXPECT_FALSE(storage().stats().healthy);
  vfs().fail_syncs(SQLITE_OK);
  EXPECT_EQ(accept(storage(), ticket(wireguard_owner(1), 1))->outcome, AcceptanceOutcome::accepted);
  EXPECT_TRUE(storage().stats().healthy);
}

TEST_P(FileCommitTest, HealthComesBackWithoutARegistration) {
  vfs().fail_writes(SQLITE_IOERR_WRITE);
  ASSERT_FALSE(accept(storage(), ticket(wireguard_owner(1), 1)));
  ASSERT_FALSE(storage().stats().healthy);
  vfs().fail_writes(SQLITE_OK);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!storage().stats().healthy && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(storage().stats().healthy);
}

TEST_P(GroupCommitTest, LockHeldTooLongIsBusyAndOverWhenTheLockIs) {
  auto holder = rows();
  holder.hold();
  const auto refused = accept(storage(), ticket(wireguard_owner(1), 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, StorageError::Kind::busy);
  EXPECT_FALSE(storage().stats().healthy);
  // Reading needs no lock.
  EXPECT_TRUE(find_spent(storage(), bytes32(1)));
  holder.release();
  EXPECT_TRUE(accept(storage(), ticket(wireguard_owner(1), 1)));
  EXPECT_TRUE(storage().stats().healthy);
}

TEST_P(GroupCommitTest, ShutdownAnswersEverythingThatWaits) {
  auto holder = rows();
  holder.hold();
  auto answers = submit_tickets(100);
  std::thread closing([&] { storage().shut_down(); });
  holder.release();
  closing.join();
  for (auto& answer : answers)
    EXPECT_TRUE(answer.get());
  const auto late = accept(storage(), ticket(wireguard_owner(500), 500));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, StorageError::Kind::shutting_down);
  EXPECT_EQ(find_spent(storage(), bytes32(1)).error().kind, StorageError::Kind::shutting_down);
  storage().record_session({.lp_id = 1, .client_ip = "192.0.2.1", .status = "success"});
  storage().shut_down();  // again: nothing
  EXPECT_EQ(rows().count("spent_credentials"), 100);
}

TEST_P(FileCommitTest, ShutdownDoesNotWaitLongForAnotherProgramsLock) {
  auto holder = rows();
  holder.hold();
  auto answers = submit_tickets(3);
  storage().shut_down();
  for (auto& answer : answers) {
    const auto result = answer.get();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, StorageError::Kind::busy);
  }
  holder.release();
}

TEST_P(FileCommitTest, FullQueueIsBusyAtOnce) {
  auto holder = rows();
  holder.hold();
  std::atomic<int> accepted = 0;
  int busy = 0;
  for (std::uint64_t i = 0; i < 20'100; ++i) {
    bool refused_at_once = false;
    storage().accept_ticket(ticket(mixnet_owner(i), i),
                            [&, caller = std::this_thread::get_id()](Answer result) {
                              if (result) {
                                ++accepted;
                              } else if (std::this_thread::get_id() == caller) {
                                refused_at_once = result.error().kind == StorageError::Kind::busy;
                              }
                            });
    if (refused_at_once) ++busy;
  }
  EXPECT_EQ(busy, 100);
  EXPECT_EQ(storage().stats().queue_length, 20'000U);
  auto undone = std::make_shared<std::promise<bool>>();
  storage().compensate(mixnet_owner(1), ticket(mixnet_owner(1), 1).nullifier, now,
                       [undone](auto result) { undone->set_value(result.has_value()); });
  holder.release();
  EXPECT_TRUE(undone->get_future().get());
  storage().shut_down();
  EXPECT_EQ(accepted, 20'000);
}

TEST_P(GroupCommitTest, CompletionMayCallTheStorageAgain) {
  std::promise<StorageResult<Storage::Compensated>> undone;
  const auto request = ticket(wireguard_owner(1), 1);
  storage().accept_ticket(request, [&](Answer result) {
    EXPECT_TRUE(result);
    storage().compensate(request.owner, request.nullifier, now,
                         [&](auto outcome) { undone.set_value(std::move(outcome)); });
  });
  EXPECT_TRUE(undone.get_future().get()->removal_noted);
}

TEST_P(FileCommitTest, DatabaseFileTakenAwayIsNoticedBeforeAnythingIsPromised) {
  const auto moved = database().string() + ".moved";
  std::filesystem::rename(database(), moved);
  const auto refused = accept(storage(), ticket(wireguard_owner(1), 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, StorageError::Kind::unavailable);
  EXPECT_FALSE(storage().stats().healthy);
  std::filesystem::rename(moved, database());
  EXPECT_TRUE(accept(storage(), ticket(wireguard_owner(1), 1)));
}

class SessionTest : public StorageTest {
 protected:
  /// Sessions have no completion; the call after them does, and runs no earlier.
  void settle() { ASSERT_TRUE(accept(storage(), ticket(mixnet_owner(900), 900 + settled_++))); }
  std::uint64_t settled_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Databases, SessionTest, both_databases, database_name);

TEST_P(SessionTest, OpenRecordIsCompletedAndNotDoubled) {
  SessionRecord record{
      .lp_id = 7, .client_ip = "192.0.2.1", .started_at = now, .status = "in_progress"};
  storage().record_session(record);
  const auto client = accept(storage(), ticket(wireguard_owner(1), 1));
  ASSERT_TRUE(client);
  EXPECT_EQ(
      rows().text(
          "SELECT status || ' ' || coalesce(CAST(completed_at AS TEXT), 'open') FROM lp_sessions"),
      "in_progress open");
  record.session_id = 4'000'000'000;
  record.completed_at = now + 1;
  record.status = "success";
  record.client_id = client->client_id;
  storage().record_session(record);
  settle();
  settle();
  EXPECT_EQ(rows().text("SELECT session_id || ' ' || lp_id || ' ' || client_ip || ' ' || status ||"
                        " ' ' || (completed_at - started_at) || ' ' || client_id"
                        " FROM lp_sessions"),
            "4000000000 7 192.0.2.1 success 1 " + std::to_string(client->client_id));
  EXPECT_EQ(rows().count("lp_sessions"), 1);
}

TEST_P(SessionTest, RecordWithoutItsBeginningIsInserted) {
  storage().record_session({.lp_id = 7,
                            .client_ip = "2001:db8::1",
                            .started_at = now,
                            .completed_at = now,
                            .status = "handshake_failed"});
  settle();
  settle();
  EXPECT_EQ(rows().text("SELECT status FROM lp_sessions"), "handshake_failed");
}

TEST_P(SessionTest, RecordOfARemovedClientKeepsItsStatus) {
  storage().record_session({.lp_id = 7,
                            .client_ip = "192.0.2.1",
                            .started_at = now,
                            .completed_at = now,
                            .status = "success",
                            .client_id = 12345});
  settle();
  settle();
  EXPECT_EQ(
      rows().text(
          "SELECT status || coalesce(CAST(client_id AS TEXT), ' of nobody') FROM lp_sessions"),
      "success of nobody");
}

TEST_P(SessionTest, RecordThatFailsTakesNoRegistrationAlong) {
  auto holder = rows();
  holder.sabotage("INSERT", "lp_sessions");
  holder.hold();
  storage().record_session({.lp_id = 7, .client_ip = "192.0.2.1", .status = "in_progress"});
  std::promise<Answer> promise;
  storage().accept_ticket(ticket(wireguard_owner(1), 1),
                          [&](Answer result) { promise.set_value(std::move(result)); });
  holder.release();
  EXPECT_TRUE(promise.get_future().get());
  const auto stats = storage().stats();
  EXPECT_LE(stats.transactions, is_postgres() ? 2U : 1U);
  EXPECT_EQ(stats.failed_transactions, 0U);
  EXPECT_EQ(rows().count("lp_sessions"), 0);
}

}  // namespace
}  // namespace lp::gateway::storage::test
