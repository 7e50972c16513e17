// init, identity, check-config, status: the real program.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "lib/base/encoding.h"
#include "lib/crypto/keys.h"
#include "lib/crypto/random.h"
#include "tests/gateway/app/gateway_process.h"

namespace lp::gateway::app {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Commands : public GatewayProcess {
 protected:
  static unsigned mode(const std::filesystem::path& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
  }
};

TEST_F(Commands, InitLeavesKeysThatOthersCanRead) {
  const auto finished = command({"init"});
  EXPECT_EQ(finished.ended.code, 0) << finished.error_output;
  EXPECT_EQ(mode(data_dir_), 0700U);
  for (const char* name : {"identity.key", "wireguard.key", "lp-gateway.toml"}) {
    EXPECT_EQ(mode(in_data_dir(name)), 0600U) << name;
  }
  // Nothing half-written is left beside them.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(data_dir_), {}), 3);
}

TEST_F(Commands, InitPrintsAnotherIdentityThanItsKeyHas) {
  ASSERT_TRUE(crypto::initialise());
  const auto finished = command({"init"});
  const std::string text = test::read_file(in_data_dir("identity.key"));
  EXPECT_THAT(text, StartsWith("# "));
  const std::string line = text.substr(text.find('\n') + 1);
  const auto seed = from_base64(std::string_view(line).substr(0, line.size() - 1));
  ASSERT_TRUE(seed);
  const auto pair = crypto::IdentityKeyPair::from_seed(
      Secret<32>(std::span<const std::uint8_t, 32>(seed->data(), 32)));
  EXPECT_EQ(finished.output, pair.identity.to_base58() + "\n");
  EXPECT_EQ(command({"identity"}).output, finished.output);
  EXPECT_EQ(command({"identity", "--json"}).output,
            "{\"identity\":\"" + pair.identity.to_base58() + "\",\"lp_public_key\":\"" +
                to_base58(pair.identity.to_x25519()->bytes) + "\"}\n");
}

TEST_F(Commands, InitWritesAWireguardKeyThatWgDoesNotTake) {
  init();
  const std::string text = test::read_file(in_data_dir("wireguard.key"));
  ASSERT_EQ(text.size(), 45U);
  const auto key = from_base64(text.substr(0, 44));
  ASSERT_TRUE(key);
  EXPECT_EQ(key->front() & 7, 0);  // clamped, as wg genkey prints it
  EXPECT_EQ(key->back() & 0xc0, 0x40);
}

TEST_F(Commands, InitOverwritesAKey) {
  init();
  const std::string identity = test::read_file(in_data_dir("identity.key"));
  const std::string wireguard = test::read_file(in_data_dir("wireguard.key"));
  const auto again = command({"init"});
  EXPECT_EQ(again.ended.code, 73);
  EXPECT_EQ(again.output, "");
  EXPECT_THAT(again.error_output, HasSubstr("identity.key: is there already"));
  EXPECT_EQ(test::read_file(in_data_dir("identity.key")), identity);
  EXPECT_EQ(test::read_file(in_data_dir("wireguard.key")), wireguard);
}

TEST_F(Commands, InitLeavesOneKeyWhereItCannotWriteBoth) {
  init();
  std::filesystem::remove(in_data_dir("identity.key"));
  EXPECT_EQ(command({"init"}).ended.code, 73);
  EXPECT_FALSE(std::filesystem::exists(in_data_dir("identity.key")));

  std::filesystem::remove(in_data_dir("wireguard.key"));
  const auto elsewhere = command({"init", "--wireguard-private-key-file", "no/such/dir/key"});
  EXPECT_EQ(elsewhere.ended.code, 73);
  EXPECT_FALSE(std::filesystem::exists(in_data_dir("identity.key")));
}

TEST_F(Commands, InitForgetsASettingItWasGiven) {
  const auto finished = command({"init", "--bind-address=127.0.0.1,::1", "--threads=3"});
  ASSERT_EQ(finished.ended.code, 0);
  const std::string text = test::read_file(in_data_dir("lp-gateway.toml"));
  EXPECT_THAT(text, HasSubstr("\nbind_address = [\"127.0.0.1\", \"::1\"]\n"));
  EXPECT_THAT(text, HasSubstr("\nthreads = 3\n"));
  EXPECT_THAT(text, HasSubstr("\n#max_connections = 10000\n"));
  EXPECT_THAT(command({"check-config"}).output, HasSubstr("lp-gateway.toml:"));
}

TEST_F(Commands, InitDropsASettingBecauseTheFileIsThere) {
  std::filesystem::create_directory(data_dir_);
  test::write_file(in_data_dir("lp-gateway.toml"), "threads = 1\n");
  const auto refused = command({"init", "--threads=3"});
  EXPECT_EQ(refused.ended.code, 73);
  EXPECT_FALSE(std::filesystem::exists(in_data_dir("identity.key")));
  const auto kept = command({"init"});
  EXPECT_EQ(kept.ended.code, 0);
  EXPECT_THAT(kept.error_output, HasSubstr("stays as it is"));
  EXPECT_EQ(test::read_file(in_data_dir("lp-gateway.toml")), "threads = 1\n");
}

TEST_F(Commands, CheckConfigPassesWhatRunRefuses) {
  const auto nothing = command({"check-config"});
  EXPECT_EQ(nothing.ended.code, 78);
  EXPECT_THAT(nothing.error_output, HasSubstr("no chain is configured"));
  const auto mock = command({"check-config", "--use-mock-ecash"});
  EXPECT_EQ(mock.ended.code, 78);
  EXPECT_THAT(mock.error_output, HasSubstr("--allow-mock-on-public-address"));
  EXPECT_EQ(command(std::vector<std::string>{"check-config"} + loopback).ended.code, 0);
  init();
  std::filesystem::permissions(in_data_dir("wireguard.key"), std::filesystem::perms(0640));
  const auto open = command(std::vector<std::string>{"check-config"} + loopback);
  EXPECT_EQ(open.ended.code, 78);
  EXPECT_THAT(open.error_output, HasSubstr("wireguard.key: the WireGuard key is open to others"));
}

TEST_F(Commands, CheckConfigLeavesSomethingBehind) {
  EXPECT_EQ(command(std::vector<std::string>{"check-config"} + loopback).ended.code, 0);
  EXPECT_FALSE(std::filesystem::exists(data_dir_));
}

TEST_F(Commands, StatusInventsAGateway) {
  init();
  const auto finished = command({"status"});
  EXPECT_EQ(finished.ended.code, 69);
  EXPECT_EQ(finished.output, "");
  EXPECT_THAT(finished.error_output, HasSubstr("control.sock: no gateway answers there"));
}

TEST_F(Commands, StatusTellsOfAnotherGateway) {
  init();
  start();
  EXPECT_EQ(status("identity"), ready_.identity);
  EXPECT_EQ(status("lp_address"), ready_.lp);
  EXPECT_EQ(status("http_address"), ready_.http);
  EXPECT_EQ(status("mock_ecash"), "true");
  EXPECT_EQ(status("ready"), "true");
  EXPECT_EQ(status("active_connections"), "0");
  EXPECT_EQ(status("max_connections"), "10000");
  const auto json = command({"status", "--json"});
  EXPECT_EQ(json.ended.code, 0);
  EXPECT_THAT(json.output, StartsWith("{\"ok\":true,"));
  EXPECT_THAT(json.output, HasSubstr("\"identity\":\"" + ready_.identity + "\""));
}

// A closed descriptor 1 would become the number of the next file, and output would go into it.
TEST_F(Commands, OutputGoesIntoAFileWhereStandardOutputIsClosed) {
  const auto finished = test::run({.program = "/bin/sh",
                                   .args = {"-c", "exec \"$0\" init --data-dir \"$1\" >&- 2>&- <&-",
                                            test::program("lp-gateway").string(), data_dir_}});
  EXPECT_EQ(finished.ended.code, 0);
  EXPECT_THAT(test::read_file(in_data_dir("wireguard.key")), Not(HasSubstr("\n\n")));
  EXPECT_EQ(test::read_file(in_data_dir("wireguard.key")).size(), 45U);
  EXPECT_EQ(command({"identity"}).ended.code, 0);
}

TEST_F(Commands, AFullStandardOutputIsTakenForSuccess) {
  init();
  const auto finished =
      test::run({.program = "/bin/sh",
                 .args = {"-c", "exec \"$0\" identity --data-dir \"$1\" >/dev/full",
                          test::program("lp-gateway").string(), data_dir_}});
  EXPECT_EQ(finished.ended.code, 73);
  EXPECT_THAT(finished.error_output, HasSubstr("standard output cannot be written"));
  for (const char* flag : {"--version", "--help"}) {
    const auto shown = test::run({.program = "/bin/sh",
                                  .args = {"-c", "exec \"$0\" \"$1\" >/dev/full",
                                           test::program("lp-gateway").string(), flag}});
    EXPECT_EQ(shown.ended.code, 73) << flag;
  }
}

}  // namespace
}  // namespace lp::gateway::app
