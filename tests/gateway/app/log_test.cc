// What a gateway logs: no secret at any level, and lines that a machine can read.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <csignal>
#include <regex>
#include <sstream>

#include "gateway/app/key_file.h"
#include "lib/base/encoding.h"
#include "tests/gateway/app/gateway_process.h"
#include "tests/support/postgres_server.h"
#include "tests/support/raw_client.h"

namespace lp::gateway::app {
namespace {

constexpr std::string_view password = "pw-that-nobody-may-see";
constexpr std::string_view preshared_key = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=";

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

/// Bytes that are nobody's business, with a name for them.
struct Kept {
  std::string name;
  Bytes bytes;
};

class LogOfAGateway : public GatewayProcess, public testing::WithParamInterface<const char*> {
 protected:
  void TearDown() override {
    if (HasFailure() && gateway_) std::fputs(gateway_->error_output().c_str(), stderr);
  }

  void keep(std::string name, ByteView bytes) {
    kept_.push_back({std::move(name), Bytes(bytes.begin(), bytes.end())});
  }

  void keep_key(std::string_view file) {
    const auto key = read_key_file(in_data_dir(file), "key");
    ASSERT_TRUE(key) << key.error().sentence;
    keep(std::string(file), key->bytes());
  }

  [[nodiscard]] test::RawClient client(bool with_right_key = true) const {
    return {with_right_key ? key_ : crypto::X25519KeyPair::generate().public_key,
            SystemWallClock().now()};
  }
  [[nodiscard]] test::RawConnection connect() const {
    return {"127.0.0.1",
            static_cast<std::uint16_t>(std::stoi(ready_.lp.substr(ready_.lp.rfind(':') + 1)))};
  }

  /// Whether the gateway registers it. The ticket is kept.
  bool registers(const messages::RegistrationRequest& request) {
    keep("nullifier", request.credential.nullifier);
    keep("signature", request.credential.signature);
    auto connection = connect();
    auto client = this->client();
    if (!shake_hands(connection, client)) return false;
    const auto response = register_at(connection, client, request);
    return response && response->success;
  }

  /// All that can be made to go wrong from outside, and what goes well.
  void provoke() {
    const auto request = test::dvpn_request(SystemWallClock().now());
    EXPECT_TRUE(registers(request));
    auto spent = test::dvpn_request(SystemWallClock().now());
    spent.credential = request.credential;
    EXPECT_FALSE(registers(spent));
    auto no_key = test::dvpn_request(SystemWallClock().now());
    no_key.wg_public_key = "\x1b[2J\n";
    EXPECT_FALSE(registers(no_key));

    auto stranger = client(false);
    auto refused = connect();
    EXPECT_FALSE(shake_hands(refused, stranger));
    auto garbage = connect();
    EXPECT_TRUE(garbage.send(Bytes{4, 0, 0, 0, 0x1b, '[', '2', 'J'}));
    garbage.shut_down_sending();
    (void)garbage.receive_until_closed();
    auto malformed = connect();
    auto known = client();
    EXPECT_TRUE(shake_hands(malformed, known));
    malformed.send(known.encrypt(request.credential.nullifier));
    (void)malformed.receive_until_closed();
  }

  void expect_no_secret(const std::string& output) {
    EXPECT_GE(kept_.size(), 6u);
    for (const auto& [name, bytes] : kept_) {
      // Sixteen bytes are as good as all of them.
      const ByteView start = ByteView(bytes).first(std::min<std::size_t>(bytes.size(), 16));
      for (const auto& shown : {to_hex(start), to_base58(bytes), to_base64(bytes).substr(0, 20)})
        EXPECT_EQ(output.find(shown), std::string::npos) << name << " as " << shown;
    }
    EXPECT_EQ(output.find(password), std::string::npos);
    EXPECT_EQ(output.find(preshared_key), std::string::npos);
  }

  void expect_lines(const std::string& log) {
    const bool is_json = std::string_view(GetParam()) == "json";
    static const std::regex time(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)");
    static const std::regex text(
        R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (trace|debug|info|warning|error): .+)");
    const auto lines = lines_of(log);
    EXPECT_GT(lines.size(), 8u);
    for (const auto& line : lines) {
      if (!is_json) {
        EXPECT_TRUE(std::regex_match(line, text)) << line;
        continue;
      }
      boost::system::error_code error;
      const auto value = boost::json::parse(line, error);
      ASSERT_FALSE(error) << line;
      EXPECT_TRUE(std::regex_match(value.at("time").as_string().c_str(), time)) << line;
      EXPECT_FALSE(value.at("level").as_string().empty());
      EXPECT_FALSE(value.at("message").as_string().empty());
    }
  }

