// Everything that keeps a gateway from starting: one sentence, one exit code, no ready line.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "tests/gateway/app/gateway_process.h"

namespace lp::gateway::app {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Refused : public GatewayProcess {
 protected:
  /// The sentence with which it is refused with `code`.
  std::string refusal_of(int code, const test::ChildOptions& options) {
    const auto finished = test::run(options);
    EXPECT_EQ(finished.ended.code, code) << finished.error_output;
    EXPECT_EQ(finished.output, "");
    return sentence(finished.error_output);
  }
  std::string refusal(int code, const std::vector<std::string>& more = {}) {
    return refusal_of(code, run_options(more));
  }
  /// Its only line, without "lp-gateway: ".
  static std::string sentence(const std::string& text) {
    constexpr std::string_view name = "lp-gateway: ";
    EXPECT_THAT(text, StartsWith(std::string(name)));
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
    return text.substr(std::min(text.size(), name.size()));
  }
  /// Leaves a database behind.
  void start_and_stop(const test::ChildOptions& options) {
    test::Child gateway(options);
    ASSERT_TRUE(gateway.read_line()) << gateway.error_output();
    gateway.send_signal(SIGTERM);
    ASSERT_EQ(gateway.wait().code, 0);
  }
};

/// Runs the program as a user without rights: root may read everything.
class AsNobody : public Refused {
 protected:
  static constexpr uid_t nobody = 65534;

