// The real lp-probe against a gateway that misbehaves: codes, exit statuses, what goes where.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <csignal>
#include <thread>

#include "lib/base/encoding.h"
#include "probes/errors.h"
#include "tests/probes/scripted_http.h"
#include "tests/probes/tunnel/scripted_wireguard.h"
#include "tests/support/process.h"
#include "tests/support/scripted_gateway.h"

namespace lp::probe {
namespace {

namespace json = boost::json;
using test::Fault;
using test::Finished;
using test::ScriptedGateway;
using test::ScriptedHttp;

/// Without the user's own settings.
test::ChildOptions probe_options(std::vector<std::string> args,
                                 std::map<std::string, std::optional<std::string>> variables = {}) {
  variables.emplace("HOME", "/nonexistent");
  variables.emplace("XDG_CONFIG_HOME", std::nullopt);
  return {.program = test::program("lp-probe"),
          .args = std::move(args),
          .environment = std::move(variables)};
}

Finished probe(std::vector<std::string> args,
               std::map<std::string, std::optional<std::string>> variables = {}) {
  return test::run(probe_options(std::move(args), std::move(variables)));
}

/// --use-mock-ecash --only-lp-registration and these.
Finished register_with(std::vector<std::string> args) {
  args.insert(args.begin(), {"--use-mock-ecash", "--only-lp-registration"});
  return probe(std::move(args));
}

json::object json_result(const Finished& finished) {
  boost::system::error_code error;
  const auto value = json::parse(finished.output, error);
  EXPECT_FALSE(error) << finished.output << finished.error_output;
  return error || !value.is_object() ? json::object{} : value.as_object();
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

struct FaultCase {
  Fault fault;
  std::string stage;
  std::string code;
  std::vector<std::string> args = {};
};
std::ostream& operator<<(std::ostream& out, const FaultCase& value) {
  return out << value.code;
}

class BinaryFaultTest : public testing::TestWithParam<FaultCase> {};

TEST_P(BinaryFaultTest, HasItsCodeStageAndExitStatus) {
  const auto& [fault, stage, code, extra] = GetParam();
  const ScriptedGateway gateway({.fault = fault, .sentence = "Credential already spent"});
  std::vector<std::string> args{"--format", "json", gateway.target()};
  args.insert(args.end(), extra.begin(), extra.end());
  const auto finished = register_with(args);
  EXPECT_EQ(finished.ended.code, 2);
  const auto result = json_result(finished);
  ASSERT_TRUE(result.contains("error_code")) << finished.error_output;
  EXPECT_EQ(result.at("error_code"), json::string(code)) << finished.output;
  EXPECT_EQ(result.at("failed_stage"), json::string(stage)) << finished.output;
  EXPECT_FALSE(result.at("hint").as_string().empty());
}

INSTANTIATE_TEST_SUITE_P(
    All, BinaryFaultTest,
    testing::Values(
        FaultCase{Fault::busy, "client_hello", "busy"},
        FaultCase{Fault::close_after_hello, "client_hello", "closed_after_client_hello"},
        FaultCase{
            Fault::silence, "handshake", "handshake_timeout", {"--handshake-timeout", "100ms"}},
        FaultCase{Fault::busy_with_content, "handshake", "busy_with_content"},
        FaultCase{Fault::speak_http, "handshake", "frame_oversize"},
        FaultCase{Fault::short_packet, "handshake", "packet_too_short"},
        FaultCase{Fault::version_2, "handshake", "version_unsupported"},
        FaultCase{Fault::unknown_type, "handshake", "message_type_unknown"},
        FaultCase{Fault::encrypted_type, "handshake", "unexpected_message"},
        FaultCase{Fault::long_message_2, "handshake", "packet_size_unexpected"},
        FaultCase{Fault::half_message_2, "handshake", "closed_mid_frame"},
        FaultCase{Fault::other_session_id, "handshake", "session_id_mismatch"},
        FaultCase{Fault::other_counter, "handshake", "counter_unexpected"},
        FaultCase{Fault::corrupt_message_2, "handshake", "noise_decrypt"},
        FaultCase{Fault::close_after_request, "handshake", "closed_after_handshake"},
        FaultCase{Fault::silence_after_request,
                  "response",
                  "response_timeout",
                  {"--registration-timeout", "100ms"}},
        FaultCase{Fault::many_other_session_ids, "response", "too_many_dropped"},
        FaultCase{Fault::refusal, "response", "credential_spent"},
        FaultCase{Fault::refusal_without_text, "response", "registration_rejected"},
        FaultCase{Fault::no_gateway_data, "response", "missing_gateway_data"},
        FaultCase{Fault::zero_gateway_key, "response", "gateway_data_invalid"},
        FaultCase{Fault::not_a_response, "response", "response_malformed"}));

TEST(BinaryTest, EveryRefusalOfAGatewayHasItsCode) {
  for (const auto& row : messages::registration_errors) {
    const ScriptedGateway gateway({.fault = Fault::refusal, .sentence = std::string(row.sentence)});
    const auto finished = register_with({"--format", "json", gateway.target()});
    EXPECT_EQ(finished.ended.code, 2);
    EXPECT_EQ(json_result(finished).at("error_code"), json::string(row.probe_code));
  }
}

TEST(BinaryTest, RegistersInBothModes) {
  const ScriptedGateway gateway;
  const auto dvpn = register_with({"--format", "json", gateway.target()});
  EXPECT_EQ(dvpn.ended.code, 0) << dvpn.output << dvpn.error_output;
  EXPECT_EQ(dvpn.error_output, "");
  EXPECT_EQ(json_result(dvpn).at("outcome").at("lp").at("can_register"), true);
  const auto mixnet = register_with({"--format", "json", "--mode", "mixnet", gateway.target()});
  EXPECT_EQ(mixnet.ended.code, 0) << mixnet.output;
  EXPECT_TRUE(json_result(mixnet).at("gateway_data").is_null());
  const auto requests = gateway.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].ticket_type, messages::TicketType::v1_wireguard_entry);
  EXPECT_EQ(requests[1].ticket_type, messages::TicketType::v1_mixnet_entry);
  EXPECT_TRUE(std::holds_alternative<messages::Mixnet>(requests[1].mode));
  EXPECT_TRUE(messages::parse_wg_public_key(requests[0].wg_public_key));
}

TEST(BinaryTest, AddressAndIdentityMayBeFlagsOfTheirOwn) {
  const ScriptedGateway gateway;
  const auto finished = register_with({"--identity", gateway.identity().to_base58(), "--lp-address",
                                       fmt::format("127.0.0.1:{}", gateway.port())});
  EXPECT_EQ(finished.ended.code, 0) << finished.output << finished.error_output;
}

TEST(BinaryTest, TunnelThatIsNotThereFailsAfterTheRegistration) {
  const ScriptedGateway gateway;  // which has no WireGuard
  const auto finished = probe({"--use-mock-ecash", "--tunnel-handshake-timeout", "300ms",
                               "--format", "json", gateway.target()});
  EXPECT_EQ(finished.ended.code, 2) << finished.output << finished.error_output;
  const auto result = json_result(finished);
  EXPECT_EQ(result.at("failed_stage"), "tunnel");
  EXPECT_EQ(result.at("error_code").as_string().find("wireguard_"), 0u) << finished.output;
  EXPECT_EQ(result.at("outcome").at("lp").at("can_register"), true);
  EXPECT_EQ(result.at("outcome").at("wg").at("can_handshake_v4"), false);
}

/// Flags for what ScriptedWireguard answers.
std::vector<std::string> tunnel_flags() {
  return {"--netstack-num-ping",      "2",           "--netstack-ping-ips-v4",   "192.0.2.1",
          "--netstack-ping-ips-v6",   "2001:db8::1", "--netstack-ping-hosts-v4", "a.example",
          "--netstack-ping-hosts-v6", "a.example",   "--netstack-v4-dns",        "192.0.2.53",
          "--netstack-v6-dns",        "2001:db8::53"};
}

TEST(BinaryTest, TunnelOfAFileIsCheckedWithoutARegistration) {
  const test::ScriptedWireguard gateway;
  const test::TempDir dir;
  const auto config = (dir / "wg.conf").string();
  const auto write = [&](std::string_view key, unsigned mode) {
    test::write_file(
        config,
        fmt::format("[Interface]\nPrivateKey = {}\nAddress = 10.1.0.7/32, fc01::7/128\n"
                    "[Peer]\nPublicKey = {}\nEndpoint = {}\n",
                    key, to_base64(gateway.public_key().bytes), gateway.endpoint().to_string()),
        mode);
  };
  write("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", 0600);
  auto args = tunnel_flags();
  args.insert(args.end(), {"--only-wireguard", "--wg-config", config, "--format", "json", "--count",
                           "2", "--interval", "0"});
  const auto finished = probe(args);
  EXPECT_EQ(finished.ended.code, 0) << finished.output << finished.error_output;
  const auto result = json_result(finished);
  EXPECT_EQ(result.at("outcome").at("wg").at("can_handshake_v4"), true);
  EXPECT_EQ(result.at("outcome").at("wg").at("can_resolve_dns_v6"), true);
  EXPECT_EQ(result.at("outcome").at("wg").at("ping_ips_performance_v6").to_number<double>(), 1.0);
  EXPECT_EQ(result.at("outcome").at("lp").at("can_register"), false);
  EXPECT_EQ(result.at("stats").at("seconds").at("tunnel").at("ok"), 2);
  EXPECT_EQ(gateway.initiators().size(), 1u);

  write("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", 0644);
  EXPECT_EQ(probe(args).ended.code, 77) << "others may read the key";
  write("nonsense", 0600);
  const auto malformed = probe(args);
  EXPECT_EQ(malformed.ended.code, 66);
  EXPECT_TRUE(contains(malformed.error_output, "line 2: PrivateKey")) << malformed.error_output;
}

TEST(BinaryTest, RefusedPortIsTcpRefused) {
  const auto identity =
      crypto::Identity::from_base58("2pRoBhCUWJh7n9Zmhsc7UvKXsBoHzd3tJdBq79fGvLc5");
  const auto finished =
      register_with({"--format", "json",
                     fmt::format("{}@127.0.0.1:{}", identity->to_base58(), test::free_port())});
  EXPECT_EQ(finished.ended.code, 2);
  const auto result = json_result(finished);
  EXPECT_EQ(result.at("error_code"), "tcp_refused");
  EXPECT_EQ(result.at("outcome").at("lp").at("can_connect"), false);
}

TEST(BinaryTest, SourceAddressThatIsNotOursCannotTell) {
  const ScriptedGateway gateway;
  const auto finished =
      register_with({"--source-address", "192.0.2.1", "--format", "json", gateway.target()});
  EXPECT_EQ(finished.ended.code, 3);
  EXPECT_EQ(json_result(finished).at("error_code"), "source_address_unusable");
  EXPECT_EQ(json_result(finished).at("status"), "unknown");
}

TEST(BinaryTest, FamilyThatTheHostHasNotIsNamed) {
  const ScriptedGateway gateway;
  const auto finished = register_with({"-6", "--format", "json", gateway.target()});
  EXPECT_EQ(finished.ended.code, 2);
  EXPECT_EQ(json_result(finished).at("error_code"), "no_address_of_family");
}

TEST(BinaryTest, LimitsMakeWarningsAndCriticals) {
  const ScriptedGateway gateway;
  EXPECT_EQ(register_with({"--warn", "total=1us", gateway.target()}).ended.code, 1);
  EXPECT_EQ(register_with({"--crit", "total=1us", gateway.target()}).ended.code, 2);
  EXPECT_EQ(register_with({"--warn", "total=1h", gateway.target()}).ended.code, 0);
  EXPECT_EQ(
      register_with({"--warn", "total=1us", "--fail-on", "crit", gateway.target()}).ended.code, 0);
  const auto line =
      register_with({"--warn", "total=1us", "--format", "nagios", gateway.target()}).output;
  EXPECT_EQ(line.rfind("LP WARNING - ", 0), 0u) << line;
}

TEST(BinaryTest, WorstOfSeveralTargetsDecidesAndNoneStopsTheOthers) {
  const ScriptedGateway good;
  const ScriptedGateway bad({.fault = Fault::busy});
  const auto finished = register_with({"--format", "json", bad.target(), good.target()});
  EXPECT_EQ(finished.ended.code, 2);
  const auto results = json::parse(finished.output).as_array();
  ASSERT_EQ(results.size(), 2u);
  const bool bad_is_first = !results[0].at("error_code").is_null();  // as they end
  EXPECT_EQ(results[bad_is_first ? 0 : 1].at("error_code"), "busy");
  EXPECT_TRUE(results[bad_is_first ? 1 : 0].at("error_code").is_null());
}

TEST(BinaryTest, CountGivesStatisticsWithLoss) {
  const ScriptedGateway gateway({.fault = Fault::busy, .every = 2});
  const auto finished =
      register_with({"--count", "4", "--interval", "0", "--format", "json", gateway.target()});
  EXPECT_EQ(finished.ended.code, 2);
  const auto result = json_result(finished);
  const auto& stats = result.at("stats").as_object();
  EXPECT_EQ(stats.at("sent"), 4);
  EXPECT_EQ(stats.at("seconds").at("connect").at("ok"), 4);
  EXPECT_EQ(stats.at("seconds").at("client_hello").at("ok"), 2);
  EXPECT_EQ(stats.at("seconds").at("total").at("loss").to_number<double>(), 0.5);
  EXPECT_EQ(stats.at("errors").at("busy"), 2);
  // One key for the run, a ticket for each probe.
  const auto requests = gateway.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].wg_public_key, requests[1].wg_public_key);
  EXPECT_NE(requests[0].credential.nullifier, requests[1].credential.nullifier);
  const auto text = register_with({"--count", "2", "--interval", "0", gateway.target()}).output;
  EXPECT_TRUE(contains(text, "seq=1 OK connect=")) << text;
  EXPECT_TRUE(contains(text, "seq=2 FAILED client_hello: busy")) << text;
  EXPECT_TRUE(contains(text, "2 probes of 2 wanted, 1 registered, 50.0 % lost")) << text;
}

