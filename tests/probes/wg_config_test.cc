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

TEST(WgConfigTest, WhatIsWrittenIsReadAgain) {
  ASSERT_TRUE(crypto::initialise());
  auto pair = crypto::X25519KeyPair::generate();
  const auto data = *test::ScriptedGateway::good_response(messages::Dvpn{}).gateway_data;
  for (const bool with_preshared : {false, true}) {
    std::optional<Secret<32>> preshared;
    if (with_preshared) preshared = pair.secret.clone();
    const auto text = format_wg_config(pair.secret, data, preshared);
    const auto config = parse_wg_config(text);
    ASSERT_TRUE(config) << config.error();
    EXPECT_EQ(config->key.public_key, pair.public_key);
    EXPECT_EQ(config->gateway_key, data.public_key);
    EXPECT_EQ(config->address_v4, data.private_ipv4);
    EXPECT_EQ(config->address_v6, data.private_ipv6);
    EXPECT_EQ(config->host, "127.0.0.1");
    EXPECT_EQ(config->port, 51822);
    ASSERT_EQ(config->preshared.has_value(), with_preshared);
    if (with_preshared) {
      EXPECT_TRUE(equal_constant_time(config->preshared->bytes(), pair.secret.bytes()));
    }
  }
}

TEST(WgConfigTest, FileOfAnotherHandIsReadOrRefusedByItsLine) {
  const std::string key = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
  const std::string good = "# mine\n[interface]\nprivatekey=" + key +
                           "\nAddress = 10.0.0.2/24\nDNS = 9.9.9.9\n\n[Peer] # theirs\r\n"
                           "PublicKey = " +
                           key +
                           "\nAllowedIPs = ::/0\n"
                           "Endpoint = gw.example:51820\n";
  const auto config = parse_wg_config(good);
  ASSERT_TRUE(config) << config.error();
  EXPECT_EQ(config->host, "gw.example");
  EXPECT_FALSE(config->address_v6);
  const auto error_of = [](const std::string& text) {
    const auto parsed = parse_wg_config(text);
    EXPECT_FALSE(parsed) << text;
    return parsed ? std::string() : parsed.error();
  };
  EXPECT_EQ(error_of(""), "there is no PrivateKey");
  EXPECT_EQ(error_of("[Interface]\nAddress = x\n").find("line 2: Address"), 0u);
  EXPECT_EQ(error_of("[Interface]\nPrivateKey = secret\n"),
            "line 2: PrivateKey: this is no base64");
  EXPECT_EQ(error_of("PrivateKey = " + key).find("line 1: "), 0u);
  EXPECT_EQ(error_of("[Wrong]\n").find("line 1: "), 0u);
  EXPECT_EQ(error_of("[Interface]\nEndpont = a:1\n").find("line 2: there is no key 'Endpont'"), 0u);
  EXPECT_EQ(error_of(good + "[Peer]\n"), "line 11: there is more than one [Peer]");
  EXPECT_EQ(error_of(good + "Endpoint = gw.example\n"), "line 11: Endpoint: there is no port");
}

TEST(WgConfigTest, FileThatOthersMayReadOrThatIsNoneIsNotRead) {
  const test::TempDir dir;
  test::write_file(dir / "a", "text", 0600);
  EXPECT_EQ(read_private_file(dir / "a").value(), "text");
  test::write_file(dir / "a", "text", 0640);
  const auto exposed = read_private_file(dir / "a");
  ASSERT_FALSE(exposed);
  EXPECT_TRUE(exposed.error().exposed);
  EXPECT_FALSE(read_private_file(dir / "b").error().exposed);
  EXPECT_FALSE(read_private_file(dir.path()));
  test::write_file(dir / "a", std::string(65'537, 'x'), 0600);
  EXPECT_FALSE(read_private_file(dir / "a"));
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
