// What of the keys is there after a restart, and what is not believed because it stands in a file.
#include "gateway/ecash/key_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "gateway/ecash/key_cache_file.h"
#include "lib/crypto/random.h"
#include "lib/log/log.h"
#include "tests/gateway/ecash/keys.h"
#include "tests/support/process.h"

namespace lp::gateway::ecash {
namespace {

using lp::test::read_file;
using lp::test::write_file;
using test::base64_of;
using test::new_key;
using test::TicketType;
using testing::HasSubstr;

constexpr UnixSeconds now = 1'763'000'000;
constexpr UnixSeconds later = now + 86'400;
constexpr auto entry = TicketType::v1_wireguard_entry;
constexpr auto exit = TicketType::v1_wireguard_exit;

class KeyStoreTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }
  std::unique_ptr<KeyStore> open(const std::string& contract = "n1ecash") {
    auto store = KeyStore::open(path_, contract);
    EXPECT_TRUE(store) << store.error();
    return store ? std::move(*store) : nullptr;
  }
  std::string refusal() {
    const auto store = KeyStore::open(path_, "n1ecash");
    EXPECT_FALSE(store);
    return store ? "" : store.error();
  }
  void replace(std::string_view what, std::string_view with) {
    std::string text = read_file(path_);
    const auto at = text.find(what);
    ASSERT_NE(at, std::string::npos) << what;
    write_file(path_, text.replace(at, what.size(), with), 0600);
  }

  lp::test::TempDir dir_;
  const std::filesystem::path path_ = dir_ / "ecash-keys.json";
  const Key a_ = new_key(entry, later);
  const Key b_ = new_key(exit, later);
};

TEST_F(KeyStoreTest, WhatIsKnownSurvivesARestart) {
  const Key other = new_key(entry, later);
  KnownKeys known;
  {
    const auto store = open();
    EXPECT_EQ(store->known()->confirmed_at, 0u);
    store->apply({a_, b_}, now);
    store->apply({other}, now + 5);  // b is revoked, other is offered
    known = *store->known();
  }
  ASSERT_EQ(known.revoked.size(), 1u);
  ASSERT_EQ(known.offered.size(), 1u);
  const auto store = open();
  EXPECT_EQ(*store->known(), known);
  EXPECT_EQ(*store->find(id_of(a_)), a_);
  EXPECT_EQ(store->find(id_of(b_)), nullptr);
  // What was refused before the restart is refused after it.
  store->apply({other, b_}, now + 6);
  EXPECT_EQ(*store->find(id_of(a_)), a_);
}

TEST_F(KeyStoreTest, KeyThatIsGoneIsARevocationOnlyWhereItHasNotExpired) {
  const Key expired = new_key(entry, now + 10);
  const auto store = open();
  store->apply({a_, b_, expired}, now);
  log::flush();
  testing::internal::CaptureStderr();
  store->apply({a_}, now + 10);
  log::flush();
  const auto lines = testing::internal::GetCapturedStderr();
  EXPECT_THAT(lines, HasSubstr("revoked the verification key of " + to_string(id_of(b_))));
  EXPECT_THAT(lines, testing::Not(HasSubstr(to_string(id_of(expired)))));
}

TEST_F(KeyStoreTest, AcceptedKeySurvivesARestart) {
  const Key other = new_key(entry, later);
  {
    const auto store = open();
    store->apply({a_}, now);
    store->apply({other}, now);
    EXPECT_FALSE(store->accept(base64_of(a_)));
    EXPECT_EQ(store->accept(base64_of(other)).value(), other);
  }
  EXPECT_EQ(*open()->find(id_of(other)), other);
}

TEST_F(KeyStoreTest, FileIsTheGatewaysAlone) {
  open()->apply({a_}, now);
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "ecash-keys.json.new"));
}

TEST_F(KeyStoreTest, FileThatOthersMayWriteToIsNotBelieved) {
  open()->apply({a_}, now);
  for (const unsigned mode : {0620U, 0602U, 0666U}) {
    write_file(path_, read_file(path_), mode);
    EXPECT_THAT(refusal(), HasSubstr("others may write")) << mode;
  }
}

