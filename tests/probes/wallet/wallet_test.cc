// The wallet alone: states, leases, what stays in the file and what must not.
#include "probes/wallet/wallet.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>
#include <thread>

#include "lib/crypto/random.h"
#include "lib/ecash/issuer_key.h"
#include "lib/messages/registration_errors.h"
#include "tests/support/process.h"

namespace lp::probe::wallet {
namespace {

using messages::RegistrationFailure;
using messages::TicketType;

constexpr UnixSeconds now = 1'800'000'000;
constexpr UnixSeconds expiry = now + 3600;

#define ASSERT_OK(outcome) ASSERT_TRUE((outcome).has_value()) << (outcome).error().detail

class WalletTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }

  void SetUp() override { wallet_ = open(); }

  std::unique_ptr<Wallet> open() {
    auto opened = Wallet::open(path());
    if (!opened) ADD_FAILURE() << opened.error().detail;
    return opened ? std::move(*opened) : nullptr;
  }

  [[nodiscard]] std::filesystem::path path() const { return dir_ / "wallet.sqlite"; }
  [[nodiscard]] net::ChainKey key(UnixSeconds at = expiry) const {
    return {.epoch_id = 7,
            .type = TicketType::v1_wireguard_entry,
            .expiry = at,
            .public_key = issuer_.public_key()};
  }
  [[nodiscard]] Wanted wanted(UnixSeconds at = now) const {
    return {.gateway = gateway_, .type = TicketType::v1_wireguard_entry, .now = at};
  }

  [[nodiscard]] messages::Credential sign(const HeldWithdrawal& held) const {
    const auto signed_point =
        issuer_.sign(*crypto::G1Point::decode(held.withdrawal.blinded())).encode();
    return *held.withdrawal.finish(signed_point, ecash::VerificationKey(issuer_.public_key()));
  }

  /// Withdraws that many into the wallet and lets go of them.
  void fill(std::size_t count, UnixSeconds at = expiry) {
    auto drawn = wallet_->request(wanted(), key(at), count);
    ASSERT_OK(drawn);
    for (auto& held : *drawn) {
      const auto credential = sign(held);
      ASSERT_OK(wallet_->keep(std::move(held), credential));
    }
  }

  [[nodiscard]] HeldTicket hold_one(Wallet& wallet) {
    auto held = wallet.hold(wanted(), 1);
    if (!held || held->size() != 1) throw std::runtime_error("no ticket to hold");
    return std::move(held->front());
  }

  [[nodiscard]] std::vector<TicketState> states() {
    std::vector<TicketState> found;
    const auto tickets = wallet_->list();
    if (!tickets) return found;
    for (const auto& ticket : *tickets)
      found.push_back(ticket.state);
    return found;
  }

  test::TempDir dir_;
  crypto::Identity gateway_ = crypto::IdentityKeyPair::generate().identity;
  ecash::IssuerKey issuer_ = ecash::IssuerKey::generate();
  std::unique_ptr<Wallet> wallet_;
  Registrant registrant_ = Registrant::make_dvpn(TicketType::v1_wireguard_entry);
};

TEST_F(WalletTest, ATicketKeepsWhatItIsThroughEveryStateAndEveryReopening) {
  fill(1);
  wallet_ = open();
  ecash::TicketMessage message;
  {
    auto held = hold_one(*wallet_);
    message = held.ticket.message;
    EXPECT_EQ(held.ticket.state, TicketState::unspent);
    EXPECT_EQ(message.gateway, gateway_);
    EXPECT_EQ(message.bandwidth_amount, 500'000'000u);
    EXPECT_EQ(message.expiry, expiry);
    EXPECT_EQ(held.ticket.epoch_id, 7u);
    EXPECT_TRUE(ecash::VerificationKey(issuer_.public_key())
                    .verify(message, held.ticket.credential().signature));
    ASSERT_OK(wallet_->take(held, registrant_));
  }
  wallet_ = open();
  auto again = wallet_->hold_unanswered(wanted(), 5);
  ASSERT_OK(again);
  ASSERT_EQ(again->size(), 1u);
  auto& held = again->front();
  EXPECT_EQ(held.ticket.message, message);
  ASSERT_TRUE(held.ticket.sent_with);
  EXPECT_EQ(held.ticket.sent_with->wireguard.public_key, registrant_.wireguard.public_key);
  EXPECT_EQ(held.ticket.sent_with->mode, registrant_.mode);
  ASSERT_OK(wallet_->take(held, *held.ticket.sent_with));
  EXPECT_EQ(held.ticket.sends, 2u);
  ASSERT_OK(wallet_->settle(held, TicketState::spent, ""));
  wallet_ = open();
  EXPECT_EQ(states(), std::vector{TicketState::spent});
  EXPECT_TRUE(wallet_->hold(wanted(), 1)->empty());
  EXPECT_TRUE(wallet_->hold_unanswered(wanted(), 1)->empty());
}

