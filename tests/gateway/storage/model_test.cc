// Random sequences of everything that changes the database, against a model of a few lines.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>

#include "tests/gateway/storage/fixture.h"

namespace lp::gateway::storage::test {
namespace {

struct ModelClient {
  ClientRowId id = 0;
  std::int64_t credited = 0;
  std::uint64_t address = 0;  ///< last number of both addresses; 0 = mixnet
};
struct ModelTicket {
  std::uint64_t owner = 0;
  std::int64_t amount = 0;
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
      clients[owner] = client;
    }
    clients[owner].credited += amount;
    tickets[nullifier] = {owner, amount};
    removals.erase(owner);
    expected.amount = amount;
    return expected;
  }

  /// Whether a removal is noted.
  bool compensate(std::uint64_t owner, std::uint64_t nullifier) {
    const auto ticket = tickets.find(nullifier);
    if (ticket == tickets.end() || ticket->second.owner != owner) return false;
    const auto amount = ticket->second.amount;
    tickets.erase(ticket);
    auto& client = clients[owner];
    client.credited -= amount;
    const bool others = std::any_of(tickets.begin(), tickets.end(),
                                    [&](const auto& entry) { return entry.second.owner == owner; });
    if (others) return false;
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
  std::deque<std::uint64_t> released_;
};

class ModelTest : public StorageTest, public ::testing::WithParamInterface<unsigned> {
 protected:
  SqliteOptions small_pool() const {
    auto options = this->options();
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

  void compare_everything() {
    std::map<ClientRowId, std::int64_t> credited;
    for (const auto& peer : active_peers(storage()))
      credited[peer.client_id] = peer.credited;
    std::map<ClientRowId, std::int64_t> expected;
    for (const auto& [number, client] : model_.clients) {
      if (number % 2 == 0) expected[client.id] = client.credited;
    }
    ASSERT_EQ(credited, expected);
    ASSERT_EQ(removals(storage()).size(), model_.removals.size());
    ASSERT_EQ(rows().count("clients"), static_cast<std::int64_t>(model_.clients.size()));
    ASSERT_EQ(rows().count("spent_credentials"), static_cast<std::int64_t>(model_.tickets.size()));
    for (std::uint64_t n = 0; n < nullifiers; ++n) {
      const auto found = find_spent(storage(), ticket(owner(0), n).nullifier);
      ASSERT_TRUE(found);
      ASSERT_EQ(found->has_value(), model_.tickets.contains(n));
    }
    expect_invariants(path());
  }

  Model model_;
};

TEST_P(ModelTest, DatabaseAndModelAgreeAfterEveryStep) {
  open(small_pool());
  std::mt19937_64 random(GetParam());
  const auto below = [&](std::uint64_t limit) { return random() % limit; };
  for (int step = 0; step < 300 && !HasFatalFailure(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const auto action = below(100);
    if (action < 55) {
      accept_one(below(owners), below(nullifiers), static_cast<std::int64_t>(1 + below(1000)));
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

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, ::testing::Range(1U, 5U));

}  // namespace
}  // namespace lp::gateway::storage::test
