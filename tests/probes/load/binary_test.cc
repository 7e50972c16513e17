// The real lp-probe load against the real lp-gateway, and against one that misbehaves.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <csignal>
#include <thread>

#include "tests/support/process.h"
#include "tests/support/scripted_gateway.h"
#include "tests/system/gateway_process.h"

namespace lp::probe {
namespace {

namespace json = boost::json;
using test::Fault;
using test::GatewayProcess;
using test::ScriptedGateway;

/// `load`, these, and without the user's own settings.
test::ChildOptions load_options(std::vector<std::string> args) {
  args.insert(args.begin(), {"load", "--format", "json"});
  return {.program = test::program("lp-probe"),
          .args = std::move(args),
          .environment = {{"HOME", "/nonexistent"}, {"XDG_CONFIG_HOME", std::nullopt}}};
}

test::Finished load(std::vector<std::string> args) {
  return test::run(load_options(std::move(args)));
}

test::Finished load_mock(std::vector<std::string> args) {
  args.push_back("--use-mock-ecash");
  return load(std::move(args));
}

json::object result_of(const std::string& output) {
  boost::system::error_code error;
  const auto value = json::parse(output, error);
  EXPECT_FALSE(error) << output;
  return error || !value.is_object() ? json::object{} : value.as_object();
}

std::uint64_t number(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains({key.data(), key.size()});
  return value == nullptr ? 0 : value->to_number<std::uint64_t>();
}

std::uint64_t errors_of(const json::object& result, std::string_view code) {
  for (const auto& error : result.at("errors").as_array()) {
    if (error.at("code").as_string() == json::string_view(code.data(), code.size())) {
      return number(error.as_object(), "count");
    }
  }
  return 0;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

double attempts(const test::Exposition& metrics) {
  return metrics["lp_registration_attempts_total"];
}

void wait_for_attempts(const GatewayProcess& gateway, double least) {
  const auto limit = std::chrono::steady_clock::now() + test::patience;
  while (attempts(gateway.metrics()) < least) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit);
  }
}

TEST(LoadTest, CountsAreTheGatewaysOwnAndEveryRegistrationIsAnotherClient) {
  const GatewayProcess gateway;
  const auto dvpn = load_mock({"--count", "60", "--concurrency", "8", "--threads", "2", "--expect",
                               "errors<1", "--expect", "p99<60s", gateway.target()});
  EXPECT_EQ(dvpn.ended.code, 0) << dvpn.output << dvpn.error_output;
  EXPECT_EQ(dvpn.error_output, "");
  const auto result = result_of(dvpn.output);
  EXPECT_EQ(number(result, "ok"), 60U);
  EXPECT_EQ(number(result, "attempts"), 60U);
  EXPECT_EQ(number(result.at("latency_seconds").as_object(), "count"), 60U);
  for (const char* stage : {"connect", "handshake", "registration"}) {
    const auto& times = result.at("stage_seconds").at(stage);
    EXPECT_EQ(times.at("count"), 60) << stage;
    EXPECT_GT(times.at("min").as_double(), 0) << stage;
  }
  const auto mixnet =
      load_mock({"--mode", "mixnet", "--count", "20", "--concurrency", "3", gateway.target()});
  EXPECT_EQ(number(result_of(mixnet.output), "ok"), 20U) << mixnet.output << mixnet.error_output;
  const auto metrics = gateway.idle_metrics();
  EXPECT_EQ(attempts(metrics), 80);
  EXPECT_EQ(metrics["lp_connections_completed_gracefully"], 80);
  test::expect_sums_agree(metrics);
  const auto tables = gateway.tables();
  EXPECT_EQ(tables.clients, 80);
  EXPECT_EQ(tables.peers, 60);
  EXPECT_EQ(tables.spent, 80);
  EXPECT_EQ(gateway.violations(), std::vector<std::string>{});
}

TEST(LoadTest, OpenLoopMakesWhatIsDueAndMeasuresOnlyAfterTheWarmUp) {
  const GatewayProcess gateway;
  const auto finished = load_mock({"--rate", "100/s", "--warmup", "200ms", "--duration", "500ms",
                                   "--concurrency", "64", gateway.target()});
  EXPECT_EQ(finished.ended.code, 0) << finished.output << finished.error_output;
  const auto result = result_of(finished.output);
  EXPECT_EQ(result.at("load").at("loop"), "open");
  const auto never_begun = number(result.at("never_begun").as_object(), "count");
  EXPECT_EQ(number(result, "warmup_attempts"), 20U);
  EXPECT_EQ(number(result, "attempts") + never_begun, 50U);
  EXPECT_EQ(number(result, "attempts"), number(result, "ok"));
  EXPECT_EQ(attempts(gateway.idle_metrics()), 70.0 - static_cast<double>(never_begun));
}

TEST(LoadTest, GatewayThatDiesMidwayShowsAsItIsAndTheRunGoesOn) {
  GatewayProcess gateway;
  auto options = load_options(
      {"--use-mock-ecash", "--count", "2000", "--concurrency", "16", gateway.target()});
  test::Child probe(options);
  wait_for_attempts(gateway, 20);
  gateway.kill();
  EXPECT_EQ(probe.wait().code, 2) << probe.error_output();
  const auto result = result_of(probe.output());
  EXPECT_GE(number(result, "ok"), 1U);
  EXPECT_GE(errors_of(result, "tcp_refused"), 1U) << probe.output();
  EXPECT_EQ(number(result, "ok") + number(result, "failed"), 2'000U);
  EXPECT_EQ(result.at("interrupted"), false);
}

TEST(LoadTest, BusyGatewayIsReportedAsBusyAndExpectedErrorsAreNoFailure) {
  const GatewayProcess gateway({.flags = {"--max-connections", "2"}});
  const auto finished =
      load_mock({"--count", "200", "--concurrency", "32", "--threads", "1", gateway.target()});
  EXPECT_EQ(finished.ended.code, 2) << finished.output << finished.error_output;
  const auto result = result_of(finished.output);
  const auto metrics = gateway.idle_metrics();
  EXPECT_EQ(number(result, "ok") + number(result, "failed"), 200U);
  EXPECT_GE(errors_of(result, "busy"), 1U) << finished.output;
  EXPECT_EQ(static_cast<double>(number(result, "ok")), attempts(metrics));
  EXPECT_EQ(static_cast<double>(number(result, "failed")),
            metrics["lp_connections_rejected_total{reason=\"max_connections\"}"]);
  const auto expected = load_mock(
      {"--count", "50", "--concurrency", "32", "--expect", "errors<51", gateway.target()});
  EXPECT_EQ(expected.ended.code, 0) << expected.output;
  const auto none = load_mock(
      {"--count", "50", "--fail-on", "none", "--expect", "rate>1000000", gateway.target()});
  EXPECT_EQ(none.ended.code, 0) << none.output;
  EXPECT_EQ(result_of(none.output).at("not_as_expected").as_array().size(), 1U);
}

TEST(LoadTest, InterruptedRunShowsWhatItHas) {
  const GatewayProcess gateway;
  test::Child probe(load_options(
      {"--use-mock-ecash", "--duration", "1h", "--concurrency", "4", gateway.target()}));
  wait_for_attempts(gateway, 5);  // of four places: one of them has been answered
  probe.send_signal(SIGINT);
  EXPECT_EQ(probe.wait().code, 0) << probe.output();
  const auto result = result_of(probe.output());
  EXPECT_EQ(result.at("interrupted"), true);
  EXPECT_GE(number(result, "ok"), 1U);
  EXPECT_GT(result.at("registrations_per_second").as_double(), 0);
  EXPECT_LT(result.at("window_seconds").as_double(), 3'600);
}

TEST(LoadTest, AnswersInPiecesAreReadAndSilentOnesTimeOut) {
  const ScriptedGateway pieces({.fault = Fault::response_in_pieces});
  const auto good = load_mock({"--count", "6", "--concurrency", "3", pieces.target()});
  EXPECT_EQ(number(result_of(good.output), "ok"), 6U) << good.output;

  const ScriptedGateway half({.fault = Fault::silence_after_request, .every = 2});
  const auto some = load_mock(
      {"--count", "6", "--concurrency", "1", "--registration-timeout", "1s", half.target()});
  EXPECT_EQ(some.ended.code, 2);
  const auto result = result_of(some.output);
  EXPECT_EQ(errors_of(result, "response_timeout"), 3U) << some.output;
  EXPECT_EQ(number(result, "ok"), 3U);
  EXPECT_GE(result.at("failure_seconds").at("min").as_double(), 1.0);

  const ScriptedGateway silent({.fault = Fault::silence});
  const auto none = load_mock(
      {"--count", "2", "--concurrency", "2", "--handshake-timeout", "50ms", silent.target()});
  EXPECT_EQ(errors_of(result_of(none.output), "handshake_timeout"), 2U) << none.output;
}

TEST(LoadTest, SourceAddressThatIsNotHereIsThisMachinesTrouble) {
  const ScriptedGateway gateway;
  const auto finished =
      load_mock({"--count", "3", "--source-address", "192.0.2.77", gateway.target()});
  EXPECT_EQ(finished.ended.code, 3) << finished.output;
  EXPECT_EQ(errors_of(result_of(finished.output), "source_address_unusable"), 3U);
  EXPECT_EQ(gateway.connections(), 0U);
}

TEST(LoadTest, MoreConnectionsThanDescriptorsAreRefusedBeforeTheFirst) {
  const ScriptedGateway gateway;
  auto options =
      load_options({"--use-mock-ecash", "--count", "5", "--concurrency", "500", gateway.target()});
  options.open_files_soft = 128;
  options.open_files_hard = 256;
  const auto refused = test::run(options);
  EXPECT_EQ(refused.ended.code, 3);
  EXPECT_TRUE(contains(refused.error_output, "out_of_descriptors")) << refused.error_output;
  EXPECT_TRUE(contains(refused.error_output, "256")) << refused.error_output;
  EXPECT_EQ(gateway.connections(), 0U);
  options.open_files_hard = 4'096;
  const auto raised = test::run(options);
  EXPECT_EQ(number(result_of(raised.output), "ok"), 5U) << raised.output << raised.error_output;
}

TEST(LoadTest, PublicTargetIsRefusedUnlessItIsOnesOwn) {
  const ScriptedGateway gateway;
  const auto identity = gateway.target().substr(0, gateway.target().find('@'));
  const auto refused = load_mock({"--count", "1", identity + "@192.0.2.1"});
  EXPECT_EQ(refused.ended.code, 64);
  EXPECT_EQ(refused.output, "");
  EXPECT_TRUE(contains(refused.error_output, "--allow-public-target")) << refused.error_output;
  // Told so, it tries.
  const auto tried = load_mock({"--count", "1", "--allow-public-target", "--connect-timeout",
                                "50ms", identity + "@192.0.2.1"});
  EXPECT_EQ(number(result_of(tried.output), "failed"), 1U) << tried.error_output;
}

TEST(LoadTest, RealTicketsNeedACountAndAreAllThereBeforeTheFirstIsSent) {
  const ScriptedGateway gateway;
  const auto unlimited = load({gateway.target()});
  EXPECT_EQ(unlimited.ended.code, 64);
  EXPECT_TRUE(contains(unlimited.error_output, "--count")) << unlimited.error_output;
  const test::TempDir dir;
  const auto empty =
      load({"--count", "3", "--wallet", (dir / "wallet.sqlite").string(), gateway.target()});
  EXPECT_EQ(empty.ended.code, 78) << empty.output << empty.error_output;
  EXPECT_TRUE(contains(empty.error_output, "no_ticket")) << empty.error_output;
  EXPECT_EQ(gateway.connections(), 0U);
}

TEST(LoadTest, PlotIsWrittenAndOneThatCannotBeIsAnError) {
  const ScriptedGateway gateway;
  const test::TempDir dir;
  const auto path = (dir / "plot.svg").string();
  EXPECT_EQ(load_mock({"--count", "3", "--svg", path, gateway.target()}).ended.code, 0);
  EXPECT_TRUE(test::read_file(path).ends_with("</svg>\n"));
  const auto failed = load_mock({"--count", "3", "--svg", path + "/no", gateway.target()});
  EXPECT_EQ(failed.ended.code, 73);
  EXPECT_EQ(number(result_of(failed.output), "ok"), 3U) << "the result is there all the same";
}

}  // namespace
}  // namespace lp::probe
