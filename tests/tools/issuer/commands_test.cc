// The command line: what is refused, with which exit code, and that the sentence names it.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <boost/json.hpp>
#include <sstream>

#include "lib/crypto/random.h"
#include "tests/lib/net/certificates.h"
#include "tests/tools/issuer/issuer_program.h"

namespace lp::issuer::test {
namespace {

using testing::HasSubstr;

class Commands : public testing::Test {
 protected:
  [[nodiscard]] std::string data_dir() const { return (dir_ / "issuer").string(); }
  void init(std::vector<std::string> flags = {}) const {
    flags.insert(flags.begin(), {"init", "--data-dir", data_dir()});
    const auto made = lp_issuer(std::move(flags));
    ASSERT_EQ(made.ended.code, 0) << made.error_output;
  }
  void expect_refused(std::vector<std::string> args, int code, const std::string& sentence) const {
    std::string line;
    for (const auto& arg : args)
      line += arg + " ";
    const auto finished = lp_issuer(std::move(args));
    EXPECT_EQ(finished.ended.code, code) << line << "\n" << finished.error_output;
    EXPECT_THAT(finished.error_output, HasSubstr(sentence)) << line;
    EXPECT_EQ(finished.output, "") << line;
  }

  TempDir dir_;
};

TEST_F(Commands, InitMakesOneFileThatNobodyElseReadsAndOverwritesNothing) {
  init({"--contract", "n1mine"});
  struct stat status{};
  ASSERT_EQ(::stat(data_dir().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  ASSERT_EQ(::stat((data_dir() + "/issuer.sqlite").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  const auto before = lp_issuer({"keys", "--data-dir", data_dir()});
  EXPECT_THAT(before.output, HasSubstr("contract n1mine, epochs of 7d, kept 1d after expiry"));
  expect_refused({"init", "--data-dir", data_dir()}, 73, "is there already");
  EXPECT_EQ(lp_issuer({"keys", "--data-dir", data_dir()}).output, before.output);
}

TEST_F(Commands, WrongArgumentsAreNamed) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong{
      {{}, "a command is missing: init, run, token, keys"},
      {{"dance"}, "there is no command \"dance\""},
      {{"dance", "--data-dir", "x"}, "there is no command \"dance\""},
      {{"run", "dance"}, "unexpected argument \"dance\""},
      {{"run", "--prot", "1"}, "--prot"},
      {{"run", "--http-port", "65536"}, "--http-port"},
      {{"run", "--http-port", "x"}, "--http-port"},
      {{"run", "--log-level", "loud"}, "--log-level"},
      {{"run", "--log-format", "xml"}, "--log-format must be auto, text, json or journal"},
      {{"run", "--tls-cert", "a"}, "--tls-cert and --tls-key"},
      {{"run", "--tickets", "5"}, "--tickets"},
      {{"run", "--epoch-length", "5s"}, "--epoch-length"},
      {{"run", "--ephemeral", "--data-dir", "x"}, "--data-dir"},
      {{"init", "--epoch-length", "31d"}, "--epoch-length"},
      {{"init", "--epoch-length", "0"}, "--epoch-length"},
      {{"init", "--contract", "a/b"}, "--contract"},
      {{"token"}, "a command is missing: add, list, revoke"},
      {{"token", "dance"},
       "there is no command \"dance\", but add, list, revoke\nTry lp-issuer token"},
      {{"token", "add"}, "--tickets"},
      {{"token", "add", "--tickets", "-1"}, "--tickets"},
      {{"token", "add", "--tickets-for", "V1=3"}, "V1=3"},
      {{"token", "add", "--tickets", "1", "--label", "a\nb"}, "--label"},
      {{"token", "revoke"}, "id"},
      {{"token", "revoke", "x"}, "id"},
      {{"keys", "turn"}, "there is no command \"turn\""},
  };
  for (const auto& [args, sentence] : wrong)
    expect_refused(args, 64, sentence);
}

TEST_F(Commands, DirectoryWithoutAnIssuerIsNamedWithWhatMakesOne) {
  for (const std::vector<std::string>& command : {std::vector<std::string>{"run"},
                                                  {"keys"},
                                                  {"keys", "rotate"},
                                                  {"token", "list"},
                                                  {"token", "revoke", "1"},
                                                  {"token", "add", "--tickets", "1"}}) {
    auto args = command;
    args.insert(args.end(), {"--data-dir", data_dir()});
    expect_refused(args, 78, "lp-issuer init");
  }
}

TEST_F(Commands, FileThatOthersCanReadIsNotUsed) {
  init();
  ASSERT_EQ(::chmod((data_dir() + "/issuer.sqlite").c_str(), 0640), 0);
  expect_refused({"run", "--data-dir", data_dir()}, 78, "others can read the signing keys");
}

TEST_F(Commands, FileThatIsNoDatabaseIsNotUsed) {
  init();
  lp::test::write_file(data_dir() + "/issuer.sqlite", std::string(8192, 'x'), 0600);
  expect_refused({"run", "--data-dir", data_dir()}, 69, "issuer.sqlite");
}

TEST_F(Commands, AddressBeyondLoopbackNeedsTls) {
  init();
  for (const char* address : {"0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1"}) {
    expect_refused({"run", "--data-dir", data_dir(), "--http-address", address}, 78,
                   "only loopback");
  }
  expect_refused({"run", "--data-dir", data_dir(), "--http-address", "localhost"}, 78,
                 "no IP address");
}

TEST_F(Commands, PortInUseIsNamed) {
  const auto first = IssuerProgram::ephemeral();
  const std::string port = first.address().substr(first.address().rfind(':') + 1);
  expect_refused({"run", "--ephemeral", "--http-port", port, "--log-level", "off"}, 69,
                 first.address());
}

TEST_F(Commands, TlsFilesThatDoNotDoAreNamed) {
  const lp::test::CertificateAuthority authority;
  const auto one = authority.issue("DNS:localhost");
  const auto other = authority.issue("DNS:localhost");
  lp::test::write_file(dir_ / "cert.pem", one.certificate);
  lp::test::write_file(dir_ / "key.pem", one.key, 0600);
  lp::test::write_file(dir_ / "other.pem", other.key, 0600);
  lp::test::write_file(dir_ / "open.pem", one.key, 0644);
  lp::test::write_file(dir_ / "junk.pem", "junk", 0600);
  const auto refused = [this](const char* certificate, const char* key, const char* sentence) {
    expect_refused({"run", "--ephemeral", "--log-level", "off", "--tls-cert",
                    (dir_ / certificate).string(), "--tls-key", (dir_ / key).string()},
                   78, sentence);
  };
  refused("none.pem", "key.pem", "none.pem: cannot be read");
  refused("cert.pem", "none.pem", "none.pem: cannot be read");
  refused("junk.pem", "key.pem", "junk.pem");
  refused("cert.pem", "junk.pem", "junk.pem");
  refused("cert.pem", "other.pem", "other.pem");
  refused("cert.pem", "open.pem", "open.pem");
}

TEST_F(Commands, EnvironmentIsBelowTheFlagAndAboveTheDefault) {
  init({"--contract", "n1env"});
  const auto keys = [](std::vector<std::string> args, const std::string& environment) {
    return lp::test::run({.program = lp::test::program("lp-issuer"),
                          .args = std::move(args),
                          .environment = {{"LP_ISSUER_DATA_DIR", environment}}})
        .output;
  };
  EXPECT_THAT(keys({"keys"}, data_dir()), HasSubstr("n1env"));
  EXPECT_THAT(keys({"keys", "--data-dir", data_dir()}, "/nowhere"), HasSubstr("n1env"));
}

TEST_F(Commands, TokensAreListedWithWhatTheyUsed) {
  init();
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{"--tickets", "7", "--label", "first"},
        {"--tickets-for", "V1MixnetExit=3", "--tickets-for", "V1MixnetEntry=4"}}) {
    auto args = flags;
    args.insert(args.begin(), {"token", "add", "--data-dir", data_dir()});
    const auto added = lp_issuer(args);
    ASSERT_EQ(added.ended.code, 0) << added.error_output;
    EXPECT_THAT(added.output, testing::MatchesRegex("lpi_[1-9A-HJ-NP-Za-km-z]+\n"));
  }
  EXPECT_EQ(lp_issuer({"token", "revoke", "2", "--data-dir", data_dir()}).ended.code, 0);
  expect_refused({"token", "revoke", "2", "--data-dir", data_dir()}, 69, "no token 2");
  expect_refused({"token", "revoke", "3", "--data-dir", data_dir()}, 69, "no token 3");
  const auto list = lp_issuer({"token", "list", "--data-dir", data_dir()}).output;
  EXPECT_THAT(list, testing::ContainsRegex("1 +[0-9T:Z-]+ +valid +0/7 +first\n"));
  EXPECT_THAT(
      list, testing::ContainsRegex("2 +[0-9T:Z-]+ +revoked +0 V1MixnetEntry=0/4 V1MixnetExit=0/3"));
  const auto tokens =
      boost::json::parse(lp_issuer({"token", "list", "--json", "--data-dir", data_dir()}).output);
  EXPECT_EQ(tokens.at(0).at("allowed").as_int64(), 7);
  EXPECT_TRUE(tokens.at(0).at("revoked_at").is_null());
  EXPECT_TRUE(tokens.at(1).at("allowed").is_null());
  EXPECT_TRUE(tokens.at(1).at("revoked_at").is_int64());
  EXPECT_EQ(tokens.at(1).at("ticket_types").at("V1MixnetExit").at("allowed").as_int64(), 3);
}

TEST_F(Commands, RotationStopsWhereGatewaysWouldNotFindTheKey) {
  init({"--epoch-length", "30d"});
  expect_refused({"keys", "rotate", "--data-dir", data_dir()}, 69, "60d");
}

TEST_F(Commands, LogIsInTheFormatThatWasAskedFor) {
  auto child = lp::test::Child({.program = lp::test::program("lp-issuer"),
                                .args = {"run", "--ephemeral", "--log-format", "json"},
                                .environment = {{"TMPDIR", dir_.path().string()}}});
  const auto ready = child.read_line();
  ASSERT_TRUE(ready) << child.error_output();
  child.send_signal(SIGTERM);
  EXPECT_EQ(child.wait().code, 0);
  std::istringstream log(child.error_output());
  std::vector<std::string> messages;
  for (std::string line; std::getline(log, line);) {
    boost::system::error_code error;
    const auto value = boost::json::parse(line, error);
    ASSERT_FALSE(error) << line;
    EXPECT_EQ(value.at("level"), "info") << line;
    messages.emplace_back(value.at("message").as_string());
  }
  EXPECT_THAT(messages, testing::ElementsAre(HasSubstr(" serves HTTP on "),
                                             "SIGTERM: shutting down", "stopped"));
  const std::string token = ready->substr(ready->rfind("token=") + 6);
  EXPECT_GE(token.size(), 16u);
  EXPECT_THAT(child.error_output(), testing::Not(HasSubstr(token)));
}

TEST_F(Commands, FullStandardOutputIsNoSuccess) {
  for (const char* flag : {"--version", "--help"}) {
    const auto shown = lp::test::run({.program = "/bin/sh",
                                      .args = {"-c", "exec \"$0\" \"$1\" >/dev/full",
                                               lp::test::program("lp-issuer").string(), flag}});
    EXPECT_EQ(shown.ended.code, 73) << flag;
  }
}

TEST_F(Commands, EphemeralIssuerLeavesNothing) {
  auto child = lp::test::Child({.program = lp::test::program("lp-issuer"),
                                .args = {"run", "--ephemeral", "--log-level", "off"},
                                .environment = {{"TMPDIR", dir_.path().string()}}});
  ASSERT_TRUE(child.read_line());
  EXPECT_FALSE(std::filesystem::is_empty(dir_.path()));
  child.send_signal(SIGINT);
  EXPECT_EQ(child.wait().code, 0);
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
}

}  // namespace
}  // namespace lp::issuer::test