TEST_F(WalletTest, AMixnetTicketIsSentAgainWithTheSameClientIdAndKey) {
  fill(1);
  const auto mixnet = Registrant::make_mixnet(TicketType::v1_wireguard_entry);
  {
    auto held = hold_one(*wallet_);
    ASSERT_OK(wallet_->take(held, mixnet));
  }
  const auto again = wallet_->hold_unanswered(wanted(), 1);
  ASSERT_OK(again);
  ASSERT_EQ(again->size(), 1u);
  EXPECT_EQ(again->front().ticket.sent_with->mode, mixnet.mode);
  EXPECT_EQ(again->front().ticket.sent_with->wireguard.public_key, mixnet.wireguard.public_key);
}

TEST_F(WalletTest, ASentTicketIsNotSentWithAnotherKey) {
  fill(1);
  auto held = hold_one(*wallet_);
  ASSERT_OK(wallet_->take(held, registrant_));
  const auto other = Registrant::make_dvpn(TicketType::v1_wireguard_entry);
  const auto taken = wallet_->take(held, other);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ProbeCode::internal);
  EXPECT_EQ(wallet_->list()->front().sends, 1u);
}

TEST_F(WalletTest, WithdrawalsThatWereCutOffAreResumedWithTheSamePoint) {
  std::set<crypto::G1Encoding> points;
  {
    const auto drawn = wallet_->request(wanted(), key(), 3);
    ASSERT_OK(drawn);
    for (const auto& held : *drawn)
      points.insert(held.withdrawal.blinded());
    EXPECT_EQ(points.size(), 3u);
    EXPECT_TRUE(open()->resume(wanted(), 9)->empty()) << "somebody else has them in hand";
  }
  wallet_ = open();
  auto resumed = wallet_->resume(wanted(), 9);
  ASSERT_OK(resumed);
  ASSERT_EQ(resumed->size(), 3u);
  for (auto& held : *resumed) {
    EXPECT_EQ(points.erase(held.withdrawal.blinded()), 1u);
    EXPECT_EQ(held.epoch_id, 7u);
    const auto credential = sign(held);
    ASSERT_OK(wallet_->keep(std::move(held), credential));
  }
  EXPECT_EQ(states(),
            (std::vector{TicketState::unspent, TicketState::unspent, TicketState::unspent}));
}

TEST_F(WalletTest, TwoHoldersNeverHaveTheSameTicket) {
  fill(3);
  auto other = open();
  const auto mine = wallet_->hold(wanted(), 2);
  const auto theirs = other->hold(wanted(), 9);
  const auto nobodys = wallet_->hold(wanted(), 9);
  ASSERT_OK(mine);
  ASSERT_OK(theirs);
  ASSERT_EQ(mine->size(), 2u);
  ASSERT_EQ(theirs->size(), 1u);
  EXPECT_TRUE(nobodys->empty());
  std::set<std::int64_t> ids;
  for (const auto& held : *mine)
    ids.insert(held.ticket.id);
  for (const auto& held : *theirs)
    ids.insert(held.ticket.id);
  EXPECT_EQ(ids.size(), 3u);
}

TEST_F(WalletTest, ATicketIsTakenOnceEvenBetweenTwoWhoBothThinkTheyHoldIt) {
  fill(1);
  auto held = hold_one(*wallet_);
  // As a file system without locks would have it: the other comes to the same row.
  std::filesystem::remove(path().string() + "-leases");
  auto without_leases = open();
  auto theirs = hold_one(*without_leases);
  ASSERT_OK(without_leases->take(theirs, registrant_));
  const auto taken = wallet_->take(held, registrant_);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ProbeCode::internal);
}