TEST_F(KeyStoreTest, KeysOfAnotherContractAreNotUsed) {
  open()->apply({a_}, now);
  const auto store = open("n1other");
  EXPECT_EQ(store->find(id_of(a_)), nullptr);
  EXPECT_EQ(store->known()->confirmed_at, 0u);
}

TEST_F(KeyStoreTest, DamagedFileIsRefusedByNameAndStays) {
  open()->apply({a_, b_}, now);
  const std::string good = read_file(path_);
  const auto refused = [&](const std::string& text) {
    write_file(path_, text, 0600);
    EXPECT_THAT(refusal(), HasSubstr(path_.string())) << text.substr(0, 200);
    EXPECT_EQ(read_file(path_), text);
  };
  refused("");
  refused(good.substr(0, good.size() / 2));
  refused("{}");
  refused("[]");
  refused(std::string(100'000, '['));
  std::string changed = good;
  changed.replace(changed.find("\"version\":1"), 11, "\"version\":2");
  refused(changed);
  changed = good;
  changed.replace(changed.find("\"trusted\""), 9, "\"tlusted\"");
  refused(changed);
  // A point that is none, and one key twice.
  changed = good;
  changed[changed.find("\"public_key\":\"") + 14] = 'A';
  refused(changed);
  changed = good;
  changed.replace(changed.find(base64_of(b_)), base64_of(b_).size(), base64_of(a_));
  refused(changed);
  changed = good;
  changed.replace(changed.find("V1WireguardExit"), 15, "V1WireguardEntry");
  refused(changed);
}

TEST_F(KeyStoreTest, WhatIsNoFileIsNotRead) {
  std::filesystem::create_directory(path_);
  EXPECT_THAT(refusal(), HasSubstr("no regular file"));
  std::filesystem::remove(path_);
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(refusal(), HasSubstr("no regular file"));
  std::filesystem::remove(path_);
  write_file(dir_ / "elsewhere", "{}", 0600);
  std::filesystem::create_symlink(dir_ / "elsewhere", path_);
  EXPECT_NE(refusal(), "");
}

TEST_F(KeyStoreTest, DiskThatCannotBeWrittenHoldsNoRevocationUp) {
  const auto store = open();
  store->apply({a_, b_}, now);
  EXPECT_EQ(store->write_problem(), "");
  std::filesystem::create_directory(dir_ / "ecash-keys.json.new");  // where it would write
  write_file(dir_ / "ecash-keys.json.new/x", "");
  store->apply({b_}, now);
  EXPECT_EQ(store->find(id_of(a_)), nullptr);
  EXPECT_THAT(store->write_problem(), HasSubstr("ecash-keys.json"));
  std::filesystem::remove_all(dir_ / "ecash-keys.json.new");
  store->apply({b_}, now);
  EXPECT_EQ(store->write_problem(), "");
  EXPECT_EQ(open()->find(id_of(a_)), nullptr);
}

TEST_F(KeyStoreTest, ReadersSeeOneAnswerOrTheOtherWhole) {
  const auto store = open();
  const Key c = new_key(TicketType::v1_mixnet_entry, later);
  const Key d = new_key(TicketType::v1_mixnet_exit, later);
  store->apply({a_, b_}, now);
  std::atomic<bool> stop = false;
  std::atomic<int> torn = 0;
  std::thread reader([&] {
    while (!stop) {
      const auto known = store->known();
      const bool first = find(*known, id_of(a_)) != nullptr;
      if (first != (find(*known, id_of(b_)) != nullptr) ||
          first == (find(*known, id_of(c)) != nullptr)) {
        ++torn;
      }
    }
  });
  for (int i = 0; i < 50; ++i) {
    store->apply({c, d}, now);
    store->apply({a_, b_}, now);
  }
  stop = true;
  reader.join();
  EXPECT_EQ(torn, 0);
}

}  // namespace
}  // namespace lp::gateway::ecash
