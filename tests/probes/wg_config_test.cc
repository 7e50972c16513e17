#include "probes/wg_config.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "lib/crypto/random.h"
#include "tests/support/process.h"
#include "tests/support/scripted_gateway.h"

namespace lp::probe {
namespace {

TEST(WgConfigTest, TextIsWhatWgQuickReads) {
  ASSERT_TRUE(crypto::initialise());
  crypto::X25519Secret secret;
  secret.mutable_bytes()[0] = 0x11;
  const auto data = *test::ScriptedGateway::good_response(messages::Dvpn{}).gateway_data;
  EXPECT_EQ(format_wg_config(secret, data),
            "[Interface]\n"
            "PrivateKey = EQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
            "Address = 10.1.0.7/32, fd00::7/128\n"
            "\n"
            "[Peer]\n"
            "PublicKey = CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\n"
            "Endpoint = 127.0.0.1:51822\n"
            "AllowedIPs = 0.0.0.0/0, ::/0\n"
            "PersistentKeepalive = 25\n");
}

TEST(WgConfigTest, FileIsPrivateWhateverTheUmaskAndReplacesAnOldOne) {
  const test::TempDir dir;
  const auto path = dir / "wg.conf";
  test::write_file(path, "old", 0644);
  const mode_t old = umask(0);
  const auto written = write_private_file(path, "new");
  umask(old);
  ASSERT_TRUE(written) << written.error();
  EXPECT_EQ(test::read_file(path), "new");
  struct stat status{};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(WgConfigTest, FailureLeavesNothingBehindAndSaysWhere) {
  const test::TempDir dir;
  const auto missing = write_private_file(dir / "no/such/dir", "x");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().find("no/such/dir"), std::string::npos);
  std::filesystem::create_directory(dir / "taken");
  EXPECT_FALSE(write_private_file(dir / "taken", "x"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

}  // namespace
}  // namespace lp::probe
