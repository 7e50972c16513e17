// `lp-gateway run`: the real program from start to end.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <optional>

#include "tests/gateway/app/gateway_process.h"

namespace lp::gateway::app {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

/// A client's connection to ADDR:PORT of 127.0.0.1.
class Connection {
 public:
  explicit Connection(const std::string& address) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~Connection() { ::close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  [[nodiscard]] bool connected() const { return connected_; }
  void send(std::string_view text) const {
    ASSERT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  /// What comes until the other side closes.
  [[nodiscard]] std::string read_to_end() const {
    std::string text;
    std::array<char, 4096> buffer;
    for (ssize_t count = 1; count > 0;) {
      count = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (count > 0) text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return text;
  }

 private:
  int fd_;
  bool connected_ = false;
};

class Run : public GatewayProcess {
 protected:
  void start_ephemeral(const std::vector<std::string>& more = {}) {
    gateway_.emplace(
        test::ChildOptions{.program = test::program("lp-gateway"),
                           .args = std::vector<std::string>{"run", "--ephemeral"} + more,
                           .environment = {{"TMPDIR", dir_.path().string()},
                                           {"LP_GATEWAY_DATA_DIR", "/no/such/directory"}}});
    const auto line = gateway_->read_line();
    ASSERT_TRUE(line) << gateway_->error_output();
    const auto ready = parse_ready(*line);
    ASSERT_TRUE(ready) << *line;
    ready_ = *ready;
  }
  /// The one directory in the test's own.
  std::filesystem::path only_entry() const {
    const std::filesystem::directory_iterator entries(dir_.path());
    return entries == std::filesystem::directory_iterator() ? "" : entries->path();
  }
  test::Finished probe(const std::vector<std::string>& more = {}) const {
    return test::run(
        {.program = test::program("lp-probe"),
         .args = std::vector<std::string>{ready_.identity + "@" + ready_.lp,
                                          "--only-lp-registration", "--use-mock-ecash"} +
                 more});
  }
};

TEST_F(Run, PrintsAnotherLineThanTheReadyLine) {
  init();
  start();
  EXPECT_EQ(gateway_->output(), "ready lp=" + ready_.lp + " http=" + ready_.http +
                                    " identity=" + ready_.identity + "\n");
  EXPECT_THAT(ready_.lp, MatchesRegex("127.0.0.1:[1-9][0-9]+"));
  EXPECT_THAT(ready_.http, MatchesRegex("127.0.0.1:[1-9][0-9]+"));
  EXPECT_EQ(command({"identity"}).output, ready_.identity + "\n");
  gateway_->send_signal(SIGTERM);
  EXPECT_EQ(gateway_->wait().code, 0);
  EXPECT_THAT(gateway_->output(), MatchesRegex("ready [^\n]*\n"));
}

TEST_F(Run, SaysReadyBeforeItServes) {
  init();
  start();
  EXPECT_TRUE(Connection(ready_.lp).connected());
  EXPECT_TRUE(Connection(ready_.http).connected());
  EXPECT_EQ(status("ready"), "true");
}

TEST_F(Run, EphemeralLeavesSomethingBehind) {
  start_ephemeral();
  EXPECT_TRUE(std::filesystem::exists(only_entry() / "gateway.sqlite"));
  EXPECT_EQ(probe().ended.code, 0);
  gateway_->send_signal(SIGTERM);
  EXPECT_EQ(gateway_->wait().code, 0);
  EXPECT_EQ(only_entry(), "");
}

TEST_F(Run, EphemeralThatCannotStartLeavesSomethingBehind) {
  const auto finished = test::run({.program = test::program("lp-gateway"),
                                   .args = {"run", "--ephemeral", "--bind-address=0.0.0.0"},
                                   .environment = {{"TMPDIR", dir_.path().string()}}});
  EXPECT_EQ(finished.ended.code, 78);
  EXPECT_EQ(only_entry(), "");
}

TEST_F(Run, EphemeralIsDeafToFlags) {
  start_ephemeral({"--max-connections=7"});
  data_dir_ = only_entry().string();
  EXPECT_EQ(status("max_connections"), "7");
}

TEST_F(Run, AReplayKernelThatWasAskedForInVainIsNotMentioned) {
  gateway_.emplace(test::ChildOptions{
      .program = test::program("lp-gateway"),
      .args = {"run", "--ephemeral", "--log-level", "warning"},
      .environment = {{"TMPDIR", dir_.path().string()}, {"LP_REPLAY_KERNEL", "abacus"}}});
  ASSERT_TRUE(gateway_->read_line()) << gateway_->error_output();
  EXPECT_TRUE(gateway_->wait_for_error_line("abacus")) << gateway_->error_output();
}

TEST_F(Run, TwoEphemeralGatewaysAreInEachOthersWay) {
  start_ephemeral();
  test::Child second({.program = test::program("lp-gateway"), .args = {"run", "--ephemeral"}});
  const auto line = second.read_line();
  ASSERT_TRUE(line) << second.error_output();
  EXPECT_NE(parse_ready(*line)->identity, ready_.identity);
  second.send_signal(SIGTERM);
  EXPECT_EQ(second.wait().code, 0);
}

TEST_F(Run, AShellWithALowLimitCannotTryIt) {
  test::Child small({.program = test::program("lp-gateway"),
                     .args = {"run", "--ephemeral", "--threads=1"},
                     .open_files_soft = 256,
                     .open_files_hard = 1024});
  EXPECT_TRUE(small.read_line()) << small.error_output();
}

TEST_F(Run, RegistrationsAreLostOverARestart) {
  init();
  start();
  for (const char* mode : {"dvpn", "mixnet"}) {
    const auto finished = probe({"--mode", mode});
    ASSERT_EQ(finished.ended.code, 0) << finished.output << finished.error_output;
  }
  EXPECT_EQ(status("  registrations"), "2");
  EXPECT_EQ(status("  peers"), "1");
  gateway_->send_signal(SIGTERM);
  ASSERT_EQ(gateway_->wait().code, 0);
  start();
  // The comparison at the start puts it back into a WireGuard that has forgotten it.
  EXPECT_EQ(status("  peers"), "1");
}

TEST_F(Run, SigtermWaitsForIdleConnections) {
  init();
  // Deadlines beyond the test's own limit: only shutting down can end these connections.
  start({"--hello-deadline-secs=3600", "--handshake-deadline-secs=3600"});
  std::vector<std::unique_ptr<Connection>> idle;
  for (int i = 0; i < 20; ++i)
    idle.push_back(std::make_unique<Connection>(ready_.lp));
  while (status("active_connections") != "20") {
  }
  gateway_->send_signal(SIGTERM);
  EXPECT_EQ(gateway_->wait().code, 0);
  EXPECT_THAT(gateway_->error_output(), Not(HasSubstr("took too long")));
}

TEST_F(Run, AGatewayThatIsStoppingIsReady) {
  init();
  start();
  const auto ready = [this] {
    const Connection http(ready_.http);
    if (!http.connected()) return std::string();
    http.send("GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return http.read_to_end();
  };
  EXPECT_THAT(ready(), HasSubstr("200 OK"));
  std::optional<Connection> begun(std::in_place, ready_.lp);
  begun->send("x");  // the stop waits some seconds for the rest of it
  while (status("active_connections") != "1") {
  }
  gateway_->send_signal(SIGTERM);
  ASSERT_TRUE(gateway_->wait_for_error_line("SIGTERM: shutting down"));
  std::string answer = ready();
  while (answer.find("200 OK") != std::string::npos)
    answer = ready();
  EXPECT_THAT(answer, HasSubstr(" 503 "));
  EXPECT_THAT(answer, HasSubstr("\ngateway: shutting down\n"));
  begun.reset();
  EXPECT_EQ(gateway_->wait().code, 0);
}

TEST_F(Run, SigintIsNoWayToStopIt) {
  start_ephemeral();
  gateway_->send_signal(SIGINT);
  EXPECT_EQ(gateway_->wait().code, 0);
  EXPECT_EQ(only_entry(), "");
}

TEST_F(Run, ASecondSigtermCutsTheShutdown) {
  init();
  start({"--hello-deadline-secs=3600"});
  const Connection idle(ready_.lp);
  while (status("active_connections") != "1") {
  }
  gateway_->send_signal(SIGTERM);
  ASSERT_TRUE(gateway_->wait_for_error_line("SIGTERM: shutting down"));
  gateway_->send_signal(SIGTERM);
  gateway_->send_signal(SIGHUP);
  EXPECT_EQ(gateway_->wait().code, 0);
  EXPECT_THAT(gateway_->error_output(), HasSubstr("stopped"));
}

TEST_F(Run, ASecondSigintIsIgnored) {
  init();
  start({"--hello-deadline-secs=3600"});
  const Connection idle(ready_.lp);
  while (status("active_connections") != "1") {
  }
  gateway_->send_signal(SIGINT);
  ASSERT_TRUE(gateway_->wait_for_error_line("SIGINT: shutting down"));
  gateway_->send_signal(SIGINT);
  EXPECT_EQ(gateway_->wait().code, 130);
}

TEST_F(Run, AKilledGatewayKeepsTheNextFromStarting) {
  init();
  start();
  EXPECT_EQ(gateway_->kill().signal, SIGKILL);
  EXPECT_TRUE(std::filesystem::exists(in_data_dir("control.sock")));
  start();
  EXPECT_EQ(status("ready"), "true");
}

TEST_F(Run, AClosedPipeKillsIt) {
  init();
  // Nobody reads the ready line: the read end is gone before it is written.
  gateway_.emplace(test::ChildOptions{
      .program = "/bin/bash",
      .args = {"-c", "exec \"$@\" > >(exec <&-; exit)", "bash",
               test::program("lp-gateway").string(), "run", "--data-dir", data_dir_,
               "--bind-address=127.0.0.1", "--control-port=0", "--http-address=127.0.0.1",
               "--http-port=0", "--use-mock-ecash"}});
  ASSERT_TRUE(gateway_->wait_for_error_line("serves LP on")) << gateway_->error_output();
  while (status("ready") != "true") {
  }
  gateway_->send_signal(SIGTERM);
  EXPECT_EQ(gateway_->wait().code, 0);
}

class WithFaultyWireguard : public Run {
 protected:
  static std::string sanitizer_options() {
    const char* const options = std::getenv("TSAN_OPTIONS");
    return options == nullptr ? "" : options;
  }
  void start_faulty(std::string_view script) {
    test::write_file(script_, script);
    test::ChildOptions options = run_options();
    options.program = test::program("lp-gateway-faulty");
    options.environment = {{"LP_TEST_WIREGUARD_SCRIPT", script_.string()},
                           {"LP_TEST_WIREGUARD_LOG", (dir_ / "log").string()},
                           // A thread inside a backend that hangs cannot be joined.
                           {"TSAN_OPTIONS", sanitizer_options() + ":report_thread_leaks=0"}};
    gateway_.emplace(options);
    const auto ready = parse_ready(gateway_->read_line().value_or(""));
    ASSERT_TRUE(ready) << gateway_->error_output();
    ready_ = *ready;
  }
  std::filesystem::path script_ = dir_ / "script";
};

TEST_F(WithFaultyWireguard, TheFaultDoesNotComeToPass) {
  init();
  start_faulty("add * fail 1\n");
  const auto failed = probe();
  EXPECT_EQ(failed.ended.code, 2);
  EXPECT_THAT(failed.output + failed.error_output, HasSubstr("WireGuard peer registration failed"));
  EXPECT_EQ(status("  peers"), "0");
  EXPECT_EQ(probe().ended.code, 0);
  EXPECT_EQ(status("  peers"), "1");
  EXPECT_THAT(test::read_file(dir_ / "log"), HasSubstr(" fail\n"));

  test::write_file(script_, "add * crash\n");
  EXPECT_NE(probe().ended.code, 0);
  EXPECT_EQ(gateway_->wait().signal, SIGKILL);
}

TEST_F(WithFaultyWireguard, AHangingBackendOutlivesSigterm) {
  init();
  start_faulty("add * hang-600000\n");
  test::Child waiting(
      {.program = test::program("lp-probe"),
       .args = {ready_.identity + "@" + ready_.lp, "--only-lp-registration", "--use-mock-ecash"}});
  while (status("registrations_in_flight") != "1") {
    ASSERT_TRUE(waiting.running()) << waiting.output();
  }
  gateway_->send_signal(SIGTERM);
  EXPECT_EQ(gateway_->wait().code, 0);
  // The database was closed in order all the same: its journal is gone.
  EXPECT_FALSE(std::filesystem::exists(in_data_dir("gateway.sqlite-wal")));
  // What was half done when it ended is undone or completed by the next start.
  test::write_file(script_, "");
  start_faulty("");
  EXPECT_EQ(status("ready"), "true");
  EXPECT_EQ(probe().ended.code, 0);
}

}  // namespace
}  // namespace lp::gateway::app
