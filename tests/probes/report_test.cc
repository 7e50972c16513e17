// What is written: JSON with all of nym-gateway-probe's keys, the plugin's line, text for people.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <memory>
#include <sstream>

#include "probes/report/report.h"
#include "tests/support/scripted_gateway.h"

namespace lp::probe::report {
namespace {

namespace json = boost::json;
using boost::property_tree::ptree;
using namespace std::chrono_literals;

TargetReport good_report() {
  TargetReport report;
  report.info = {.text = "id@gw.example",
                 .identity = "2pRoBhCUWJh7n9Zmhsc7UvKXsBoHzd3tJdBq79fGvLc5",
                 .identity_source = IdentitySource::given,
                 .address = "gw.example:41264",
                 .mode = "dvpn",
                 .ticket_type = "V1WireguardEntry",
                 .mock_ecash = true,
                 .gateway_version = std::nullopt};
  auto& attempt = report.last.attempt;
  for (std::size_t i = 0; i + 1 < stage_count; ++i)
    attempt.times[i] = (i + 1) * 1ms;
  attempt.total = 21ms;
  attempt.addresses = {*client::Endpoint::from_literal("192.0.2.1", 41264)};
  attempt.remote = attempt.addresses[0];
  attempt.local = *client::Endpoint::from_literal("192.0.2.9", 1234);
  attempt.lp_id = 0xd0062b12;
  attempt.response = test::ScriptedGateway::good_response(messages::Dvpn{});
  report.statistics.add(attempt);
  return report;
}

TargetReport failed_report(Stage stage, ProbeCode code, std::string detail) {
  auto report = good_report();
  auto& attempt = report.last.attempt;
  attempt.error = ProbeError{stage, code, std::move(detail)};
  attempt.response.reset();
  for (std::size_t i = static_cast<std::size_t>(stage) + 1; i < stage_count; ++i) {
    attempt.times[i].reset();
  }
  report.last.verdict = judge(attempt, {}, {});
  report.last.hint = entry(code).hint;
  report.level = report.last.verdict.level;
  report.statistics = {};
  report.statistics.add(attempt);
  return report;
}

/// What a writer writes.
std::string written(const std::function<std::unique_ptr<Writer>(std::FILE*)>& make,
                    const std::vector<TargetReport>& reports) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  {
    const auto writer = make(out);
    for (const auto& report : reports) {
      writer->attempt(report.info, report.wanted, report.last);
      writer->target(report);
    }
    writer->finish();
  }
  std::fclose(out);
  std::string result(text, size);
  std::free(text);
  return result;
}

json::object json_of(const TargetReport& report) {
  const auto text = written([](auto* out) { return make_json_writer(out, false); }, {report});
  return json::parse(text).as_object();
}

std::string nagios_of(const std::vector<TargetReport>& reports, options::Thresholds warn = {},
                      options::Thresholds crit = {}) {
  return written([&](auto* out) { return make_nagios_writer(out, warn, crit); }, reports);
}

std::string text_of(const std::vector<TargetReport>& reports, bool color = false) {
  return written([&](auto* out) { return make_text_writer(out, {color}); }, reports);
}

// The keys of nym-gateway-probe's ProbeResult, ProbeOutcome, Entry, Exit, WgProbeResults and
// LpProbeResults.
const std::map<std::string, std::vector<std::string>> upstream_keys{
    {"", {"node", "used_entry", "outcome"}},
    {"/outcome", {"as_entry", "as_exit", "socks5", "wg", "lp"}},
    {"/outcome/as_entry", {"can_connect", "can_route"}},
    {"/outcome/as_exit",
     {"can_connect", "can_route_ip_v4", "can_route_ip_external_v4", "can_route_ip_v6",
      "can_route_ip_external_v6"}},
    {"/outcome/wg",
     {"can_register",
      "can_query_metadata_v4",
      "can_handshake_v4",
      "can_resolve_dns_v4",
      "ping_hosts_performance_v4",
      "ping_ips_performance_v4",
      "can_handshake_v6",
      "can_resolve_dns_v6",
      "ping_hosts_performance_v6",
      "ping_ips_performance_v6",
      "download_duration_sec_v4",
      "download_duration_milliseconds_v4",
      "downloaded_file_size_bytes_v4",
      "downloaded_file_v4",
      "download_error_v4",
      "download_duration_sec_v6",
      "downloaded_file_size_bytes_v6",
      "download_duration_milliseconds_v6",
      "downloaded_file_v6",
      "download_error_v6"}},
    {"/outcome/lp", {"can_connect", "can_handshake", "can_register", "error"}}};

TEST(PrometheusReport, SuccessOfATargetNamedTwiceHidesItsFailure) {
  const auto failed = failed_report(Stage::handshake, ProbeCode::handshake_timeout, "15 s");
  const auto good = good_report();
  const auto make = [](std::FILE* out) { return make_prometheus_writer(out); };
  for (const auto& reports : {std::vector{failed, good}, std::vector{good, failed}}) {
    const auto text = written(make, reports);
    EXPECT_TRUE(text.contains("code=\"handshake_timeout\",stage=\"handshake\"} 1\n")) << text;
    const auto success = text.find("\nlp_probe_success{");
    ASSERT_NE(success, std::string::npos) << text;
    EXPECT_EQ(text.find("\nlp_probe_success{", success + 1), std::string::npos) << text;
    EXPECT_TRUE(text.substr(0, text.find('\n', success + 1)).ends_with("} 0")) << text;
  }
}

TEST(JsonReportTest, EveryKeyOfTheOtherProbeIsThereInSuccessAndInFailure) {
  for (const auto& report :
       {good_report(), failed_report(Stage::resolve, ProbeCode::dns_not_found, "x")}) {
    const json::value result = json_of(report);
    for (const auto& [path, keys] : upstream_keys) {
      const auto& object = (path.empty() ? result : result.at_pointer(path)).as_object();
      for (const auto& key : keys)
        EXPECT_TRUE(object.contains(key)) << path << "/" << key;
      if (!path.empty()) {
        EXPECT_EQ(object.size(), keys.size()) << "keys of our own stand beside outcome: " << path;
      }
    }
  }
}

TEST(JsonReportTest, OwnKeysAreTheSameInSuccessAndInFailure) {
  const auto good = json_of(good_report());
  const auto bad = json_of(failed_report(Stage::handshake, ProbeCode::noise_decrypt, "x"));
  std::vector<std::string> good_keys, bad_keys;
  for (const auto& pair : good)
    good_keys.emplace_back(pair.key());
  for (const auto& pair : bad)
    bad_keys.emplace_back(pair.key());
  EXPECT_EQ(good_keys, bad_keys);
}

TEST(JsonReportTest, SuccessSaysWhatWasRegistered) {
  const auto result = json_of(good_report());
  EXPECT_EQ(result.at("node"), "2pRoBhCUWJh7n9Zmhsc7UvKXsBoHzd3tJdBq79fGvLc5");
  EXPECT_EQ(result.at("schema_version"), 1);
  EXPECT_EQ(result.at("status"), "ok");
  EXPECT_TRUE(result.at("error_code").is_null());
  EXPECT_TRUE(result.at("failed_stage").is_null());
  EXPECT_TRUE(result.at("hint").is_null());
  const auto& lp = result.at("outcome").at("lp").as_object();
  EXPECT_EQ(lp.at("can_connect"), true);
  EXPECT_EQ(lp.at("can_handshake"), true);
  EXPECT_EQ(lp.at("can_register"), true);
  EXPECT_TRUE(lp.at("error").is_null());
  EXPECT_EQ(result.at("outcome").at("wg").at("can_register"), true);
  const auto& data = result.at("gateway_data").as_object();
  EXPECT_EQ(data.at("endpoint"), "127.0.0.1:51822");
  EXPECT_EQ(data.at("private_ipv4"), "10.1.0.7");
  EXPECT_EQ(data.at("private_ipv6"), "fd00::7");
  EXPECT_EQ(result.at("allocated_bandwidth"), 1'073'741'824);
  EXPECT_DOUBLE_EQ(result.at("timings_seconds").at("connect").to_number<double>(), 0.002);
  EXPECT_TRUE(result.at("timings_seconds").at("tunnel").is_null());
  EXPECT_DOUBLE_EQ(result.at("stats").at("seconds").at("handshake").at("p99").to_number<double>(),
                   0.004);
  EXPECT_EQ(result.at("stats").at("seconds").at("tunnel").at("sent"), 0);
  EXPECT_EQ(result.at("addresses"), (json::array{"192.0.2.1:41264"}));
}

TEST(JsonReportTest, FailureSaysHowFarItCame) {
  struct Reach {
    Stage stage;
    bool connect, handshake;
  };
  for (const auto& [stage, connect, handshake] :
       {Reach{Stage::resolve, false, false}, Reach{Stage::connect, false, false},
        Reach{Stage::client_hello, true, false}, Reach{Stage::handshake, true, false},
        Reach{Stage::request, true, true}, Reach{Stage::response, true, true}}) {
    const auto result = json_of(failed_report(stage, ProbeCode::credential_spent, "sentence"));
    const auto& lp = result.at("outcome").at("lp");
    EXPECT_EQ(lp.at("can_connect"), connect) << name(stage);
    EXPECT_EQ(lp.at("can_handshake"), handshake) << name(stage);
    EXPECT_EQ(lp.at("can_register"), false);
    EXPECT_EQ(result.at("outcome").at("wg").at("can_register"), false);
    EXPECT_EQ(result.at("failed_stage"), json::string(name(stage)));
    EXPECT_EQ(result.at("error_code"), "credential_spent");
    EXPECT_EQ(result.at("error_detail"), "sentence");
    EXPECT_FALSE(result.at("hint").as_string().empty());
    EXPECT_EQ(result.at("status"), "critical");
  }
}

/// With a tunnel that was checked: IPv4 answers all, IPv6 the gateway's pings alone.
TargetReport tunnel_report() {
  auto report = good_report();
  auto& attempt = report.last.attempt;
  attempt.times[static_cast<std::size_t>(Stage::tunnel)] = 900ms;
  attempt.total += 900ms;
  auto& tunnel = attempt.tunnel.emplace();
  tunnel.endpoint = *client::Endpoint::from_literal("192.0.2.1", 51822);
  tunnel.handshake_done = true;
  tunnel.handshake = {.time = 3ms, .initiations = 1, .cookie = false};
  const tunnel::PingCount all{.sent = 5, .received = 5, .min = 1ms, .mean = 2ms, .max = 3ms};
  auto& v4 = tunnel.checks[0];
  v4 = {.gateway = all,
        .ips = all,
        .hosts = all,
        .names_asked = 1,
        .names_resolved = 1,
        .dns_time = 7ms,
        .remark = ""};
  v4.ips.received = 4;
  auto& v6 = tunnel.checks[1];
  v6.gateway = all;
  v6.ips.sent = 5;
  v6.names_asked = 1;
  v6.remark = "no route";
  tunnel.remarks = {"over IPv6 no address beyond the gateway answers (no route)"};
  report.last.verdict = judge(attempt, {}, {});
  report.level = report.last.verdict.level;
  report.statistics = {};
  report.statistics.add(attempt);
  return report;
}

TEST(JsonReportTest, TunnelFillsTheOtherProbesKeysAndItsOwn) {
  const auto result = json_of(tunnel_report());
  const auto& wg = result.at("outcome").at("wg").as_object();
  EXPECT_EQ(wg.at("can_register"), true);
  EXPECT_EQ(wg.at("can_handshake_v4"), true);
  EXPECT_EQ(wg.at("can_handshake_v6"), true);
  EXPECT_EQ(wg.at("can_resolve_dns_v4"), true);
  EXPECT_EQ(wg.at("can_resolve_dns_v6"), false);
  EXPECT_DOUBLE_EQ(wg.at("ping_ips_performance_v4").to_number<double>(), 0.8);
  EXPECT_DOUBLE_EQ(wg.at("ping_hosts_performance_v4").to_number<double>(), 1.0);
  EXPECT_DOUBLE_EQ(wg.at("ping_ips_performance_v6").to_number<double>(), 0.0);
  EXPECT_EQ(result.at("status"), "warning");
  EXPECT_DOUBLE_EQ(result.at("timings_seconds").at("tunnel").to_number<double>(), 0.9);
  const auto& tunnel = result.at("tunnel").as_object();
  EXPECT_DOUBLE_EQ(tunnel.at("handshake_seconds").to_number<double>(), 0.003);
  EXPECT_EQ(tunnel.at("v4").at("ips").at("received"), 4);
  EXPECT_DOUBLE_EQ(tunnel.at("v4").at("gateway").at("mean_seconds").to_number<double>(), 0.002);
  EXPECT_TRUE(tunnel.at("v6").at("ips").at("min_seconds").is_null());
  EXPECT_EQ(tunnel.at("v6").at("remark"), "no route");
  EXPECT_EQ(tunnel.at("remarks").as_array().size(), 1u);
  EXPECT_EQ(result.at("stats").at("seconds").at("tunnel").at("ok"), 1);
}

TEST(JsonReportTest, TunnelThatFailsLeavesTheRegistrationAsItWas) {
  auto report = tunnel_report();
  report.last.attempt.error = ProbeError{Stage::tunnel, ProbeCode::wireguard_refused, "x"};
  report.last.attempt.tunnel->handshake_done = false;
  const auto result = json_of(report);
  EXPECT_EQ(result.at("failed_stage"), "tunnel");
  EXPECT_EQ(result.at("outcome").at("lp").at("can_register"), true);
  EXPECT_TRUE(result.at("outcome").at("lp").at("error").is_null());
  EXPECT_EQ(result.at("outcome").at("wg").at("can_register"), true);
  EXPECT_EQ(result.at("outcome").at("wg").at("can_handshake_v4"), false);
  EXPECT_EQ(result.at("allocated_bandwidth"), 1'073'741'824);
}

TEST(NagiosReportTest, TunnelHasItsTimeAndItsRemark) {
  const auto line = nagios_of({tunnel_report()});
  EXPECT_EQ(line.rfind("LP WARNING - gw.example:41264: registered in 21.0 ms, tunnel checked in "
                       "900 ms, over IPv6 no address beyond the gateway answers (no route) | ",
                       0),
            0u)
      << line;
  EXPECT_NE(line.find(" tunnel=0.900000s;;;0 "), std::string::npos) << line;
}

TEST(TextReportTest, TunnelShowsBothVersionsOfIpAndItsRemark) {
  const auto text = text_of({tunnel_report()});
  EXPECT_NE(
      text.find("  tunnel           900 ms  192.0.2.1:51822, handshake 3.00 ms\n"
                "    IPv4                   gateway 5/5 in 2.00 ms, addresses 4/5 in 2.00 ms, "
                "names 1/1 in 7.00 ms, hosts 5/5 in 2.00 ms\n"
                "    IPv6                   gateway 5/5 in 2.00 ms, addresses 0/5, names 0/1\n"
                "WARNING  registered in 21.0 ms, tunnel checked in 900 ms, 1.07 GB granted\n"
                "  remark: over IPv6 no address beyond the gateway answers (no route)\n"),
      std::string::npos)
      << text;
}

TEST(JsonReportTest, TextIsWhatTheValuesSay) {
  auto report = good_report();
  report.info.text = "quote \" backslash \\ bell \a";
  report.last.attempt.times[0] = 1ns;
  const auto text = written([](auto* out) { return make_json_writer(out, false); }, {report});
  const auto value = json::parse(text);
  EXPECT_EQ(value.at("target"), R"(quote " backslash \ bell \x07)") << text;
  EXPECT_EQ(value.at("timings_seconds").at("resolve").to_number<double>(), 1e-9);
  EXPECT_EQ(text.find("0E0"), std::string::npos);
  EXPECT_EQ(std::ranges::count(text, '\n'), 1);
}

TEST(JsonReportTest, SeveralTargetsAreOneArray) {
  const auto make = [](std::FILE* out) { return make_json_writer(out, true); };
  EXPECT_EQ(json::parse(written(make, {good_report(), good_report()})).as_array().size(), 2u);
  EXPECT_EQ(json::parse(written(make, {})).as_array().size(), 0u);
}

TEST(NdjsonReportTest, EachTargetIsALineAsItIsDone) {
  const auto text =
      written([](auto* out) { return make_ndjson_writer(out); }, {good_report(), tunnel_report()});
  std::istringstream lines(text);
  std::vector<json::value> objects;
  for (std::string line; std::getline(lines, line);)
    objects.push_back(json::parse(line));
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_EQ(objects[0].as_object(), json_of(good_report()));
  EXPECT_EQ(objects[1].as_object(), json_of(tunnel_report()));
  EXPECT_EQ(written([](auto* out) { return make_ndjson_writer(out); }, {}), "");
}

ptree junit_of(const std::vector<TargetReport>& reports) {
  std::istringstream text(written([](auto* out) { return make_junit_writer(out); }, reports));
  ptree document;
  boost::property_tree::read_xml(text, document);
  return document.get_child("testsuites");
}
std::string attribute(const ptree& element, const std::string& name) {
  return element.get<std::string>("<xmlattr>." + name);
}
/// "resolve connect! handshake-": a case that failed, one that was skipped.
std::string cases(const ptree& suite) {
  std::string text;
  for (const auto& [tag, element] : suite) {
    if (tag != "testcase") continue;
    text += (text.empty() ? "" : " ") + attribute(element, "name");
    if (element.count("failure") + element.count("error") > 0) text += "!";
    if (element.count("skipped") > 0) text += "-";
  }
  return text;
}

TEST(JunitReportTest, StagesAreCasesWithTheirTimes) {
  const auto root =
      junit_of({good_report(), failed_report(Stage::handshake, ProbeCode::noise_decrypt,
                                             "bytes <&\"'\x1b]]> of a peer")});
  EXPECT_EQ(attribute(root, "tests"), "12");
  EXPECT_EQ(attribute(root, "failures"), "1");
  EXPECT_EQ(attribute(root, "errors"), "0");
  EXPECT_EQ(attribute(root, "skipped"), "2");
  const auto& good = std::next(root.begin())->second;  // behind the attributes
  EXPECT_EQ(attribute(good, "name"), "id@gw.example");
  EXPECT_EQ(cases(good), "resolve connect client_hello handshake request response");
  EXPECT_EQ(attribute(good, "time"), "0.021000");
  const auto& failed = root.back().second;
  EXPECT_EQ(cases(failed), "resolve connect client_hello handshake! request- response-");
  EXPECT_EQ(attribute(failed, "failures"), "1");
  for (const auto& [tag, element] : failed) {
    const auto failure = element.get_child_optional("failure");
    if (!failure) continue;
    EXPECT_EQ(attribute(element, "classname"), "lp-probe gw.example:41264");
    EXPECT_EQ(attribute(*failure, "type"), "noise_decrypt");
    EXPECT_EQ(attribute(*failure, "message"), "bytes <&\"'\\x1b]]> of a peer");
    EXPECT_EQ(failure->data(), entry(ProbeCode::noise_decrypt).hint);
  }
}

TEST(JunitReportTest, WhatSaysNothingAboutTheGatewayIsAnErrorAndRemarksAreACase) {
  const auto unknown =
      junit_of({failed_report(Stage::resolve, ProbeCode::out_of_descriptors, "too many files")});
  EXPECT_EQ(attribute(unknown, "errors"), "1");
  EXPECT_EQ(attribute(unknown, "failures"), "0");
  const auto remark = junit_of({tunnel_report()});
  EXPECT_TRUE(cases(remark.back().second).ends_with("response tunnel limits!"));
  const auto none = junit_of({});
  EXPECT_EQ(attribute(none, "tests"), "0");
}

TEST(NagiosReportTest, OneTargetIsOneLineWithPerformanceData) {
  options::Thresholds warn, crit;
  warn[static_cast<std::size_t>(Stage::connect)] = 10ms;
  crit[options::total_threshold] = 2s;
  EXPECT_EQ(nagios_of({good_report()}, warn, crit),
            "LP OK - gw.example:41264: registered in 21.0 ms | resolve=0.001000s;;;0 "
            "connect=0.002000s;0.010000;;0 client_hello=0.003000s;;;0 handshake=0.004000s;;;0 "
            "request=0.005000s;;;0 response=0.006000s;;;0 total=0.021000s;;2.000000;0 "
            "loss=0.0%;;;0;100\n");
}

TEST(NagiosReportTest, WhatTheGatewaySaysForgesNoPerformanceDataAndNoSecondLine) {
  const auto line = nagios_of({failed_report(Stage::response, ProbeCode::registration_rejected,
                                             "no | total=0.0\nOK - all well")});
  EXPECT_EQ(std::ranges::count(line, '\n'), 1);
  EXPECT_EQ(std::ranges::count(line, '|'), 1);
  EXPECT_EQ(line.rfind("LP CRITICAL - gw.example:41264: response failed: ", 0), 0u) << line;
}

TEST(NagiosReportTest, SeveralTargetsAreSummedUpFirst) {
  const auto text =
      nagios_of({good_report(), failed_report(Stage::connect, ProbeCode::tcp_refused, "refused")});
  EXPECT_EQ(text.rfind("LP CRITICAL - 1 of 2 gateways ok | gateways=2;;;0 not_ok=1;;;0\n", 0), 0u)
      << text;
  EXPECT_NE(text.find("\nOK - gw.example"), std::string::npos);
  EXPECT_NE(text.find("\nCRITICAL - gw.example:41264: connect failed: tcp_refused"),
            std::string::npos);
}

TEST(TextReportTest, SuccessShowsEachStageAndTheTunnel) {
  EXPECT_EQ(text_of({good_report()}),
            "gateway 2pRoBhCUWJh7n9Zmhsc7UvKXsBoHzd3tJdBq79fGvLc5 at gw.example:41264\n"
            "  resolve         1.00 ms  192.0.2.1\n"
            "  connect         2.00 ms  192.0.2.1:41264\n"
            "  client_hello    3.00 ms  \n"
            "  handshake       4.00 ms  session 0xd0062b12\n"
            "  request         5.00 ms  dvpn, V1WireguardEntry, mock ticket\n"
            "  response        6.00 ms  \n"
            "OK  registered in 21.0 ms, 1.07 GB granted\n"
            "  tunnel: 10.1.0.7 and fd00::7 through 127.0.0.1:51822\n");
}

TEST(TextReportTest, FailureNamesStageCodeDetailAndHint) {
  const auto text = text_of({failed_report(Stage::connect, ProbeCode::tcp_refused, "refused")});
  EXPECT_NE(text.find("connect         2.00 ms  FAILED  tcp_refused\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("handshake"), std::string::npos);
  EXPECT_NE(text.find("CRITICAL  connect failed: tcp_refused\n  detail: refused\n  hint:   "),
            std::string::npos)
      << text;
}

TEST(TextReportTest, SeveralProbesAreLinesAndStatistics) {
  auto report = good_report();
  report.wanted = 2;
  const auto text = text_of({report});
  EXPECT_NE(text.find("seq=1 OK connect=2.00 ms handshake=4.00 ms response=6.00 ms "
                      "total=21.0 ms\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("1 probes of 2 wanted, 1 registered, 0.0 % lost"), std::string::npos);
  EXPECT_NE(text.find("p99"), std::string::npos);
}

TEST(TextReportTest, ColourIsThereOnlyWhenWanted) {
  EXPECT_EQ(text_of({good_report()}).find('\x1b'), std::string::npos);
  EXPECT_NE(text_of({good_report()}, true).find('\x1b'), std::string::npos);
}

TEST(ReportTest, BytesAreShownInDecimalUnits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(500'000'000), "500 MB");
  EXPECT_EQ(format_bytes(1'073'741'824), "1.07 GB");
  EXPECT_EQ(format_bytes(INT64_MAX), "9.22 EB");
  EXPECT_EQ(format_bytes(-1), "-1 B");
}

}  // namespace
}  // namespace lp::probe::report
