// Random sequences of everything that changes the database, against a model of a few lines.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <tuple>

#include "tests/gateway/storage/storage_test.h"

namespace lp::gateway::storage::test {
namespace {

struct ModelClient {
  ClientRowId id = 0;
  std::int64_t credited = 0;
  std::int64_t used = 0;
  TransferCounters counters{};
  std::uint64_t address = 0;  ///< last number of both addresses; 0 = mixnet
  std::uint64_t serial = 0;   ///< tells apart clients of one owner that follow each other

  [[nodiscard]] std::int64_t available() const { return credited - used; }
};
struct ModelTicket {
  std::uint64_t owner = 0;
  std::int64_t amount = 0;
  std::uint64_t client = 0;  ///< its serial; of one that is removed, maybe
};

constexpr std::uint64_t owners = 24;  // even ones WireGuard, odd ones mixnet
constexpr std::uint64_t nullifiers = 60;
constexpr std::uint64_t last_address = 6;  // of a /29

/// Owners and nullifiers by their numbers.
class Model {
 public:
  AcceptanceResult accept(std::uint64_t owner, std::uint64_t nullifier, std::int64_t amount) {
    AcceptanceResult expected;
    if (const auto spent = tickets.find(nullifier); spent != tickets.end()) {
      expected.outcome = spent->second.owner == owner ? AcceptanceOutcome::replayed
                                                      : AcceptanceOutcome::spent_by_other;
      if (expected.outcome == AcceptanceOutcome::replayed) expected.amount = spent->second.amount;
      return expected;
    }
    if (!clients.contains(owner)) {
      ModelClient client;
      if (owner % 2 == 0) {
        const auto address = take_address();
        if (!address) return {.outcome = AcceptanceOutcome::pool_exhausted};
        client.address = *address;
      }
      client.serial = ++serial_;
      clients[owner] = client;
      removals.erase(owner);
    }
    auto& client = clients[owner];
    client.credited += amount;
    tickets[nullifier] = {owner, amount, client.serial};
    expected.has_bandwidth = client.available() > 0;
    if (expected.has_bandwidth) removals.erase(owner);
    expected.amount = amount;
    return expected;
  }

  /// Whether the entry is taken.
  bool use(std::uint64_t owner, const TransferCounters& before, const TransferCounters& after,
           std::int64_t bytes) {
    auto& client = clients.at(owner);
    if (client.counters != before) return false;
    client.counters = after;
    client.used += bytes;
    if (client.available() <= 0) removals[owner] = true;
    return true;
  }

  void remove(std::uint64_t owner) {
    released_.push_back(clients.at(owner).address);
    clients.erase(owner);
    removals[owner] = true;
  }

  void confirm(std::uint64_t owner) {
    removals.erase(owner);
    if (const auto client = clients.find(owner); client != clients.end()) {
      client->second.counters = {};
    }
  }

  /// Whether a removal is noted.
  bool compensate(std::uint64_t owner, std::uint64_t nullifier) {
    const auto ticket = tickets.find(nullifier);
    if (ticket == tickets.end() || ticket->second.owner != owner) return false;
    const auto undone = ticket->second;
    tickets.erase(ticket);
    const auto found = clients.find(owner);
    if (found == clients.end() || found->second.serial != undone.client) return false;
    auto& client = found->second;
    client.credited -= undone.amount;
    const bool others = std::any_of(tickets.begin(), tickets.end(), [&](const auto& entry) {
      return entry.second.client == client.serial;
    });
    if (others || client.credited > 0) {
      if (client.address == 0 || client.available() > 0) return false;
      removals[owner] = true;
      return true;
    }
    if (client.address != 0) {
      released_.push_back(client.address);
      removals[owner] = true;
    }
    clients.erase(owner);
    return owner % 2 == 0;
  }

  std::map<std::uint64_t, ModelClient> clients;
  std::map<std::uint64_t, ModelTicket> tickets;
  std::map<std::uint64_t, bool> removals;