TEST(BinaryTest, InterruptPrintsWhatWasMeasuredSoFar) {
  const ScriptedGateway gateway;
  test::Child child(probe_options({"--use-mock-ecash", "--only-lp-registration", "--count", "1000",
                                   "--interval", "1h", gateway.target()}));
  std::optional<std::string> line;
  do {
    line = child.read_line();
    ASSERT_TRUE(line) << child.error_output();
  } while (!contains(*line, "seq=1 OK"));
  child.send_signal(SIGINT);
  const auto ended = child.wait();
  EXPECT_EQ(ended.code, 0);
  EXPECT_TRUE(contains(child.output(), "1 probes of 1000 wanted, 1 registered")) << child.output();
}

TEST(BinaryTest, InterruptedFirstProbeCannotTell) {
  const ScriptedGateway gateway({.fault = Fault::silence});
  test::Child child(probe_options(
      {"--use-mock-ecash", "--only-lp-registration", "--format", "json", gateway.target()}));
  while (gateway.client_keys().empty() && child.running())
    std::this_thread::yield();
  child.send_signal(SIGTERM);
  EXPECT_EQ(child.wait().code, 3);
  EXPECT_TRUE(contains(child.output(), R"("error_code":"interrupted")")) << child.output();
}

TEST(BinaryTest, TraceShowsEveryPacketOnStandardErrorAndHidesTheTicket) {
  const ScriptedGateway gateway;
  const auto finished = register_with({"--trace", "--format", "json", gateway.target()});
  ASSERT_EQ(finished.ended.code, 0);
  EXPECT_EQ(json_result(finished).at("status"), "ok");
  const auto& trace = finished.error_output;
  for (const char* part :
       {"ClientHello packet 98", "Handshake packet 82", "Handshake packet 98",
        "EncryptedData packet", "LpRegistrationRequest", "LpRegistrationResponse", "<redacted>"}) {
    EXPECT_TRUE(contains(trace, part)) << part << "\n" << trace;
  }
  const auto request = gateway.requests().at(0);
  EXPECT_FALSE(contains(trace, to_hex(request.credential.nullifier)));
  EXPECT_FALSE(contains(trace, request.wg_public_key));
  const auto open = register_with({"--trace", "--trace-secrets", gateway.target()});
  EXPECT_TRUE(contains(open.error_output, gateway.requests().at(1).wg_public_key));
}

