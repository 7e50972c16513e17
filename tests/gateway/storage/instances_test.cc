// Several instances of one gateway on one PostgreSQL database.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/encoding.h"
#include "tests/gateway/storage/storage_test.h"

namespace lp::gateway::storage::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Answer = StorageResult<AcceptanceResult>;

std::future<Answer> submit(Storage& storage, const Acceptance& acceptance) {
  auto promise = std::make_shared<std::promise<Answer>>();
  auto answer = promise->get_future();
  storage.accept_ticket(acceptance,
                        [promise](Answer result) { promise->set_value(std::move(result)); });
  return answer;
}

/// Named with "Postgres": tests of one server run in one process.
class PostgresInstancesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!lp::test::PostgresServer::installed()) {
      GTEST_SKIP() << lp::test::PostgresServer::not_installed;
    }
    url_ = new_postgres_database();
    a_ = open("a");
    b_ = open("b");
  }
  void TearDown() override {
    a_.reset();
    b_.reset();
    if (!IsSkipped()) expect_invariants(url_);
  }
  std::unique_ptr<Storage> open(const std::string& name) {
    auto storage = open_database(url_, {.instance = name});
    EXPECT_TRUE(storage) << storage.error().detail;
    return storage ? std::move(*storage) : nullptr;
  }
  Rows rows() const { return Rows(url_); }
  Storage& a() { return *a_; }
  Storage& b() { return *b_; }
  Storage& at(std::uint64_t number) { return number % 2 == 0 ? a() : b(); }

  std::string url_;
  std::unique_ptr<Storage> a_;
  std::unique_ptr<Storage> b_;
};

TEST_F(PostgresInstancesTest, OfManyKeysAtTwoInstancesNoneOrTwoGetATicket) {
  const std::uint64_t rounds = long_tests() ? 100 : 5;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    std::vector<std::future<Answer>> answers;
    for (std::uint64_t i = 0; i < 64; ++i) {
      answers.push_back(submit(at(i), ticket(wireguard_owner(100 * round + i), round)));
    }
    int accepted = 0;
    int refused = 0;
    for (auto& answer : answers) {
      const auto result = answer.get();
      ASSERT_TRUE(result) << result.error().detail;
      accepted += result->outcome == AcceptanceOutcome::accepted ? 1 : 0;
      refused += result->outcome == AcceptanceOutcome::spent_by_other ? 1 : 0;
    }
    EXPECT_EQ(accepted, 1);
    EXPECT_EQ(refused, 63);
  }
  EXPECT_EQ(rows().count("clients"), static_cast<std::int64_t>(rounds));
}

TEST_F(PostgresInstancesTest, RetryAtTheOtherInstanceIsNotToldWhoServesIt) {
  const auto request = ticket(wireguard_owner(1), 1);
  const auto first = accept(a(), request);
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->served_by);
  const auto again = accept(b(), request);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->outcome, AcceptanceOutcome::replayed);
  EXPECT_EQ(again->client_id, first->client_id);
  EXPECT_EQ(again->addresses, first->addresses);
  EXPECT_EQ(again->served_by, instance("a"));
  EXPECT_EQ(find_spent(b(), request.nullifier).value()->served_by, instance("a"));
  EXPECT_FALSE(find_spent(a(), request.nullifier).value()->served_by);
  EXPECT_FALSE(accept(a(), request)->served_by);
}

TEST_F(PostgresInstancesTest, TicketAtTheOtherInstanceIsLostToThePeer) {
  const auto first = accept(a(), ticket(wireguard_owner(1), 1));
  const auto second = accept(b(), ticket(wireguard_owner(1), 2));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(second->outcome, AcceptanceOutcome::accepted);
  EXPECT_TRUE(second->client_existed);
  EXPECT_EQ(second->client_id, first->client_id);
  EXPECT_EQ(second->addresses, first->addresses);
  EXPECT_EQ(second->served_by, instance("a"));
  ASSERT_EQ(all_peers(a()).size(), 1U);
  EXPECT_EQ(all_peers(a())[0].available, 2 * ticket_amount);
}