TEST_F(WalletTest, ThreadsAndConnectionsTakeEachTicketOnce) {
  constexpr std::size_t tickets = 24;
  fill(tickets);
  std::mutex mutex;
  std::multiset<std::int64_t> taken;
  auto second = open();
  ASSERT_TRUE(second);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, wallet = i % 2 == 0 ? wallet_.get() : second.get()] {
      const auto registrant = Registrant::make_dvpn(TicketType::v1_wireguard_entry);
      while (true) {
        auto held = wallet->hold(wanted(), 1);
        if (!held || held->empty()) return;
        if (!wallet->take(held->front(), registrant)) continue;
        const std::lock_guard lock(mutex);
        taken.insert(held->front().ticket.id);
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(taken.size(), tickets);
  EXPECT_EQ(std::set(taken.begin(), taken.end()).size(), tickets);
}

TEST_F(WalletTest, TicketsThatExpireFirstGoFirstAndExpiredOnesNotAtAll) {
  fill(1, expiry + 100);
  fill(1, expiry);
  auto held = wallet_->hold(wanted(expiry - 1), 1);
  ASSERT_EQ(held->size(), 1u);
  EXPECT_EQ(held->front().ticket.message.expiry, expiry);
  held->clear();
  held = wallet_->hold(wanted(expiry), 2);
  ASSERT_EQ(held->size(), 1u);
  EXPECT_EQ(held->front().ticket.message.expiry, expiry + 100);
  held->clear();
  EXPECT_TRUE(wallet_->hold(wanted(expiry + 100), 2)->empty());
}

TEST_F(WalletTest, TicketsForAnotherGatewayOrOfAnotherTypeAreLeftAlone) {
  fill(1);
  auto other = wanted();
  other.gateway = crypto::IdentityKeyPair::generate().identity;
  EXPECT_TRUE(wallet_->hold(other, 1)->empty());
  other = wanted();
  other.type = TicketType::v1_wireguard_exit;
  EXPECT_TRUE(wallet_->hold(other, 1)->empty());
}

TEST_F(WalletTest, AnExportedTicketIsNeitherHeldNorTakenOutAgain) {
  fill(1);
  auto held = hold_one(*wallet_);
  ASSERT_OK(wallet_->take_out(held));
  EXPECT_FALSE(wallet_->take_out(held));
  EXPECT_FALSE(wallet_->take(held, registrant_));
  EXPECT_EQ(states(), std::vector{TicketState::exported});
}

TEST_F(WalletTest, ATicketThatComesBackForgetsItsKey) {
  fill(1);
  {
    auto held = hold_one(*wallet_);
    ASSERT_OK(wallet_->take(held, registrant_));
    ASSERT_OK(wallet_->settle(held, TicketState::unspent, "Gateway busy, try again"));
  }
  const auto held = hold_one(*wallet_);
  EXPECT_FALSE(held.ticket.sent_with);
  EXPECT_EQ(held.ticket.sends, 0u);
}

/// All that the wallet's files hold.
std::string bytes_of(const std::filesystem::path& directory) {
  std::string all;
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    all += test::read_file(file.path());
  }
  return all;
}

bool holds(const std::string& bytes, ByteView part) {
  return bytes.find(std::string(part.begin(), part.end())) != std::string::npos;
}

TEST_F(WalletTest, TheBlindingFactorIsGoneFromTheFilesOnceTheTicketIsThere) {
  auto drawn = wallet_->request(wanted(), key(), 8);
  ASSERT_OK(drawn);
  std::vector<Secret<32>> factors;
  std::vector<crypto::G1Encoding> points;
  for (auto& held : *drawn) {
    factors.push_back(held.withdrawal.blinding_factor());
    points.push_back(held.withdrawal.blinded());
  }
  const auto before = bytes_of(dir_.path());
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(holds(before, factors[i].bytes())) << "a crash here would lose the ticket";
    EXPECT_TRUE(holds(before, points[i]));
  }
  for (auto& held : *drawn) {
    const auto credential = sign(held);
    ASSERT_OK(wallet_->keep(std::move(held), credential));
  }
  const auto after = bytes_of(dir_.path());
  ASSERT_GT(after.size(), 8192u);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_FALSE(holds(after, factors[i].bytes())) << i;
    EXPECT_FALSE(holds(after, points[i])) << i;
  }
}

// What each refusal makes of a ticket sent once, and of one whose first answer was lost.
TEST(StateAfterRefusal, ATicketIsNeverFreeWhileTheGatewayMayHaveTakenIt) {
  using enum RegistrationFailure;
  using enum TicketState;
  struct Row {
    RegistrationFailure failure;
    TicketState first;
    TicketState again;
  };
  const std::vector<Row> rows{
      {malformed_request, unspent, sent},
      {invalid_timestamp, unspent, sent},
      {invalid_wireguard_key, unspent, sent},
      {ticket_type_mismatch, unspent, sent},
      {mode_unsupported, unspent, sent},
      {credential_scheme_unsupported, unspent, sent},
      {wrong_amount, voided, voided},
      {credential_expired, voided, voided},
      {unknown_verification_key, unspent, sent},
      {bad_signature, voided, voided},
      {credential_already_spent, voided, voided},
      {address_pool_exhausted, unspent, sent},
      {wireguard_failed, sent, sent},
      {storage_failed, sent, sent},
      {gateway_busy, unspent, sent},
      {processing_timeout, sent, sent},
      {shutting_down, sent, sent},
  };
  ASSERT_EQ(rows.size(), messages::registration_failure_count);
  for (const auto& row : rows) {
    EXPECT_EQ(state_after_refusal(messages::sentence(row.failure), 1), row.first)
        << messages::sentence(row.failure);
    EXPECT_EQ(state_after_refusal(messages::sentence(row.failure), 2), row.again)
        << messages::sentence(row.failure);
  }
  EXPECT_EQ(state_after_refusal("Something else", 1), sent);
  EXPECT_EQ(state_after_refusal("", 1), sent);
}

