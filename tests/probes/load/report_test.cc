// What a load run is told as.
#include "probes/load/report.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "probes/load/command.h"
#include "tests/support/process.h"

namespace lp::probe::load {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

void register_one(Tally& tally, nanoseconds latency, std::optional<ProbeError> error = {}) {
  const MonotonicTime due{1h};
  client::StepTimes times;
  times.connected = due + latency / 8;
  times.handshake_complete = due + latency / 2;
  times.response_received = due + latency;
  tally.record({.start = {due, true},
                .begun = due,
                .ended = due + latency,
                .request_begun = due + latency * 3 / 4,
                .times = times,
                .error = std::move(error)},
               due, due + 10s);
}

/// 99 of 8 ms, one of 800 ms, and two failures.
Report sample() {
  Report report;
  report.description = {.target = "t",
                        .identity = "ID",
                        .address = "127.0.0.1:41264",
                        .mode = "dvpn",
                        .ticket_type = "V1WireguardEntry",
                        .mock_ecash = true};
  report.plan.duration = 10s;
  for (int i = 0; i < 99; ++i)
    register_one(report.result.tally, 8ms);
  register_one(report.result.tally, 800ms);
  for (int i = 0; i < 2; ++i) {
    register_one(report.result.tally, 4ms,
                 ProbeError{Stage::client_hello, ProbeCode::busy, "first & <only>"});
  }
  report.result.window = 10s;
  return report;
}

TEST(LoadReportTest, JsonHasTheFigures) {
  const auto report = sample();
  const auto value = json::parse(to_json(report)).as_object();
  EXPECT_EQ(value.at("attempts"), 102);
  EXPECT_EQ(value.at("ok"), 100);
  EXPECT_EQ(value.at("failed"), 2);
  EXPECT_DOUBLE_EQ(value.at("registrations_per_second").as_double(), 10.0);
  EXPECT_EQ(value.at("errors").at(0).at("code"), "busy");
  EXPECT_EQ(value.at("errors").at(0).at("count"), 2);
  const auto& latency = value.at("latency_seconds");
  EXPECT_EQ(latency.at("count"), 100);
  EXPECT_DOUBLE_EQ(latency.at("min").as_double(), 0.008);
  EXPECT_DOUBLE_EQ(latency.at("max").as_double(), 0.8);
  EXPECT_NEAR(latency.at("p99").as_double(), 0.008, 0.008 / 128);
  EXPECT_NEAR(latency.at("p99_9").as_double(), 0.8, 0.8 / 128);
  const auto& stages = value.at("stage_seconds");
  EXPECT_NEAR(stages.at("connect").at("p50").as_double(), 0.001, 1e-5);
  EXPECT_NEAR(stages.at("handshake").at("p50").as_double(), 0.003, 3e-5);
  EXPECT_NEAR(stages.at("registration").at("p50").as_double(), 0.002, 2e-5);
  EXPECT_EQ(value.at("failure_seconds").at("count"), 2);
  std::int64_t in_bars = 0;
  for (const auto& bar : value.at("histogram").as_array())
    in_bars += bar.at("count").to_number<std::int64_t>();
  EXPECT_EQ(in_bars, 100);
}

TEST(LoadReportTest, TextHasTheSameAndSaysWhatIsMissing) {
  auto report = sample();
  report.plan.rate = 20;
  report.result.backlog = {.count = 31, .oldest = 2s};
  report.result.tally.abandoned = 4;
  report.result.interrupted = true;
  const auto text = to_text(report);
  EXPECT_TRUE(contains(text, "10.0 registrations/s")) << text;
  EXPECT_TRUE(contains(text, "102 attempts: 100 ok, 2 failed")) << text;
  EXPECT_TRUE(contains(text, "2 x busy (client_hello)")) << text;
  EXPECT_TRUE(contains(text, "open loop, 20/s, at most 50 at a time")) << text;
  EXPECT_TRUE(contains(text, "31 registrations were due and never begun")) << text;
  EXPECT_TRUE(contains(text, "4 registrations were in flight")) << text;
  EXPECT_TRUE(contains(text, "interrupted")) << text;
  EXPECT_FALSE(contains(to_text(sample()), "never begun"));
}

TEST(LoadReportTest, PlotIsXmlWhateverTheHostIsCalled) {
  auto report = sample();
  report.description.address = "<script>&";
  const auto svg = to_svg(report);
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_FALSE(contains(svg, "<script>"));
  EXPECT_TRUE(contains(svg, "&lt;script&gt;&amp;"));
  EXPECT_FALSE(contains(svg, "nan"));
  EXPECT_FALSE(contains(svg, "inf"));
  Report empty;
  EXPECT_TRUE(to_svg(empty).ends_with("</svg>\n"));
}

TEST(LoadReportTest, PlotOfOneValueHasFinitePlaces) {
  Report report;
  register_one(report.result.tally, 8ms);
  const auto svg = to_svg(report);
  EXPECT_FALSE(contains(svg, "nan"));
  EXPECT_FALSE(contains(svg, "inf"));
}

TEST(LoadReportTest, FileIsReplacedWholeOrNotAtAll) {
  const test::TempDir dir;
  const auto path = (dir / "plot.svg").string();
  ASSERT_TRUE(write_file(path, "old"));
  ASSERT_TRUE(write_file(path, "new"));
  EXPECT_EQ(test::read_file(path), "new");
  const auto entries = std::filesystem::directory_iterator(dir.path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 1) << "nothing is left beside it";
  const auto failed = write_file((dir / "none/plot.svg").string(), "x");
  ASSERT_FALSE(failed);
  EXPECT_TRUE(contains(failed.error(), "none/plot.svg"));
}

TEST(ExpectationTest, HoldsOrSaysWhatWasMeasured) {
  const auto report = sample();
  const auto check = [&](std::string_view text) {
    return unmet({*parse_expectation(text)}, report.result);
  };
  for (const char* holds : {"p50<9ms", "p99.9>500ms", "max<1s", "rate>9", "rate<11", "errors<3",
                            "mean<20ms", "min>7ms"}) {
    EXPECT_TRUE(check(holds).empty()) << holds;
  }
  for (const char* fails : {"p50<8ms", "p99.9<500ms", "rate>10", "errors<2"})
    EXPECT_EQ(check(fails).size(), 1U) << fails;
  EXPECT_EQ(check("errors<2").front(), "errors<2 (it is 2)");
  EXPECT_EQ(check("max<10ms").front(), "max<10ms (it is 800 ms)");
  EXPECT_EQ(unmet({*parse_expectation("p99<1s")}, Result{}).front(), "p99<1s (it is not measured)");
}

TEST(ExpectationTest, NonsenseIsRefused) {
  for (const char* bad :
       {"", "p99", "p99=1s", "p98<1s", "p99<", "p99<x", "rate>1s", "errors<-1", "p99<<1s", "<1s"}) {
    EXPECT_FALSE(parse_expectation(bad)) << bad;
  }
}

TEST(LoadCommandTest, OwnNetworksAreToldFromPublicOnes) {
  for (const char* own : {"127.0.0.1", "127.255.255.255", "10.0.0.1", "172.16.0.1",
                          "172.31.255.255", "192.168.1.1", "169.254.1.1", "100.64.0.1",
                          "100.127.255.255", "::1", "fd00::1", "fc00::1", "fe80::1", "febf::1"}) {
    EXPECT_TRUE(is_own_network(*messages::ip_address_from_string(own))) << own;
  }
  for (const char* other : {"1.1.1.1", "126.255.255.255", "128.0.0.1", "11.0.0.1", "172.15.0.1",
                            "172.32.0.1", "192.169.0.1", "100.63.0.1", "100.128.0.1", "0.0.0.0",
                            "2001:db8::1", "::", "::2", "fec0::1", "fe00::1"}) {
    EXPECT_FALSE(is_own_network(*messages::ip_address_from_string(other))) << other;
  }
}

}  // namespace
}  // namespace lp::probe::load
