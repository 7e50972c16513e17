// SIGHUP, at the real program.
#include <gmock/gmock.h>
#include <signal.h>

#include "tests/gateway/app/gateway_process.h"

namespace lp::gateway::app {
namespace {

using testing::HasSubstr;

class Reload : public GatewayProcess {
 protected:
  void write_settings(std::string_view text) {
    test::write_file(in_data_dir("lp-gateway.toml"), text, 0600);
  }
  /// Sends SIGHUP and returns the first log line about it that has `text`.
  std::string reload(std::string_view text) {
    gateway_->send_signal(SIGHUP);
    return gateway_->wait_for_error_line(text).value_or("nothing of it in " +
                                                        gateway_->error_output());
  }
};

TEST_F(Reload, LeavesOutASettingThatCanBeReloaded) {
  init();
  start();
  write_settings(
      "max_connections = 77\nmax_connections_per_address = 7\ntimestamp_tolerance_secs = 17\n"
      "hello_deadline_secs = 0.5\nhandshake_deadline_secs = 2\nrequest_deadline_secs = 3\n"
      "processing_deadline_secs = 4\nwrite_deadline_secs = 6\nmetrics_allow = [\"10.0.0.0/8\"]\n"
      "log_level = \"debug\"\n");
  EXPECT_THAT(reload("SIGHUP: max_connections is 77"),
              HasSubstr("SIGHUP: max_connections is 77 now, was 10000"));
  ASSERT_TRUE(gateway_->wait_for_error_line("SIGHUP: settings read again"));
  const std::string text = command({"status"}).output;
  for (const char* line : {"  max_connections: 77\n", "  max_connections_per_address: 7\n",
                           "  timestamp_tolerance_secs: 17\n", "  hello_deadline_secs: 0.5\n",
                           "  handshake_deadline_secs: 2\n", "  request_deadline_secs: 3\n",
                           "  processing_deadline_secs: 4\n", "  write_deadline_secs: 6\n",
                           "  metrics_allow: [\"10.0.0.0/8\"]\n", "  log_level: debug\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(Reload, LetsTheFileGoOverAFlag) {
  init();
  start({"--max-connections=50"});
  write_settings("max_connections = 77\nmax_connections_per_address = 7\n");
  reload("SIGHUP: settings read again");
  EXPECT_EQ(status("  max_connections"), "50");
  EXPECT_EQ(status("  max_connections_per_address"), "7");
}

TEST_F(Reload, TakesPartOfAFileThatIsWrong) {
  init();
  start();
  write_settings("max_connections = 77\nthreads = \"many\"\n");
  EXPECT_THAT(reload("the settings stay as they were"), HasSubstr("lp-gateway.toml:2: threads"));
  EXPECT_EQ(status("  max_connections"), "10000");

  write_settings("max_connections = 77\nuse_mock_ecash = false\nunknown_key = 1\n");
  EXPECT_THAT(reload("the settings stay as they were"), HasSubstr("unknown key"));
  EXPECT_EQ(status("  max_connections"), "10000");

  // Right in itself, and more than the limit of open files allows.
  write_settings("max_connections = 1000000\n");
  const std::string refused = reload("SIGHUP: ");
  if (refused.find("hard limit") != std::string::npos) {
    EXPECT_EQ(status("  max_connections"), "10000");
  } else {
    EXPECT_EQ(status("  max_connections"), "1000000");
  }

  write_settings("max_connections = 78\n");
  reload("SIGHUP: settings read again");
  EXPECT_EQ(status("  max_connections"), "78");
}

TEST_F(Reload, ForgetsWhatItHasReloadedBefore) {
  init();
  start();
  write_settings("max_connections = 77\n");
  reload("SIGHUP: settings read again");
  write_settings("");
  EXPECT_THAT(reload("SIGHUP: max_connections"), HasSubstr("is 10000 now, was 77"));
  ASSERT_TRUE(gateway_->wait_for_error_line("SIGHUP: settings read again"));
  EXPECT_EQ(status("  max_connections"), "10000");
}

TEST_F(Reload, IsSilentAboutWhatTakesARestart) {
  init();
  start();
  write_settings("ipv4_pool = \"10.9.0.0/16\"\nwireguard_announced_port = 5\n");
  EXPECT_THAT(reload("wireguard_announced_port"),
              HasSubstr("wireguard_announced_port = 5 takes a restart, stays 51822 until then"));
  EXPECT_THAT(reload("ipv4_pool"), HasSubstr("takes a restart"));  // said each time
}

TEST_F(Reload, LogsAPresharedKey) {
  init();
  start();
  const std::string key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
  write_settings("wireguard_preshared_key = \"" + key + "\"\n");
  EXPECT_THAT(reload("wireguard_preshared_key"), HasSubstr("<redacted>"));
  EXPECT_THAT(gateway_->error_output(), testing::Not(HasSubstr(key)));
}

TEST_F(Reload, EndsAConnectionOrTheProcessWhenItComesInADeluge) {
  init();
  start();
  for (int i = 0; i < 200; ++i)
    gateway_->send_signal(SIGHUP);
  EXPECT_EQ(status("ready"), "true");
  gateway_->send_signal(SIGTERM);
  EXPECT_EQ(gateway_->wait().code, 0);
}

}  // namespace
}  // namespace lp::gateway::app