  crypto::X25519Public key_;
  std::vector<Kept> kept_;
};

TEST_P(LogOfAGateway, ShowsASecretOrBreaksItsFormat) {
  if (!test::PostgresServer::installed()) GTEST_SKIP() << test::PostgresServer::not_installed;
  test::PostgresServer postgres;
  postgres.create_database("log");
  std::string url = postgres.url("log");
  url.replace(url.find("lp@"), 3, fmt::format("lp:{}@", password));
  init();
  ASSERT_NO_FATAL_FAILURE(
      start({"--storage", url, "--instance", "a", "--wireguard-announced-address", "127.0.0.1",
             "--log-level", "trace", "--log-format", GetParam(), "--wireguard-preshared-key",
             std::string(preshared_key)}));
  keep_key("identity.key");
  keep_key("wireguard.key");
  keep("preshared key", from_base64(preshared_key).value());
  key_ = crypto::Identity::from_base58(ready_.identity).value().to_x25519().value();

  provoke();
  if (std::string_view(GetParam()) == "json") {  // once: a gateway waits for its database
    postgres.stop(test::PostgresServer::Stop::fast);
    EXPECT_FALSE(registers(test::dvpn_request(SystemWallClock().now())));
    postgres.start();
  }
  gateway_->send_signal(SIGHUP);
  ASSERT_TRUE(gateway_->wait_for_error_line("SIGHUP: settings read again"));
  gateway_->send_signal(SIGTERM);
  EXPECT_EQ(gateway_->wait().code, 0);

  const std::string log = gateway_->error_output();
  expect_no_secret(gateway_->output() + log);
  expect_lines(log);
  // The lines that a stranger caused have his address in a field of its own.
  for (const char* what :
       {"ClientHello refused", "handshake refused", "registration refused", "registered"})
    EXPECT_THAT(log, testing::HasSubstr(what));
  EXPECT_THAT(log, testing::HasSubstr(
                       std::string_view(GetParam()) == "json"
                           ? R"("cause":"credential_already_spent","peer":"127.0.0.1","lp_id":)"
                           : " cause=credential_already_spent peer=127.0.0.1 lp_id="));
}

INSTANTIATE_TEST_SUITE_P(Formats, LogOfAGateway, testing::Values("text", "json"));

class Log : public GatewayProcess {
 protected:
  /// The log of a gateway that is told that the journal is DEVICE:INODE of its standard error and
  /// then `more`.
  std::string log_with_journal_at(const std::string& more) {
    gateway_.emplace(
        test::ChildOptions{.program = "/bin/sh",
                           .args = {"-c",
                                    "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2)" +
                                        more + "; exec \"$0\" run --ephemeral",
                                    test::program("lp-gateway").string()},
                           .environment = {{"TMPDIR", dir_.path().string()}}});
    EXPECT_TRUE(gateway_->read_line()) << gateway_->error_output();
    gateway_->send_signal(SIGTERM);
    EXPECT_EQ(gateway_->wait().code, 0);
    return gateway_->error_output();
  }
};

TEST_F(Log, HasATimeOfItsOwnInTheJournal) {
  const std::string log = log_with_journal_at("");
  EXPECT_THAT(log, testing::HasSubstr("<4>MOCK E-CASH"));
  EXPECT_THAT(log, testing::HasSubstr("<6>stopped\n"));
  for (const auto& line : lines_of(log))
    EXPECT_TRUE(line.starts_with('<')) << line;
}

TEST_F(Log, HasNoTimeWhereTheJournalIsElsewhere) {
  EXPECT_THAT(log_with_journal_at("1"), testing::HasSubstr("Z info: stopped\n"));
}

TEST_F(Log, StopsTheGatewayWhereNobodyReadsIt) {
  const std::string pipe = (dir_ / "log").string();
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int reader = ::open(pipe.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  EXPECT_GT(::fcntl(reader, F_SETPIPE_SZ, 4096), 0);  // some fifty lines
  gateway_.emplace(
      test::ChildOptions{.program = "/bin/sh",
                         .args = {"-c", "exec \"$0\" run --ephemeral --log-level trace 2>\"$1\"",
                                  test::program("lp-gateway").string(), pipe},
                         .environment = {{"TMPDIR", dir_.path().string()}}});
  const auto ready = parse_ready(gateway_->read_line().value_or(""));
  ASSERT_TRUE(ready);
  const auto port =
      static_cast<std::uint16_t>(std::stoi(ready->lp.substr(ready->lp.rfind(':') + 1)));
  for (int i = 0; i < 300; ++i) {
    test::RawConnection garbage("127.0.0.1", port);
    EXPECT_TRUE(garbage.send(Bytes(100)));
    garbage.shut_down_sending();
    ASSERT_TRUE(garbage.receive_until_closed()) << i;
  }
  gateway_->send_signal(SIGTERM);
  EXPECT_EQ(gateway_->wait().code, 0);
  ::close(reader);
}

}  // namespace
}  // namespace lp::gateway::app