TEST(BinaryTest, WgConfigIsPrivateAndHoldsTheKeyThatWasRegistered) {
  const ScriptedGateway gateway;
  const test::TempDir dir;
  const auto path = dir / "wg.conf";
  const auto finished = register_with({"--wg-config", path.string(), gateway.target()});
  ASSERT_EQ(finished.ended.code, 0) << finished.error_output;
  struct stat status{};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  const auto text = test::read_file(path);
  const auto begin = text.find("PrivateKey = ") + 13;
  const auto secret = from_base64(text.substr(begin, 44));
  ASSERT_TRUE(secret);
  const auto pair = crypto::X25519KeyPair::from_secret(
      crypto::X25519Secret(std::span<const std::uint8_t, 32>(secret->data(), 32)));
  EXPECT_EQ(to_base64(pair.public_key.bytes), gateway.requests().at(0).wg_public_key);
  EXPECT_TRUE(contains(text, "Endpoint = 127.0.0.1:51822\n"));
}

TEST(BinaryTest, WgConfigThatCannotBeWrittenIs73AndTheResultStillThere) {
  const ScriptedGateway gateway;
  const auto finished =
      register_with({"--wg-config", "/nonexistent/wg.conf", "--format", "json", gateway.target()});
  EXPECT_EQ(finished.ended.code, 73);
  EXPECT_TRUE(contains(finished.error_output, "/nonexistent/wg.conf"));
  EXPECT_EQ(json_result(finished).at("status"), "ok");
}