  void SetUp() override {
    init();
    if (::geteuid() != 0) return;
    // The program and the data go where that user may go.
    std::filesystem::copy_file(test::program("lp-gateway"), dir_ / "lp-gateway");
    std::filesystem::permissions(dir_ / "lp-gateway", std::filesystem::perms(0755));
    give(dir_.path());
    give(data_dir_);
    for (const auto& entry : std::filesystem::directory_iterator(data_dir_))
      give(entry.path());
  }
  static void give(const std::filesystem::path& path) {
    ASSERT_EQ(::chown(path.c_str(), nobody, nobody), 0) << path;
  }
  test::ChildOptions options(const std::vector<std::string>& more = {}) const {
    test::ChildOptions options = run_options(more);
    if (::geteuid() == 0) {
      options.program = dir_ / "lp-gateway";
      options.user = nobody;
    }
    return options;
  }
  void forbid(std::string_view name, unsigned mode = 0) {
    std::filesystem::permissions(in_data_dir(name), std::filesystem::perms(mode));
  }
};

TEST_F(Refused, AWrongFlagIsPassedOver) {
  const auto unknown = test::run(run_options({"--max-conections=5"}));
  EXPECT_EQ(unknown.ended.code, 64);
  EXPECT_THAT(unknown.error_output,
              HasSubstr("unknown flag --max-conections; did you mean --max-connections?"));
  const auto elsewhere = test::run({.program = test::program("lp-gateway"),
                                    .args = {"peers", "list", "--storage", "sqlite:a.sqlite"}});
  EXPECT_EQ(elsewhere.ended.code, 64);
  EXPECT_THAT(elsewhere.error_output, HasSubstr("--storage is a setting of run, and no flag here"));
  for (const std::vector<std::string>& args : {std::vector<std::string>{},
                                               {"walk"},
                                               {"run", "extra"},
                                               {"run", "--config"},
                                               {"run", "--ephemeral", "--data-dir", "/x"},
                                               {"run", "--ephemeral", "--config", "/x"},
                                               {"--json"}}) {
    const auto finished = test::run({.program = test::program("lp-gateway"), .args = args});
    EXPECT_EQ(finished.ended.code, 64) << testing::PrintToString(args);
    EXPECT_THAT(finished.error_output,
                AllOf(StartsWith("lp-gateway: "), HasSubstr("\nTry lp-gateway")));
    EXPECT_EQ(finished.output, "");
  }
}

TEST_F(Refused, ABadValueIsTaken) {
  EXPECT_EQ(refusal(78, {"--max-connections=0"}),
            "--max-connections must be a whole number from 1 to 1000000, not 0\n");
}

TEST_F(Refused, AnUnknownKeyIsPassedOver) {
  init();
  test::write_file(in_data_dir("lp-gateway.toml"), "threads = 1\nhttp_prot = 80\n");
  EXPECT_EQ(refusal(78), in_data_dir("lp-gateway.toml").string() +
                             ":2: unknown key \"http_prot\"; did you mean http_port?\n");
}

TEST_F(Refused, ACorruptFileIsReadAsFarAsItGoes) {
  init();
  test::write_file(in_data_dir("lp-gateway.toml"), "threads = 1\n\x80\xff\x01 = [\n");
  EXPECT_THAT(refusal(78), StartsWith(in_data_dir("lp-gateway.toml").string() + ":2: "));
}

TEST_F(Refused, AFileThatWasAskedForIsMissing) {
  EXPECT_THAT(refusal(78, {"--config", "/no/such.toml"}),
              HasSubstr("/no/such.toml: cannot be read: No such file"));
}

TEST_F(Refused, NothingVerifiesTickets) {
  EXPECT_THAT(refusal(78, {"--use-mock-ecash=false"}), HasSubstr("no chain is configured"));
}

TEST_F(Refused, MockEcashIsOpenToThePublic) {
  init();
  test::ChildOptions options = run_options();
  std::ranges::replace(options.args, "--bind-address=127.0.0.1", "--bind-address=0.0.0.0");
  EXPECT_THAT(refusal_of(78, options), HasSubstr("--allow-mock-on-public-address"));
  options.args.push_back("--allow-mock-on-public-address");
  gateway_.emplace(options);
  EXPECT_THAT(gateway_->read_line().value_or(""), StartsWith("ready lp=0.0.0.0:"));
}

TEST_F(Refused, AnInstanceRunsWithoutWhatTheOthersMustKnow) {
  init();
  const std::string url = "--storage=postgresql://u:hidden@127.0.0.1:1/d";
  EXPECT_THAT(refusal(78, {url, "--instance=a"}), HasSubstr("set wireguard_announced_address"));
  EXPECT_THAT(refusal(78, {url, "--wireguard-announced-address=192.0.2.1"}),
              HasSubstr("set instance"));
  EXPECT_THAT(refusal(78, {"--instance=a"}), HasSubstr("SQLite"));
  // Nothing listens there; the password is said to nobody.
  EXPECT_THAT(refusal(69, {url, "--instance=a", "--wireguard-announced-address=192.0.2.1"}),
              AllOf(StartsWith("postgresql://u@127.0.0.1:1/d: "), Not(HasSubstr("hidden"))));
}

TEST_F(Refused, AnEphemeralGatewayLeavesRowsBehind) {
  EXPECT_THAT(refusal_of(78, {.program = test::program("lp-gateway"),
                              .args = {"run", "--ephemeral"},
                              .environment = {{"LP_GATEWAY_STORAGE", "postgres://u@127.0.0.1/d"}}}),
              StartsWith("--ephemeral leaves nothing behind"));
}

TEST_F(Refused, AKeyThatWireguardTakesForNoneIsGivenToADevice) {
  init();
  const std::string zeros = std::string(43, 'A') + "=";
  EXPECT_THAT(refusal(78, {"--wireguard-preshared-key=" + zeros}),
              StartsWith("wireguard_preshared_key of all zeros is none for WireGuard"));
  test::write_file(in_data_dir("wireguard.key"), zeros + "\n", 0600);
  for (const char* backend : {"--wireguard-backend=netlink", "--wireguard-backend=uapi"}) {
    EXPECT_THAT(refusal(78, {backend}),
                AllOf(StartsWith(in_data_dir("wireguard.key").string()), HasSubstr("all zeros")));
  }
}

TEST_F(Refused, ADeviceThatIsNotThereYetKeepsTheGatewayDown) {
  init();
  const std::vector<std::pair<std::string, std::string>> devices{
      {"uapi", "/lp-no-such.sock cannot be connected to: No such file or directory"},
      {"netlink", "WireGuard does not work interface=lp-no-such error="}};
  for (const auto& [backend, sentence] : devices) {
    start({"--wireguard-backend=" + backend, "--wireguard-interface=lp-no-such"});
    EXPECT_TRUE(gateway_->wait_for_error_line(sentence)) << gateway_->error_output();
    EXPECT_EQ(status("ready"), "false");
    gateway_->send_signal(SIGTERM);
    EXPECT_EQ(gateway_->wait().code, 0);
  }
}

TEST_F(Refused, TooFewOpenFilesShowOnlyUnderLoad) {
  init();
  test::ChildOptions options = run_options({"--threads=2"});
  options.open_files_soft = 256;
  options.open_files_hard = 4096;
  EXPECT_THAT(
      refusal_of(78, options),
      HasSubstr("max_connections 10000 needs 10520 open files, and the hard limit is 4096"));
}

TEST_F(Refused, TheSoftLimitOfOpenFilesIsNotRaised) {
  init();
  test::ChildOptions options = run_options({"--threads=2", "--max-connections=1000"});
  options.open_files_soft = 256;
  options.open_files_hard = 1520;
  gateway_.emplace(options);
  ASSERT_TRUE(gateway_->read_line()) << gateway_->error_output();
  const std::string limits =
      test::read_file("/proc/" + std::to_string(gateway_->pid()) + "/limits");
  EXPECT_THAT(limits, testing::ContainsRegex("Max open files +1520 +1520"));
}

TEST_F(Refused, TheDataDirectoryIsMissing) {
  EXPECT_THAT(refusal(78), AllOf(StartsWith(data_dir_ + ": "), HasSubstr("lp-gateway init")));
}

TEST_F(Refused, AKeyIsMissing) {
  init();
  std::filesystem::remove(in_data_dir("wireguard.key"));
  EXPECT_THAT(refusal(78), HasSubstr("wireguard.key: there is no WireGuard key"));
  std::filesystem::remove(in_data_dir("identity.key"));
  EXPECT_THAT(refusal(78), HasSubstr("identity.key: there is no identity key"));
}

TEST_F(Refused, AKeyIsOpenToOthers) {
  init();
  for (const char* name : {"wireguard.key", "identity.key"}) {
    std::filesystem::permissions(in_data_dir(name), std::filesystem::perms(0644));
    EXPECT_THAT(refusal(78), AllOf(StartsWith(in_data_dir(name).string()),
                                   HasSubstr("is open to others (mode 0644)")));
    std::filesystem::permissions(in_data_dir(name), std::filesystem::perms(0600));
  }
}

TEST_F(Refused, AKeyIsDamaged) {
  init();
  test::write_file(in_data_dir("identity.key"), "AAAA\n", 0600);
  EXPECT_THAT(refusal(78), HasSubstr("is not 32 bytes in base64"));
}

TEST_F(AsNobody, AKeyCannotBeRead) {
  for (const char* name : {"wireguard.key", "identity.key"}) {
    forbid(name);
    EXPECT_THAT(refusal_of(77, options()), AllOf(StartsWith(in_data_dir(name).string()),
                                                 HasSubstr("cannot be read: Permission denied")));
    forbid(name, 0600);
  }
}

TEST_F(AsNobody, TheSettingsCannotBeRead) {
  forbid("lp-gateway.toml");
  EXPECT_THAT(refusal_of(77, options()), HasSubstr("lp-gateway.toml: cannot be read"));
}

TEST_F(AsNobody, TheDatabaseCannotBeRead) {
  start_and_stop(options());
  forbid("gateway.sqlite");
  EXPECT_THAT(refusal_of(77, options()), HasSubstr("gateway.sqlite: the database cannot be read"));
}

TEST_F(AsNobody, TheDataDirectoryCannotBeWritten) {
  std::filesystem::permissions(data_dir_, std::filesystem::perms(0500));
  EXPECT_THAT(refusal_of(77, options()),
              HasSubstr("gateway.lock: cannot be made: Permission denied"));
  std::filesystem::permissions(data_dir_, std::filesystem::perms(0700));
}

TEST_F(AsNobody, TheDatabaseCannotBeMade) {
  EXPECT_THAT(refusal_of(73, options({"--storage=sqlite:no/such/dir/x.sqlite"})),
              HasSubstr("x.sqlite: the database cannot be made there"));
  EXPECT_THAT(refusal_of(77, options({"--storage=sqlite:/x.sqlite"})),
              HasSubstr("/x.sqlite: the database cannot be made there: Permission denied"));
}

TEST_F(AsNobody, TheControlSocketIsNotThisUsers) {
  if (::geteuid() != 0) start();  // without root both are one user: only the working case is left
  if (::geteuid() == 0) {
    gateway_.emplace(run_options());  // as root, over the other user's directory
    ASSERT_TRUE(gateway_->read_line()) << gateway_->error_output();
    test::ChildOptions asking = options();
    asking.args = {"status", "--data-dir", data_dir_};
    EXPECT_THAT(refusal_of(77, asking), HasSubstr("control socket is not this user's"));
  }
  EXPECT_EQ(status("ready"), "true");
}

TEST_F(Refused, APortIsTaken) {
  init();
  start();
  const std::string lp_port = ready_.lp.substr(ready_.lp.rfind(':') + 1);
  const std::string http_port = ready_.http.substr(ready_.http.rfind(':') + 1);
  const std::string first = data_dir_;
  data_dir_ = (dir_ / "second").string();
  init();
  EXPECT_THAT(refusal(69, {"--control-port=" + lp_port}),
              AllOf(StartsWith("cannot accept LP connections: "), HasSubstr(lp_port),
                    HasSubstr("Address already in use")));
  EXPECT_THAT(refusal(69, {"--http-port=" + http_port}),
              AllOf(StartsWith("cannot serve HTTP: "), HasSubstr(http_port),
                    HasSubstr("Address already in use")));
}

TEST_F(AsNobody, APortIsTheSystems) {
  if (::access("/proc/sys/net/ipv4/ip_unprivileged_port_start", R_OK) == 0 &&
      test::read_file("/proc/sys/net/ipv4/ip_unprivileged_port_start") == "0\n") {
    GTEST_SKIP() << "on this system every user may take every port";
  }
  EXPECT_THAT(refusal_of(77, options({"--control-port=1"})), HasSubstr("Permission denied"));
  EXPECT_THAT(refusal_of(77, options({"--http-port=1"})), HasSubstr("Permission denied"));
}

TEST_F(Refused, AnAddressIsNotOfThisMachine) {
  init();
  EXPECT_THAT(refusal(69, {"--bind-address=192.0.2.1", "--allow-mock-on-public-address"}),
              HasSubstr("192.0.2.1"));
}

TEST_F(Refused, ASecondGatewayRunsOnTheSameData) {
  init();
  start();
  EXPECT_EQ(refusal(69), data_dir_ + ": another lp-gateway runs on this data directory, process " +
                             std::to_string(gateway_->pid()) + "\n");
  EXPECT_EQ(status("identity"), ready_.identity);  // the first goes on
}

TEST_F(Refused, ASecondGatewayRunsOnTheSameDatabase) {
  init();
  start();
  const auto database = in_data_dir("gateway.sqlite");
  const std::string first = data_dir_;
  data_dir_ = (dir_ / "second").string();
  init();
  std::filesystem::create_symlink(database, dir_ / "link.sqlite");
  for (const auto& path : {database, dir_ / "link.sqlite"}) {
    EXPECT_EQ(refusal(69, {"--storage=sqlite:" + path.string()}),
              path.string() + ": another lp-gateway runs on this database, process " +
                  std::to_string(gateway_->pid()) + "\n");
  }
  data_dir_ = first;
  EXPECT_EQ(status("identity"), ready_.identity);  // the first goes on
}

TEST_F(Refused, TheDatabaseIsOfANewerVersion) {
  init();
  start_and_stop(run_options());
  ASSERT_FALSE(std::filesystem::exists(in_data_dir("gateway.sqlite-wal")));
  std::string bytes = test::read_file(in_data_dir("gateway.sqlite"));
  // PRAGMA user_version: bytes 60 to 63 of the file, big-endian.
  ASSERT_GT(bytes.size(), 100U);
  bytes[62] = 1;
  test::write_file(in_data_dir("gateway.sqlite"), bytes, 0600);
  EXPECT_THAT(refusal(78), AllOf(HasSubstr("gateway.sqlite"), HasSubstr("newer")));
}

TEST_F(Refused, TheDatabaseIsCorrupt) {
  init();
  test::write_file(in_data_dir("gateway.sqlite"), std::string(8192, 'x'), 0600);
  EXPECT_THAT(refusal(69), HasSubstr("gateway.sqlite"));
  std::filesystem::remove(in_data_dir("gateway.sqlite"));
  start_and_stop(run_options());
  std::string bytes = test::read_file(in_data_dir("gateway.sqlite"));
  ASSERT_GT(bytes.size(), 4096U);
  std::fill(bytes.begin() + 100, bytes.begin() + 4096, '\xff');
  test::write_file(in_data_dir("gateway.sqlite"), bytes, 0600);
  EXPECT_THAT(refusal(69), HasSubstr("gateway.sqlite"));
}

TEST_F(Refused, ThePoolIsNoPool) {
  init();
  EXPECT_THAT(refusal(78, {"--ipv4-pool=10.1.0.1/16"}), HasSubstr("--ipv4-pool must be"));
}

}  // namespace
}  // namespace lp::gateway::app
