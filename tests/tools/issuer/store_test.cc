// Rotation and withdrawal at the database, with times that the test gives.
#include "tools/issuer/store.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>
#include <set>
#include <thread>

#include "lib/crypto/random.h"
#include "lib/ecash/issuer_key.h"
#include "lib/sqlite/database.h"
#include "tests/support/process.h"
#include "tools/issuer/schema.h"
#include "tools/issuer/token.h"

namespace lp::issuer {
namespace {

constexpr std::uint64_t length = 1'000;
constexpr std::uint64_t retention = 300;
constexpr UnixSeconds start = 10'400;  // the first expiries: 11,000 and 12,000

crypto::G1Encoding point(std::uint8_t number) {
  crypto::G1Encoding bytes{};
  bytes[0] = number;
  return bytes;
}

class StoreTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }
  void SetUp() override {
    ASSERT_TRUE(store_.set_authority({"lp1test", length, retention}));
    ASSERT_TRUE(store_.rotate(start));
  }

  [[nodiscard]] Store open() const {
    auto store = Store::open(path());
    if (!store) throw std::runtime_error(store.error().detail);
    return *std::move(store);
  }
  [[nodiscard]] std::filesystem::path path() const { return dir_ / "issuer.sqlite"; }

  [[nodiscard]] TokenId add_token(const Allowances& allowances, const std::string& text = "t") {
    return store_.add_token(hash_token(text), "label", allowances, start).value();
  }
  /// Points charged, or the refusal.
  std::expected<std::size_t, WithdrawalRefusal> withdraw(
      TokenId token, const std::vector<crypto::G1Encoding>& points, EpochId epoch = 1,
      TicketType type = TicketType::v1_wireguard_entry, UnixSeconds now = start) {
    const auto done = store_.withdraw({token, epoch, type, points}, now).value();
    if (!done) return std::unexpected(done.error());
    return done->charged;
  }
  [[nodiscard]] std::map<EpochId, UnixSeconds> epochs() {
    std::map<EpochId, UnixSeconds> all;
    const auto keys = store_.public_keys().value();
    for (const auto& key : keys)
      all[key.epoch.id] = key.epoch.expiry;
    return all;
  }
  using Epochs = std::map<EpochId, UnixSeconds>;

  lp::test::TempDir dir_;
  Store store_ = open();
};

TEST_F(StoreTest, FirstKeysAreOfTheCurrentAndTheNextEpochOnePairForEachType) {
  EXPECT_EQ(epochs(), (Epochs{{1, 11'000}, {2, 12'000}}));
  const auto keys = store_.public_keys().value();
  ASSERT_EQ(keys.size(), 8U);
  std::set<crypto::G2Encoding> different;
  for (const auto& key : keys) {
    different.insert(key.public_key);
    const auto secret = store_.signing_key(key.epoch.id, key.type).value();
    ASSERT_TRUE(secret);
    const auto pair = ecash::IssuerKey::from_secret(*secret);
    ASSERT_TRUE(pair);
    EXPECT_EQ(pair->public_key().encode(), key.public_key);
  }
  EXPECT_EQ(different.size(), 8U);
}