TEST_F(PostgresInstancesTest, InstanceSeesOrRemovesPeersOfAnother) {
  ASSERT_TRUE(accept(a(), ticket(wireguard_owner(1), 1)));
  EXPECT_THAT(all_peers(b()), IsEmpty());
  const auto found = wait_for<std::optional<Peer>>(
      [&](auto done) { b().find_peer({wireguard_owner(1).key}, std::move(done)); });
  EXPECT_FALSE(found.value());
  EXPECT_FALSE(remove_peer(b(), wireguard_owner(1)).existed);
  const auto peer = all_peers(a()).at(0);
  const PeerUsage usage{.client_id = peer.client_id,
                        .before = {},
                        .after = {ticket_amount, 0},
                        .bytes = ticket_amount,
                        .last_seen = std::nullopt};
  EXPECT_EQ(record_usage(b(), {usage}).skipped, 1U);
  EXPECT_EQ(record_usage(a(), {usage}).spent, 1U);
  EXPECT_THAT(removals(b()), IsEmpty());
  confirm_removals(b(), {{wireguard_owner(1).key}});
  EXPECT_THAT(removals(a()), ElementsAre(crypto::X25519Public{wireguard_owner(1).key}));
  // A ticket lifts the removal wherever it is brought.
  ASSERT_TRUE(accept(b(), ticket(wireguard_owner(1), 2)));
  EXPECT_THAT(removals(a()), IsEmpty());
  EXPECT_EQ(active_peers(a()).size(), 1U);
}

TEST_F(PostgresInstancesTest, NewKeyAtBothInstancesAtOnceBecomesTwoClients) {
  for (std::uint64_t round = 0; round < 10; ++round) {
    const auto owner = round % 2 == 0 ? wireguard_owner(round) : mixnet_owner(round);
    std::vector<std::future<Answer>> answers;
    for (std::uint64_t i = 0; i < 8; ++i) {
      answers.push_back(submit(at(i), ticket(owner, 100 * round + i)));
    }
    int created = 0;
    int elsewhere = 0;
    for (auto& answer : answers) {
      const auto result = answer.get();
      ASSERT_TRUE(result) << result.error().detail;
      EXPECT_EQ(result->outcome, AcceptanceOutcome::accepted);
      created += result->client_existed ? 0 : 1;
      elsewhere += result->served_by ? 1 : 0;
    }
    EXPECT_EQ(created, 1);
    EXPECT_EQ(elsewhere, owner.kind == ClientKind::wireguard ? 4 : 0);
  }
  auto rows = this->rows();
  EXPECT_EQ(rows.count("clients"), 10);
  EXPECT_EQ(rows.integer("SELECT min(credited) FROM bandwidth"), 8 * ticket_amount);
}

TEST_F(PostgresInstancesTest, PoolsOfTwoInstancesAreOne) {
  const auto first = accept(a(), ticket(wireguard_owner(1), 1));
  const auto second = accept(b(), ticket(wireguard_owner(2), 2));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->addresses, second->addresses);
  ASSERT_TRUE(compensate(b(), ticket(wireguard_owner(2), 2)));
  EXPECT_EQ(rows().text("SELECT string_agg(instance || ' ' || address, ', ' ORDER BY address)"
                        " FROM released_addresses"),
            "b 10.1.0.2, b fd00::2");
}

TEST_F(PostgresInstancesTest, NameThatRunsIsTakenTwice) {
  const auto second = open_database(url_, {.instance = "a"});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, StorageError::Kind::unavailable);
  EXPECT_THAT(second.error().detail, testing::HasSubstr("instance 'a' already runs"));
  a_.reset();
  a_ = open("a");
}

/// Nullifiers in the order in which a storage takes them.
std::vector<Acceptance> sorted_tickets(std::uint64_t count) {
  std::vector<Acceptance> tickets;
  for (std::uint64_t i = 0; i < count; ++i)
    tickets.push_back(ticket(wireguard_owner(i), i));
  std::ranges::sort(tickets, {}, &Acceptance::nullifier);
  return tickets;
}

void insert_nullifier(Rows& rows, const Acceptance& acceptance) {
  rows.execute("INSERT INTO spent_credentials VALUES (decode('" + to_hex(acceptance.nullifier) +
               "', 'hex'), 1, 1, 1, 'mixnet', decode(repeat('00', 32), 'hex'), NULL)");
}

