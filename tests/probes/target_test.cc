#include "probes/target.h"

#include <gtest/gtest.h>

#include "lib/crypto/random.h"

namespace lp::probe {
namespace {

// The vectors' first gateway.
constexpr std::string_view identity = "2pRoBhCUWJh7n9Zmhsc7UvKXsBoHzd3tJdBq79fGvLc5";

class TargetTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }
};

struct Good {
  std::string text;
  bool has_identity;
  std::string host;
  std::optional<std::uint16_t> port;
};

TEST_F(TargetTest, EveryFormIsRead) {
  const std::string id = std::string(identity) + "@";
  for (const auto& good :
       {Good{"192.0.2.1", false, "192.0.2.1", {}},
        Good{"192.0.2.1:41264", false, "192.0.2.1", 41264},
        Good{"gw.example", false, "gw.example", {}},
        Good{"gw_1.example:1", false, "gw_1.example", 1},
        Good{"[2001:db8::1]", false, "2001:db8::1", {}}, Good{"[::1]:65535", false, "::1", 65535},
        Good{"[::ffff:192.0.2.1]:7", false, "::ffff:192.0.2.1", 7},
        Good{id + "192.0.2.1:5", true, "192.0.2.1", 5}, Good{id + "[::1]:5", true, "::1", 5},
        Good{id + "localhost", true, "localhost", {}}}) {
    const auto target = parse_target(good.text);
    ASSERT_TRUE(target) << good.text << ": " << target.error();
    EXPECT_EQ(target->host, good.host) << good.text;
    EXPECT_EQ(target->port, good.port) << good.text;
    EXPECT_EQ(target->identity.has_value(), good.has_identity) << good.text;
    EXPECT_EQ(target->text, good.text);
    if (good.has_identity) {
      EXPECT_EQ(target->identity->to_base58(), identity);
    }
  }
}

struct Bad {
  std::string text;
  std::string what;  // part of the sentence
};

TEST_F(TargetTest, HostileTextIsRefusedWithASentenceThatNamesTheFault) {
  const std::string id = std::string(identity) + "@";
  for (const auto& bad : {Bad{"", "no host"},
                          Bad{":41264", "no host"},
                          Bad{id, "no host"},
                          Bad{"@host", "identity is empty"},
                          Bad{"abc@host", "base58"},
                          Bad{"0OIl0OIl0OIl0OIl0OIl0OIl0OIl0OIl@host", "base58"},
                          Bad{std::string(5000, '1') + "@host", "too long"},
                          Bad{std::string(60, '1') + "@host", "longer than 44"},
                          Bad{std::string(32, '1') + "@host", "no usable Ed25519 key"},
                          Bad{"host:0", "1 to 65535"},
                          Bad{"host:65536", "1 to 65535"},
                          Bad{"host:", "1 to 65535"},
                          Bad{"host:-1", "1 to 65535"},
                          Bad{"host:+1", "1 to 65535"},
                          Bad{"host:1x", "1 to 65535"},
                          Bad{"host: 1", "1 to 65535"},
                          Bad{"host:99999999999999999999", "1 to 65535"},
                          Bad{"2001:db8::1", "brackets"},
                          Bad{"::1:41264", "brackets"},
                          Bad{"[::1", "not closed"},
                          Bad{"[]", "not an IPv6 address"},
                          Bad{"[192.0.2.1]:1", "not an IPv6 address"},
                          Bad{"[host]:1", "not an IPv6 address"},
                          Bad{"[::1]1", "only :PORT"},
                          Bad{"[::1]]:1", "only :PORT"},
                          Bad{"[::1%no-such-zone]:1", "not an IPv6 address"},
                          Bad{"-oProxyCommand=x", "no host name"},
                          Bad{"host name", "no host name"},
                          Bad{"host/path", "no host name"},
                          Bad{"http://host", "1 to 65535"},
                          Bad{"user:pw@host", "base58"},
                          Bad{"h\x1b[2Jost", "no host name"},
                          Bad{std::string("a\0b", 3), "no host name"},
                          Bad{"h\xc3\xa4st", "no host name"},
                          Bad{std::string(254, 'a'), "too long"}}) {
    const auto target = parse_target(bad.text);
    ASSERT_FALSE(target) << bad.text;
    EXPECT_NE(target.error().find(bad.what), std::string::npos)
        << bad.text << ": " << target.error();
    for (const char c : target.error())
      EXPECT_TRUE(c >= 0x20 && c < 0x7f) << bad.text;
    EXPECT_LT(target.error().size(), 400u);
  }
}

TEST(HostPortTest, Ipv6GetsItsBracketsBack) {
  EXPECT_EQ(format_host_port("::1", 7), "[::1]:7");
  EXPECT_EQ(format_host_port("gw.example", 7), "gw.example:7");
}

}  // namespace
}  // namespace lp::probe