TEST(BinaryTest, TargetsOfAFileAreAllProbedWhateverStandsBetweenThem) {
  const ScriptedGateway first;
  const ScriptedGateway second;
  const test::TempDir dir;
  const std::string file = dir / "targets";
  test::write_file(file, "# gateways\n\n  " + first.target() +
                             "  # one\r\nnot a target\n\x1b[2J@x\n" + second.target());
  const auto finished = register_with({"-T", file, "--format", "json"});
  EXPECT_EQ(finished.ended.code, 66);
  EXPECT_TRUE(contains(finished.error_output, file + ":4: ")) << finished.error_output;
  EXPECT_TRUE(contains(finished.error_output, file + ":5: ")) << finished.error_output;
  EXPECT_FALSE(contains(finished.error_output, "\x1b"));
  const auto results = json::parse(finished.output).as_array();
  ASSERT_EQ(results.size(), 2u);
  for (const auto& result : results)
    EXPECT_EQ(result.at("status"), "ok");
  // One target is an array as well: who reads the output of a file knows what to expect.
  const auto one = test::run(
      {.program = "/bin/sh",
       .args = {"-c", "echo \"$1\" | \"$0\" --use-mock-ecash --only-lp-registration -T - -f json",
                test::program("lp-probe").string(), first.target()},
       .environment = {{"HOME", "/nonexistent"}}});
  EXPECT_EQ(one.ended.code, 0) << one.error_output;
  EXPECT_EQ(json::parse(one.output).as_array().size(), 1u);
}