/// Until so many sessions of the database wait for a lock.
void wait_for_waiting(Rows& rows, std::int64_t sessions) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (rows.integer("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                      " AND datname = current_database()") < sessions) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// A peer that locks in another order than ours do: the storage waits for it, and it for the
// storage.
TEST_F(PostgresInstancesTest, BatchesInOpposedOrderFail) {
  const auto tickets = sorted_tickets(4);
  auto gate = rows();
  auto middle = rows();
  auto last = rows();
  auto watch = rows();
  last.execute("SET deadlock_timeout = '1h'");  // it is the storage that finds out
  for (auto* connection : {&gate, &middle, &last})
    connection->execute("BEGIN");
  insert_nullifier(gate, tickets[0]);
  insert_nullifier(middle, tickets[2]);
  insert_nullifier(last, tickets[3]);
  std::vector<std::future<Answer>> answers;
  answers.push_back(submit(a(), tickets[0]));
  wait_for_waiting(watch, 1);
  for (const std::size_t i : {1U, 2U, 3U})  // one batch, for the writer is at the gate
    answers.push_back(submit(a(), tickets[i]));
  gate.execute("ROLLBACK");
  ASSERT_TRUE(answers[0].get());
  wait_for_waiting(watch, 1);
  std::thread opposed([&] { insert_nullifier(last, tickets[1]); });
  wait_for_waiting(watch, 2);
  middle.execute("ROLLBACK");
  opposed.join();
  last.execute("ROLLBACK");
  for (std::size_t i = 1; i < answers.size(); ++i) {
    const auto result = answers[i].get();
    ASSERT_TRUE(result) << result.error().detail;
    EXPECT_EQ(result->outcome, AcceptanceOutcome::accepted);
  }
  // Again, within its limit, as long as the storage is back before the other one has woken up.
  EXPECT_THAT(a().stats().failed_transactions, testing::AllOf(testing::Ge(1U), testing::Le(10U)));
  EXPECT_TRUE(a().stats().healthy);
}

TEST_F(PostgresInstancesTest, ConflictsAreRetriedForEver) {
  rows().execute(
      "CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS"
      " $$ BEGIN RAISE EXCEPTION 'scripted' USING ERRCODE = '40001'; END $$;"
      "CREATE TRIGGER bad BEFORE INSERT ON clients FOR EACH ROW EXECUTE FUNCTION bad()");
  const auto refused = accept(a(), ticket(wireguard_owner(1), 1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, StorageError::Kind::busy);
  EXPECT_EQ(a().stats().failed_transactions, 11U);
  EXPECT_TRUE(a().stats().healthy);
  rows().mend("clients");
  EXPECT_EQ(accept(a(), ticket(wireguard_owner(1), 1))->outcome, AcceptanceOutcome::accepted);
}

TEST_F(PostgresInstancesTest, AddressesReleasedByOthersInAnyOrderAreLost) {
  a_.reset();
  auto storage = open_database(
      url_, {.ipv4_pool = "10.9.0.0/29", .ipv6_pool = "fd00::/112", .instance = "a"});  // five
  ASSERT_TRUE(storage) << storage.error().detail;
  for (std::uint64_t i = 0; i < 5; ++i)
    ASSERT_TRUE(accept(**storage, ticket(wireguard_owner(i), i))->addresses);
  EXPECT_EQ(accept(**storage, ticket(wireguard_owner(9), 9))->outcome,
            AcceptanceOutcome::pool_exhausted);
  // The later one is committed first.
  auto early = rows();
  auto late = rows();
  const auto remove = [](Rows& from, std::uint64_t owner) {
    from.execute(
        "DELETE FROM clients WHERE id = (SELECT id FROM wireguard_peers"
        " WHERE public_key = decode('" +
        to_hex(wireguard_owner(owner).key) + "', 'hex'))");
  };
  early.execute("BEGIN");
  remove(early, 1);
  remove(late, 2);
  EXPECT_EQ(accept(**storage, ticket(wireguard_owner(10), 10))->outcome,
            AcceptanceOutcome::accepted);
  early.execute("COMMIT");
  EXPECT_EQ(accept(**storage, ticket(wireguard_owner(11), 11))->outcome,
            AcceptanceOutcome::accepted);
  EXPECT_EQ(accept(**storage, ticket(wireguard_owner(12), 12))->outcome,
            AcceptanceOutcome::pool_exhausted);
}

}  // namespace
}  // namespace lp::gateway::storage::test