class WalletFileTest : public WalletTest {
 protected:
  void SetUp() override {
    WalletTest::SetUp();
    fill(2);
    wallet_.reset();  // the log is merged and gone
    ASSERT_FALSE(std::filesystem::exists(path().string() + "-wal"));
  }

  [[nodiscard]] std::optional<ProbeError> refusal() {
    const auto before = test::read_file(path());
    const auto opened = Wallet::open(path());
    EXPECT_EQ(test::read_file(path()), before) << "what is refused stays as it is";
    return opened ? std::nullopt : std::optional(opened.error());
  }

  void execute(const std::string& sql) const {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path().c_str(), &database), SQLITE_OK);
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
    sqlite3_close(database);
  }
};

TEST_F(WalletFileTest, AFileThatOthersCanReadOrWriteIsRefused) {
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0644U, 0666U}) {
    ASSERT_EQ(chmod(path().c_str(), mode), 0);
    const auto error = refusal();
    ASSERT_TRUE(error) << mode;
    EXPECT_EQ(error->code, ProbeCode::wallet_exposed) << mode;
    EXPECT_NE(error->detail.find("wallet.sqlite"), std::string::npos);
    struct stat info{};
    ASSERT_EQ(stat(path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, mode) << "repaired in silence";
  }
  ASSERT_EQ(chmod(path().c_str(), 0600), 0);
  EXPECT_TRUE(open());
}

TEST_F(WalletFileTest, AWalletOfANewerVersionIsRefused) {
  execute("PRAGMA user_version = 2");
  const auto error = refusal();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, ProbeCode::wallet_version);
}

TEST_F(WalletFileTest, AnotherProgramsDatabaseIsRefused) {
  execute("PRAGMA application_id = 1");
  const auto error = refusal();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, ProbeCode::wallet_unusable);
}

TEST_F(WalletFileTest, DamageIsRefused) {
  const auto whole = test::read_file(path());
  ASSERT_GT(whole.size(), 8192u);
  const std::vector<std::pair<std::string, std::string>> damaged{
      {"text", "this is no wallet, and it is long enough to be looked at as one"},
      {"cut", whole.substr(0, whole.size() - 4096)},
      {"page of zeros", whole.substr(0, 4096) + std::string(whole.size() - 4096, '\0')},
  };
  for (const auto& [name, bytes] : damaged) {
    test::write_file(path(), bytes, 0600);
    const auto error = refusal();
    ASSERT_TRUE(error) << name;
    EXPECT_EQ(error->code, ProbeCode::wallet_corrupt) << name << ": " << error->detail;
  }
}

TEST_F(WalletFileTest, ADirectoryIsNoWallet) {
  std::filesystem::remove(path());
  std::filesystem::create_directory(path());
  const auto opened = Wallet::open(path());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ProbeCode::wallet_corrupt);
}

TEST_F(WalletFileTest, ANewWalletAndItsDirectoryAreTheOwnersAlone) {
  const auto place = dir_ / "a" / "b" / "wallet.sqlite";
  const auto opened = Wallet::open(place);
  ASSERT_OK(opened);
  struct stat info{};
  for (const auto& [file, mode] :
       {std::pair{place, 0600U}, std::pair{place.parent_path(), 0700U},
        std::pair{std::filesystem::path(place.string() + "-wal"), 0600U},
        std::pair{std::filesystem::path(place.string() + "-leases"), 0600U}}) {
    ASSERT_EQ(stat(file.c_str(), &info), 0) << file;
    EXPECT_EQ(info.st_mode & 0777U, mode) << file;
  }
}

TEST_F(WalletFileTest, ARowThatMakesNoSenseIsToldAndNotUsed) {
  execute(
      "PRAGMA ignore_check_constraints = ON; "
      "UPDATE tickets SET gateway = x'00' WHERE id = 1");
  const auto error = refusal();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, ProbeCode::wallet_corrupt);
}

}  // namespace
}  // namespace lp::probe::wallet