TEST(BinaryTest, ByteOrderMarkCostsAFileOfTargetsItsFirstOne) {
  const ScriptedGateway gateway;
  const test::TempDir dir;
  const std::string file = dir / "targets";
  test::write_file(file, "\xef\xbb\xbf" + gateway.target() + "\r\n");
  const auto finished = register_with({"-T", file});
  EXPECT_EQ(finished.ended.code, 0) << finished.error_output;
}

TEST(BinaryTest, SilentTargetHoldsUpTheOthers) {
  const ScriptedGateway silent({.fault = Fault::silence});
  const ScriptedGateway good;
  const auto finished = register_with(
      {silent.target(), good.target(), "--handshake-timeout", "3s", "--format", "json"});
  EXPECT_EQ(finished.ended.code, 2);
  const auto results = json::parse(finished.output).as_array();
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].at("status"), "ok");  // as they end
  EXPECT_EQ(results[1].at("error_code"), "handshake_timeout");
}

TEST(BinaryTest, ParallelOneMixesTheOrderOfTargets) {
  const ScriptedGateway first;
  const ScriptedGateway second({.fault = Fault::busy});
  const auto finished = register_with(
      {"--parallel", "1", first.target(), second.target(), first.target(), "--format", "json"});
  std::vector<std::string> statuses;
  const auto results = json::parse(finished.output).as_array();
  for (const auto& result : results)
    statuses.emplace_back(result.at("status").as_string());
  EXPECT_EQ(statuses, (std::vector<std::string>{"ok", "critical", "ok"}));
}

TEST(BinaryTest, LinesOfTargetsAtTheSameTimeAreNobodys) {
  const ScriptedGateway first;
  const ScriptedGateway second;
  const auto finished =
      register_with({"--count", "3", "--interval", "0", first.target(), second.target()});
  EXPECT_EQ(finished.ended.code, 0) << finished.error_output;
  for (const auto* gateway : {&first, &second}) {
    const auto address = gateway->target().substr(gateway->target().find('@') + 1);
    for (int i = 1; i <= 3; ++i) {
      const auto line = fmt::format("\n{} seq={} OK", address, i);
      EXPECT_TRUE(contains("\n" + finished.output, line)) << finished.output;
    }
    EXPECT_TRUE(contains(finished.output, " at " + address + "\n\n3 probes of 3 wanted"))
        << finished.output;
  }
  EXPECT_TRUE(finished.output.ends_with("\n2 targets, 2 OK\n")) << finished.output;
}

TEST(BinaryTest, FileOfTargetsThatCannotBeUsedIs66) {
  const test::TempDir dir;
  test::write_file(dir / "empty", "# none\n");
  for (const std::string& file : std::vector<std::string>{
           "/nonexistent/targets", dir.path().string(), dir / "empty", "/dev/zero"}) {
    const auto finished = register_with({"--targets", file});
    EXPECT_EQ(finished.ended.code, 66) << file;
    EXPECT_EQ(finished.output, "");
    EXPECT_TRUE(contains(finished.error_output, file)) << finished.error_output;
  }
}

/// What promtool has to say about metrics, where it is installed.
void expect_sound_metrics(const std::string& file) {
  const char* promtool = "/usr/bin/promtool";
  if (!std::filesystem::exists(promtool)) return;
  const auto checked = test::run(
      {.program = "/bin/sh", .args = {"-c", "exec \"$0\" check metrics < \"$1\"", promtool, file}});
  EXPECT_EQ(checked.ended.code, 0) << checked.output << checked.error_output;
  EXPECT_EQ(checked.output + checked.error_output, "");
}