 private:
  std::optional<std::uint64_t> take_address() {
    if (next_address_ <= last_address) return next_address_++;
    if (released_.empty()) return {};
    const auto address = released_.front();
    released_.pop_front();
    return address;
  }
  std::uint64_t next_address_ = 2;
  std::uint64_t serial_ = 0;
  std::deque<std::uint64_t> released_;
};

class ModelTest : public StorageTestBase,
                  public ::testing::WithParamInterface<std::tuple<Database, unsigned>> {
 protected:
  void SetUp() override { set_up(std::get<Database>(GetParam())); }

  static Options small_pool() {
    Options options;
    options.ipv4_pool = "10.9.0.0/29";
    options.ipv6_pool = "fd00::/125";
    return options;
  }
  static Owner owner(std::uint64_t number) {
    return number % 2 == 0 ? wireguard_owner(number) : mixnet_owner(number);
  }

  void accept_one(std::uint64_t owner_number, std::uint64_t nullifier, std::int64_t amount) {
    auto request = ticket(owner(owner_number), nullifier);
    request.amount = amount;
    const bool existed = model_.clients.contains(owner_number);
    const auto expected = model_.accept(owner_number, nullifier, amount);
    const auto result = accept(storage(), request);
    ASSERT_TRUE(result) << result.error().detail;
    ASSERT_EQ(result->outcome, expected.outcome);
    ASSERT_EQ(result->amount, expected.amount);
    if (result->outcome != AcceptanceOutcome::accepted &&
        result->outcome != AcceptanceOutcome::replayed) {
      return;
    }
    if (result->outcome == AcceptanceOutcome::replayed && !existed) {
      ASSERT_EQ(result->client_id, 0);  // removed since
      return;
    }
    if (result->outcome == AcceptanceOutcome::accepted) {
      ASSERT_EQ(result->has_bandwidth, expected.has_bandwidth);
    }
    auto& client = model_.clients[owner_number];
    ASSERT_EQ(result->client_existed, existed);
    if (existed) {
      ASSERT_EQ(result->client_id, client.id);
    }
    client.id = result->client_id;
    ASSERT_EQ(result->addresses.has_value(), client.address != 0);
    if (result->addresses) {
      const auto number = std::to_string(client.address);
      ASSERT_EQ(address(*result->addresses), "10.9.0." + number + " fd00::" + number);
    }
  }

  void compensate_one(std::uint64_t owner_number, std::uint64_t nullifier) {
    const bool noted = model_.compensate(owner_number, nullifier);
    const auto result = compensate(storage(), ticket(owner(owner_number), nullifier));
    ASSERT_TRUE(result) << result.error().detail;
    ASSERT_EQ(result->removal_noted, noted);
  }

  /// A WireGuard client at or after `number`.
  std::optional<std::uint64_t> some_peer(std::uint64_t number) const {
    for (auto client = model_.clients.lower_bound(number); client != model_.clients.end();
         ++client) {
      if (client->first % 2 == 0) return client->first;
    }
    return std::nullopt;
  }

  /// A reading of the device, one in four of which was taken from another state of the row.
  void use_some(std::uint64_t number, std::uint64_t random) {
    const auto& client = model_.clients.at(number);
    auto before = client.counters;
    if (random % 4 == 0) before.rx += 1;
    const TransferCounters after{.rx = before.rx + static_cast<std::int64_t>(random % 300),
                                 .tx = before.tx + static_cast<std::int64_t>(random % 7)};
    const auto bytes = after.rx - before.rx + after.tx - before.tx;
    const PeerUsage usage{
        .client_id = client.id, .before = before, .after = after, .bytes = bytes, .last_seen = now};
    const auto removals_before = model_.removals.size();
    const bool taken = model_.use(number, before, after, bytes);
    const auto outcome = record_usage(storage(), {usage});
    ASSERT_EQ(outcome.peers, taken ? 1U : 0U);
    ASSERT_EQ(outcome.skipped, taken ? 0U : 1U);
    ASSERT_EQ(outcome.bytes, taken ? bytes : 0);
    ASSERT_EQ(outcome.spent, model_.removals.size() - removals_before);
  }

  void remove_one(std::uint64_t number) {
    const bool existed = model_.clients.contains(number);
    const bool noted = existed || model_.removals.contains(number);
    if (existed) model_.remove(number);
    const auto removed = remove_peer(storage(), owner(number));
    ASSERT_EQ(removed.existed, existed);
    ASSERT_EQ(removed.removal_noted, noted);
  }

  void confirm_all() {
    std::vector<crypto::X25519Public> keys;
    for (std::uint64_t number = 0; number < owners; number += 2) {
      if (!model_.removals.contains(number)) continue;
      keys.push_back({owner(number).key});
      model_.confirm(number);
    }
    confirm_removals(storage(), keys);
  }

  void compare_everything() {
    std::map<ClientRowId, std::string> rows_of;
    for (const auto& peer : all_peers(storage())) {
      rows_of[peer.client_id] =
          describe(peer.credited, peer.used, peer.available, peer.counters, peer.removal_noted);
      const auto found = wait_for<std::optional<Peer>>(
          [&](auto done) { storage().find_peer(peer.public_key, std::move(done)); });
      ASSERT_TRUE(found && *found);
      ASSERT_EQ((*found)->client_id, peer.client_id);
    }
    std::map<ClientRowId, std::string> expected;
    for (const auto& [number, client] : model_.clients) {
      if (number % 2 != 0) continue;
      expected[client.id] = describe(client.credited, client.used, client.available(),
                                     client.counters, model_.removals.contains(number));
    }
    ASSERT_EQ(rows_of, expected);
    ASSERT_EQ(removals(storage()).size(), model_.removals.size());
    ASSERT_EQ(rows().count("clients"), static_cast<std::int64_t>(model_.clients.size()));
    ASSERT_EQ(rows().count("spent_credentials"), static_cast<std::int64_t>(model_.tickets.size()));
    for (std::uint64_t n = 0; n < nullifiers; ++n) {
      const auto found = find_spent(storage(), ticket(owner(0), n).nullifier);
      ASSERT_TRUE(found);
      ASSERT_EQ(found->has_value(), model_.tickets.contains(n));
    }
    expect_invariants(database());
  }

  static std::string describe(std::int64_t credited, std::int64_t used, std::int64_t available,
                              const TransferCounters& counters, bool removal_noted) {
    return std::to_string(credited) + " credited, " + std::to_string(used) + " used, " +
           std::to_string(available) + " available, " + std::to_string(counters.rx) + "/" +
           std::to_string(counters.tx) + (removal_noted ? " leaving" : "");
  }

  Model model_;
};

TEST_P(ModelTest, DatabaseAndModelAgreeAfterEveryStep) {
  open(small_pool());
  std::mt19937_64 random(std::get<unsigned>(GetParam()));
  const auto below = [&](std::uint64_t limit) { return random() % limit; };
  for (int step = 0; step < 300 && !HasFatalFailure(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const auto action = below(100);
    if (action < 40) {
      accept_one(below(owners), below(nullifiers), static_cast<std::int64_t>(1 + below(1000)));
    } else if (action < 60) {
      if (const auto number = some_peer(below(owners))) use_some(*number, below(1U << 20U));
    } else if (action < 65) {
      remove_one(2 * below(owners / 2));
    } else if (action < 70) {
      confirm_all();
    } else if (action < 95) {
      // As a rule a ticket that is there, of its owner.
      auto nullifier = below(nullifiers);
      auto owner_number = below(owners);
      const auto there = model_.tickets.lower_bound(nullifier);
      if (there != model_.tickets.end() && below(10) > 0) {
        nullifier = there->first;
        owner_number = there->second.owner;
      }
      compensate_one(owner_number, nullifier);
    } else if (action < 98) {
      compare_everything();
    } else {
      open(small_pool());
    }
  }
  if (!HasFatalFailure()) compare_everything();
}

std::string model_test_name(const ::testing::TestParamInfo<std::tuple<Database, unsigned>>& info) {
  return database_name({std::get<Database>(info.param), 0}) +
         std::to_string(std::get<unsigned>(info.param));
}
INSTANTIATE_TEST_SUITE_P(Sqlite, ModelTest,
                         ::testing::Combine(::testing::Values(Database::sqlite),
                                            ::testing::Range(1U, 5U)),
                         model_test_name);
INSTANTIATE_TEST_SUITE_P(Postgres, ModelTest,
                         ::testing::Combine(::testing::Values(Database::postgres),
                                            ::testing::Range(1U, 3U)),
                         model_test_name);

}  // namespace
}  // namespace lp::gateway::storage::test