TEST_F(StoreTest, RotationIsDueAtTheExpiryAndNotBefore) {
  ASSERT_TRUE(store_.rotate(10'999));
  EXPECT_EQ(epochs(), (Epochs{{1, 11'000}, {2, 12'000}}));
  ASSERT_TRUE(store_.rotate(11'000));
  EXPECT_EQ(epochs(), (Epochs{{1, 11'000}, {2, 12'000}, {3, 13'000}}));
  ASSERT_TRUE(store_.rotate(11'000));
  EXPECT_EQ(epochs().size(), 3U);
}

TEST_F(StoreTest, RotationKeepsTheKeysThatAreThere) {
  const auto before = store_.public_keys().value();
  ASSERT_TRUE(store_.rotate(11'000));
  const auto after = store_.public_keys().value();
  ASSERT_GE(after.size(), before.size());
  for (std::size_t i = 0; i < before.size(); ++i)
    EXPECT_EQ(after[i].public_key, before[i].public_key);
}

TEST_F(StoreTest, ExpiredKeysStayForTheRetentionAndThenGoWithTheirWithdrawals) {
  const TokenId token = add_token({.total = 10});
  ASSERT_EQ(withdraw(token, {point(1)}), 1U);
  ASSERT_TRUE(store_.rotate(11'010));  // from now on it is seen to be expired
  ASSERT_TRUE(store_.rotate(11'309));
  EXPECT_TRUE(epochs().contains(1));
  ASSERT_TRUE(store_.rotate(11'310));
  EXPECT_EQ(epochs(), (Epochs{{2, 12'000}, {3, 13'000}}));
  EXPECT_FALSE(store_.signing_key(1, TicketType::v1_wireguard_entry).value());
  EXPECT_EQ(withdraw(token, {point(1)}), std::unexpected(WithdrawalRefusal::epoch_unknown));
  EXPECT_EQ(store_.tokens().value()[0].used, 1);
}

TEST_F(StoreTest, SecretOfAnEpochThatIsOverIsNoLongerInTheFile) {
  const auto secret = store_.signing_key(1, TicketType::v1_mixnet_exit).value();
  ASSERT_TRUE(secret);
  const std::string bytes(reinterpret_cast<const char*>(secret->data()), 32);
  const auto file_has_it = [&] {
    // What is in the log gets into the file when the last connection closes.
    return lp::test::read_file(path()).contains(bytes) ||
           (std::filesystem::exists(path().string() + "-wal") &&
            lp::test::read_file(path().string() + "-wal").contains(bytes));
  };
  ASSERT_TRUE(file_has_it());
  ASSERT_TRUE(store_.rotate(11'000));
  ASSERT_TRUE(store_.rotate(11'300));
  {
    const Store closed = std::move(store_);
  }
  EXPECT_FALSE(file_has_it());
  store_ = open();
}

TEST_F(StoreTest, LongSleepMakesNoKeysForTheTimeSleptThrough) {
  ASSERT_TRUE(store_.rotate(50'500));
  EXPECT_EQ(epochs(), (Epochs{{1, 11'000}, {2, 12'000}, {3, 51'000}, {4, 52'000}}));
  ASSERT_TRUE(store_.rotate(50'800));
  EXPECT_EQ(epochs(), (Epochs{{3, 51'000}, {4, 52'000}}));
}

TEST_F(StoreTest, EpochIdsAndExpiriesAreNeverUsedAgain) {
  ASSERT_TRUE(store_.rotate(11'000));
  ASSERT_TRUE(store_.rotate(90'000));
  ASSERT_TRUE(store_.rotate(90'300));
  EXPECT_EQ(epochs(), (Epochs{{4, 91'000}, {5, 92'000}}));
}

TEST_F(StoreTest, ClockThatJumpsBackKeepsTheKeys) {
  ASSERT_TRUE(store_.rotate(11'000));
  ASSERT_TRUE(store_.rotate(start));
  EXPECT_EQ(epochs(), (Epochs{{1, 11'000}, {2, 12'000}, {3, 13'000}}));
}

TEST_F(StoreTest, ClockThatIsFarAheadForLessThanTheRetentionLosesNoKey) {
  const auto before = store_.public_keys().value();
  ASSERT_TRUE(store_.rotate(90'000'500));
  ASSERT_TRUE(store_.rotate(90'000'799));
  ASSERT_TRUE(store_.rotate(start));
  auto after = store_.public_keys().value();
  ASSERT_EQ(after.size(), 16U);
  for (std::size_t i = 0; i < before.size(); ++i)
    EXPECT_EQ(after[i].public_key, before[i].public_key);
  // A second time ahead is not the rest of the first.
  ASSERT_TRUE(store_.rotate(90'000'900));
  ASSERT_TRUE(store_.rotate(start + 100));
  EXPECT_EQ(store_.public_keys().value().size(), 16U);
}

TEST_F(StoreTest, ClockThatIsFarAheadForTheRetentionIsBelieved) {
  ASSERT_TRUE(store_.rotate(90'000'500));
  ASSERT_TRUE(store_.rotate(90'000'800));
  EXPECT_EQ(epochs(), (Epochs{{3, 90'001'000}, {4, 90'002'000}}));
}

TEST_F(StoreTest, EpochsThatAClockHasLeftFarAheadTakeNoPlaceInThePresent) {
  ASSERT_TRUE(store_.rotate(90'000'500));
  ASSERT_TRUE(store_.rotate(start));
  ASSERT_TRUE(store_.rotate(11'000));
  EXPECT_EQ(epochs(),
            (Epochs{{1, 11'000}, {2, 12'000}, {3, 90'001'000}, {4, 90'002'000}, {5, 13'000}}));
  EXPECT_EQ(store_.add_epoch(11'000).value().expiry, 14'000U);
}

TEST_F(StoreTest, FileOfTheFirstVersionIsTakenOver) {
  const auto old = dir_ / "old.sqlite";
  {
    const sqlite::Schema first{schema().application_id, schema().program,
                               schema().migrations.first(1)};
    auto database = sqlite::open_database(old, first);
    ASSERT_TRUE(database) << database.error().detail;
    ASSERT_TRUE(database->execute("INSERT INTO authority VALUES (1, 'lp1old', 1000, 300)"));
    ASSERT_TRUE(database->execute("INSERT INTO epochs (id, expiry) VALUES (7, 11000)"));
  }
  auto store = Store::open(old);
  ASSERT_TRUE(store) << store.error().detail;
  ASSERT_TRUE(store->rotate(start));
  const auto epochs = store->epochs().value();
  ASSERT_EQ(epochs.size(), 2U);
  EXPECT_EQ(epochs[0].id, 7);
  EXPECT_EQ(epochs[0].expired_since, std::nullopt);
  EXPECT_EQ(epochs[1].id, 8);
}

TEST_F(StoreTest, EpochAddedByHandIsNotMadeAgainWhenItIsDue) {
  EXPECT_EQ(store_.add_epoch(start).value().expiry, 13'000U);
  ASSERT_TRUE(store_.rotate(11'000));
  EXPECT_EQ(epochs(), (Epochs{{1, 11'000}, {2, 12'000}, {3, 13'000}}));
}

TEST_F(StoreTest, ProcessesThatRotateAtOnceMakeOneSetOfKeys) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      Store other = open();
      EXPECT_TRUE(other.rotate(11'000));
    });
  }
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(epochs(), (Epochs{{1, 11'000}, {2, 12'000}, {3, 13'000}}));
}

TEST_F(StoreTest, SamePointCostsNoSecondAllowance) {
  const TokenId token = add_token({.total = 2});
  EXPECT_EQ(withdraw(token, {point(1)}), 1U);
  EXPECT_EQ(withdraw(token, {point(1)}), 0U);
  EXPECT_EQ(withdraw(token, {point(1), point(2), point(1), point(2)}), 1U);
  EXPECT_EQ(withdraw(token, {point(1), point(2)}), 0U);
  EXPECT_EQ(withdraw(token, {point(3)}), std::unexpected(WithdrawalRefusal::allowance_used_up));
  EXPECT_EQ(store_.tokens().value()[0].used, 2);
}

TEST_F(StoreTest, SamePointIsAnotherWithdrawalForAnotherTokenEpochOrType) {
  const TokenId a = add_token({.total = 10}, "a");
  const TokenId b = add_token({.total = 10}, "b");
  EXPECT_EQ(withdraw(a, {point(1)}), 1U);
  EXPECT_EQ(withdraw(b, {point(1)}), 1U);
  EXPECT_EQ(withdraw(a, {point(1)}, 2), 1U);
  EXPECT_EQ(withdraw(a, {point(1)}, 1, TicketType::v1_mixnet_entry), 1U);
  EXPECT_EQ(store_.tokens().value()[0].used, 3);
  EXPECT_EQ(store_.tokens().value()[1].used, 1);
}

TEST_F(StoreTest, RefusedWithdrawalChargesNoneOfItsPoints) {
  const TokenId token = add_token({.total = 2});
  EXPECT_EQ(withdraw(token, {point(1), point(2), point(3)}),
            std::unexpected(WithdrawalRefusal::allowance_used_up));
  EXPECT_EQ(store_.tokens().value()[0].used, 0);
  EXPECT_EQ(withdraw(token, {point(2), point(3)}), 2U);
}

TEST_F(StoreTest, TypesHaveTheirAllowancesAndTheOthersNone) {
  const TokenId token =
      add_token({.total = std::nullopt, .types = {{TicketType::v1_mixnet_entry, 1}}});
  EXPECT_EQ(withdraw(token, {point(1)}), std::unexpected(WithdrawalRefusal::allowance_used_up));
  EXPECT_EQ(withdraw(token, {point(1)}, 1, TicketType::v1_mixnet_entry), 1U);
  EXPECT_EQ(withdraw(token, {point(2)}, 1, TicketType::v1_mixnet_entry),
            std::unexpected(WithdrawalRefusal::allowance_used_up));
  const auto row = store_.tokens().value()[0];
  EXPECT_EQ(row.used, 1);
  EXPECT_EQ(row.types.at(TicketType::v1_mixnet_entry).used, 1);
}

TEST_F(StoreTest, TotalHoldsBesideTheTypes) {
  const TokenId token = add_token({.total = 1, .types = {{TicketType::v1_mixnet_entry, 5}}});
  EXPECT_EQ(withdraw(token, {point(1), point(2)}, 1, TicketType::v1_mixnet_entry),
            std::unexpected(WithdrawalRefusal::allowance_used_up));
  EXPECT_EQ(withdraw(token, {point(1)}, 1, TicketType::v1_mixnet_entry), 1U);
}

TEST_F(StoreTest, TokenWithoutAnyAllowanceGetsNothing) {
  EXPECT_EQ(withdraw(add_token({}), {point(1)}),
            std::unexpected(WithdrawalRefusal::allowance_used_up));
}

TEST_F(StoreTest, RevokedTokenGetsNothingNotEvenWhatItHad) {
  const TokenId token = add_token({.total = 5});
  ASSERT_EQ(withdraw(token, {point(1)}), 1U);
  EXPECT_TRUE(store_.revoke_token(token, start).value());
  EXPECT_FALSE(store_.revoke_token(token, start).value());
  EXPECT_EQ(store_.find_token(hash_token("t")).value(), std::nullopt);
  EXPECT_EQ(withdraw(token, {point(1)}), std::unexpected(WithdrawalRefusal::token_unknown));
}

TEST_F(StoreTest, ExpiredEpochSignsNothingFromItsExpiryOn) {
  const TokenId token = add_token({.total = 5});
  const auto type = TicketType::v1_wireguard_exit;
  EXPECT_EQ(withdraw(token, {point(1)}, 1, type, 10'999), 1U);
  EXPECT_EQ(withdraw(token, {point(1)}, 1, type, 11'000),
            std::unexpected(WithdrawalRefusal::epoch_expired));
  EXPECT_EQ(withdraw(token, {point(2)}, 9, type, 10'999),
            std::unexpected(WithdrawalRefusal::epoch_unknown));
  EXPECT_EQ(store_.tokens().value()[0].used, 1);
}

TEST_F(StoreTest, WithdrawalsOfSeveralProcessesNeverExceedTheAllowance) {
  const TokenId token = add_token({.total = 50});
  std::atomic<std::size_t> charged = 0;
  std::vector<std::thread> threads;
  for (std::uint8_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      Store other = open();
      for (std::uint8_t j = 0; j < 20; ++j) {
        auto bytes = point(i);
        bytes[1] = j;
        const std::vector points{bytes};
        const auto done = other.withdraw({token, 1, TicketType::v1_mixnet_exit, points}, start);
        ASSERT_TRUE(done) << done.error().detail;
        if (*done) charged += (*done)->charged;
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(charged, 50U);
  EXPECT_EQ(store_.tokens().value()[0].used, 50);
}

TEST_F(StoreTest, FileIsItsOwnersAlone) {
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat status{};
    ASSERT_EQ(::stat((path().string() + suffix).c_str(), &status), 0) << suffix;
    EXPECT_EQ(status.st_mode & 0777, 0600U) << suffix;
  }
}

TEST_F(StoreTest, DatabaseOfAnotherProgramIsRefused) {
  const auto other = dir_ / "other.sqlite";
  {
    constexpr std::array migrations{"CREATE TABLE t (a)"};
    ASSERT_TRUE(sqlite::open_database(other, {0x1234, "other", migrations}));
  }
  const auto store = Store::open(other);
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().detail, testing::HasSubstr("another program"));
}

}  // namespace
}  // namespace lp::issuer