TEST(BinaryTest, TextfileTellsOfEveryTargetWhateverCameOfIt) {
  const ScriptedGateway good;
  const ScriptedGateway bad({.fault = Fault::busy});
  const test::TempDir dir;
  const std::string file = dir / "probe.prom";
  const auto finished = register_with({"--textfile", file, bad.target(), good.target(),
                                       // Named twice: one sample all the same.
                                       good.target()});
  EXPECT_EQ(finished.ended.code, 2);
  EXPECT_TRUE(contains(finished.output, "CRITICAL")) << finished.output;  // the text is there, too
  struct stat info{};
  ASSERT_EQ(stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0644U);
  const std::string text = test::read_file(file);
  const auto labels = [](const ScriptedGateway& gateway) {
    const std::string target = gateway.target();
    const auto at = target.find('@');
    return fmt::format(R"(target="{}",identity="{}")", target.substr(at + 1), target.substr(0, at));
  };
  for (const auto& line : {
           fmt::format("\nlp_probe_success{{{}}} 0\n", labels(bad)),
           fmt::format("\nlp_probe_success{{{}}} 1\n", labels(good)),
           fmt::format("\nlp_probe_level{{{}}} 2\n", labels(bad)),
           fmt::format("\nlp_probe_failures{{{}}} 1\n", labels(bad)),
           fmt::format("\nlp_probe_error_info{{{},code=\"busy\",stage=\"client_hello\"}} 1\n",
                       labels(bad)),
           fmt::format("\nlp_probe_stage_duration_seconds{{{},stage=\"response\"}} ", labels(good)),
           fmt::format("\nlp_probe_timestamp_seconds{{{}}} ", labels(good)),
       }) {
    const auto at = text.find(line);
    EXPECT_NE(at, std::string::npos) << line << text;
    EXPECT_EQ(text.find(line, at + 1), std::string::npos) << line << text;
  }
  EXPECT_FALSE(contains(text, fmt::format("{},stage=\"response\"", labels(bad)))) << text;
  expect_sound_metrics(file);
}

TEST(BinaryTest, PrometheusFormatHasTheTimesOfARun) {
  const ScriptedGateway gateway({.fault = Fault::busy, .every = 2});
  const test::TempDir dir;
  const auto finished = register_with(
      {"--count", "4", "--interval", "0", "--format", "prometheus", gateway.target()});
  EXPECT_EQ(finished.ended.code, 2);
  test::write_file(dir / "out", finished.output);
  expect_sound_metrics(dir / "out");
  for (const char* line :
       {"lp_probe_attempts{", "lp_probe_errors{", "# TYPE lp_probe_success gauge",
        "# TYPE lp_probe_run_stage_duration_seconds summary"}) {
    EXPECT_TRUE(contains(finished.output, line)) << line << finished.output;
  }
  EXPECT_TRUE(contains(finished.output, R"(code="busy"} 2)")) << finished.output;
  EXPECT_TRUE(contains(finished.output, R"(stage="connect"} 4)")) << finished.output;  // its count
  EXPECT_TRUE(contains(finished.output, R"(stage="total",quantile="0.5"} )")) << finished.output;
}

TEST(BinaryTest, TextfileStaysAsItWasWhereTheProbeWasCutOff) {
  const ScriptedGateway gateway({.fault = Fault::silence});
  const test::TempDir dir;
  test::write_file(dir / "probe.prom", "# before\n");
  test::Child child(probe_options({"--use-mock-ecash", "--only-lp-registration", "--textfile",
                                   (dir / "probe.prom").string(), gateway.target()}));
  while (gateway.client_keys().empty() && child.running())
    std::this_thread::yield();
  child.send_signal(SIGTERM);
  EXPECT_EQ(child.wait().code, 3);
  EXPECT_EQ(test::read_file(dir / "probe.prom"), "# before\n");
}

TEST(BinaryTest, TextfileReplacesAWalletOrAListOfTargetsByMetrics) {
  const ScriptedGateway gateway;
  const test::TempDir dir;
  const std::string file = dir / "targets";
  const std::string targets = "# HELPFUL gateways\n" + gateway.target() + "\n";
  test::write_file(file, targets);
  const auto finished = register_with({"-T", file, "--textfile", file});
  EXPECT_EQ(finished.ended.code, 73);
  EXPECT_TRUE(contains(finished.error_output, file + ": holds something other than metrics"))
      << file;
  EXPECT_EQ(test::read_file(file), targets);
  EXPECT_FALSE(std::filesystem::exists(file + ".partial"));
  // A run's own file, and an empty one that somebody made for it.
  const std::string metrics = dir / "probe.prom";
  test::write_file(metrics, "");
  for (int run = 0; run < 2; ++run) {
    EXPECT_EQ(register_with({"-T", file, "--textfile", metrics}).ended.code, 0);
    EXPECT_TRUE(test::read_file(metrics).starts_with("# HELP lp_probe_success "));
  }
}

TEST(BinaryTest, TextfileThatCannotBeWrittenIs73AndTheResultStillThere) {
  const ScriptedGateway gateway;
  const auto finished =
      register_with({"--textfile", "/nonexistent/lp.prom", "--format", "json", gateway.target()});
  EXPECT_EQ(finished.ended.code, 73);
  EXPECT_TRUE(contains(finished.error_output, "/nonexistent/lp.prom")) << finished.error_output;
  EXPECT_EQ(json_result(finished).at("status"), "ok");
}

TEST(BinaryTest, FailedProbeWritesNoWgConfig) {
  const ScriptedGateway gateway({.fault = Fault::refusal, .sentence = "Gateway busy, try again"});
  const test::TempDir dir;
  EXPECT_EQ(register_with({"--wg-config", (dir / "wg.conf").string(), gateway.target()}).ended.code,
            2);
  EXPECT_FALSE(std::filesystem::exists(dir / "wg.conf"));
}

TEST(BinaryTest, FullDeviceIsNotSuccess) {
  const ScriptedGateway gateway;
  const auto finished =
      test::run({.program = "/bin/sh",
                 .args = {"-c",
                          "exec \"$0\" --use-mock-ecash --only-lp-registration \"$1\" "
                          ">/dev/full",
                          test::program("lp-probe").string(), gateway.target()}});
  EXPECT_EQ(finished.ended.code, 73) << finished.error_output;
}

std::string lp_info(const ScriptedGateway& gateway) {
  return fmt::format(R"({{"identity":"{}","lp_port":{},"version":"9.9","mock_ecash":true}})",
                     gateway.identity().to_base58(), gateway.port());
}

TEST(BinaryTest, GatewayIpLearnsIdentityAndPortAndSaysThatNobodyVouchesForIt) {
  const ScriptedGateway gateway;
  const ScriptedHttp http({{"/api/v1/lp", ScriptedHttp::ok(lp_info(gateway))}});
  const std::string address = fmt::format("127.0.0.1:{}", http.port());
  const auto finished = register_with({"--gateway-ip", address, "--format", "json"});
  EXPECT_EQ(finished.ended.code, 0) << finished.output << finished.error_output;
  const auto result = json_result(finished);
  EXPECT_EQ(result.at("identity_source"), "http_unverified");
  EXPECT_EQ(result.at("gateway_version"), "9.9");
  EXPECT_EQ(result.at("node"), json::string(gateway.identity().to_base58()));
  EXPECT_TRUE(contains(register_with({"--gateway-ip", address}).output, "not verified"));
  const auto expected = register_with(
      {"--gateway-ip", address, "-g", gateway.identity().to_base58(), "--format", "json"});
  EXPECT_EQ(json_result(expected).at("identity_source"), "http_expected");
}

TEST(BinaryTest, OtherIdentityThanExpectedIsAFailureAndNothingIsSent) {
  const ScriptedGateway gateway;
  const ScriptedHttp http({{"/api/v1/lp", ScriptedHttp::ok(lp_info(gateway))}});
  const auto finished =
      register_with({"--gateway-ip", fmt::format("127.0.0.1:{}", http.port()), "-g",
                     "2pRoBhCUWJh7n9Zmhsc7UvKXsBoHzd3tJdBq79fGvLc5", "--format", "json"});
  EXPECT_EQ(finished.ended.code, 2);
  EXPECT_EQ(json_result(finished).at("error_code"), "identity_mismatch");
  EXPECT_EQ(gateway.connections(), 0u);
}

TEST(BinaryTest, UnreachableHttpIsACodeOfStageResolve) {
  const auto finished = register_with(
      {"--gateway-ip", fmt::format("127.0.0.1:{}", test::free_port()), "--format", "json"});
  EXPECT_EQ(finished.ended.code, 2);
  EXPECT_EQ(json_result(finished).at("error_code"), "http_unreachable");
  EXPECT_EQ(json_result(finished).at("failed_stage"), "resolve");
}

TEST(BinaryTest, ClosedAfterClientHelloComparesTheClocks) {
  const ScriptedGateway gateway({.fault = Fault::close_after_hello});
  const ScriptedHttp http(
      {{"/api/v1/lp", ScriptedHttp::ok(lp_info(gateway), "Sun, 06 Nov 1994 08:49:37 GMT")}});
  const auto finished =
      register_with({"--gateway-ip", fmt::format("127.0.0.1:{}", http.port()), "--format", "json"});
  const auto result = json_result(finished);
  EXPECT_EQ(result.at("error_code"), "closed_after_client_hello");
  EXPECT_TRUE(contains(result.at("hint").as_string(), "clock off by ")) << result.at("hint");
  EXPECT_TRUE(contains(result.at("hint").as_string(), "behind this machine's"));
  EXPECT_LT(result.at("clock_offset_seconds").as_int64(), -900'000'000);
}

TEST(BinaryTest, NoSecondQuestionMeansTheGeneralHint) {
  const ScriptedGateway gateway({.fault = Fault::close_after_hello});
  const auto finished = register_with({gateway.target()});
  EXPECT_TRUE(contains(finished.output, "wrong identity")) << finished.output;
}

TEST(BinaryTest, UsageAndConfigurationErrorsHaveTheirExitStatusAndSayOneSentence) {
  const test::TempDir dir;
  test::write_file(dir / "bad.toml", "bogus = 1\n");
  struct Case {
    std::vector<std::string> args;
    std::map<std::string, std::optional<std::string>> variables;
    int code;
    std::string what;
  };
  const std::vector<Case> cases{
      {{}, {}, 64, "no TARGET"},
      {{"--no-such-flag"}, {}, 64, "--no-such-flag"},
      {{"--count", "x", "h"}, {}, 64, "--count"},
      {{"--use-mock-ecash", "::1"}, {}, 64, "brackets"},
      {{"--issuer", "http://issuer.example", "h"}, {}, 64, "belong together"},
      {{"--config", "/nonexistent", "h"}, {}, 66, "/nonexistent"},
      {{"--config", (dir / "bad.toml").string(), "h"}, {}, 78, "bogus"},
      {{"h"}, {{"LP_PROBE_COUNT", "many"}}, 78, "LP_PROBE_COUNT"},
      {{"decode", "/nonexistent/file"}, {}, 66, "neither a file nor hexadecimal"},
  };
  for (const auto& [args, variables, code, what] : cases) {
    const auto finished = probe(args, variables);
    EXPECT_EQ(finished.ended.code, code) << what;
    EXPECT_EQ(finished.output, "") << what;
    EXPECT_TRUE(contains(finished.error_output, what)) << finished.error_output;
    EXPECT_EQ(std::ranges::count(finished.error_output, '\n'), 1) << finished.error_output;
  }
}

TEST(BinaryTest, ErrorCodesAreAllListed) {
  const auto finished = probe({"--list-error-codes"});
  EXPECT_EQ(finished.ended.code, 0);
  for (const auto& row : error_codes()) {
    EXPECT_TRUE(contains(finished.output, fmt::format("{}\n  stage: ", row.name))) << row.name;
  }
}

TEST(BinaryTest, VersionTellsWhatItIsMadeOf) {
  const auto finished = probe({"--version"});
  EXPECT_EQ(finished.ended.code, 0);
  for (const char* part : {"lp-probe ", "build: ", "Boost ", "libsodium ", "replay kernel: "}) {
    EXPECT_TRUE(contains(finished.output, part)) << part;
  }
}

TEST(BinaryTest, DecodeReadsFileStandardInputAndArgument) {
  const std::string hex = "0000002201" + std::string(66, '0');
  EXPECT_TRUE(contains(probe({"decode", hex}).output, "Busy packet 34"));
  const test::TempDir dir;
  test::write_file(dir / "text", hex.substr(0, 8) + "\n" + hex.substr(8) + "\n");
  EXPECT_TRUE(contains(probe({"decode", (dir / "text").string()}).output, "Busy packet 34"));
  const auto bytes = from_hex(hex);
  test::write_file(dir / "binary",
                   std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size()));
  const auto binary = probe({"decode", (dir / "binary").string()});
  EXPECT_EQ(binary.ended.code, 0);
  EXPECT_TRUE(contains(binary.output, "Busy packet 34"));
  test::Child child(probe_options({"decode", "-"}));
  child.write(hex);
  child.close_input();
  EXPECT_EQ(child.wait().code, 0);
  EXPECT_TRUE(contains(child.output(), "Busy packet 34"));
  EXPECT_EQ(probe({"decode", hex.substr(0, 20)}).ended.code, 2);
}

TEST(BinaryTest, QuietAndNoLogKeepStandardErrorEmpty) {
  const ScriptedGateway gateway;
  for (const char* flag : {"-q", "--no-log"}) {
    EXPECT_EQ(probe({"--use-mock-ecash", flag, gateway.target()}).error_output, "") << flag;
  }
}

TEST(BinaryTest, ColourFollowsTheFlagAndAPipeHasNone) {
  const ScriptedGateway gateway;
  EXPECT_FALSE(contains(register_with({gateway.target()}).output, "\x1b["));
  EXPECT_TRUE(contains(register_with({"--color", "always", gateway.target()}).output, "\x1b["));
}

}  // namespace
}  // namespace lp::probe
