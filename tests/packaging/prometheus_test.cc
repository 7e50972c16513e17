// The packaged rules and dashboard in Debian's Prometheus, which watches a real gateway.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <regex>
#include <system_error>

#include "tests/packaging/packaged.h"
#include "tests/probes/scripted_http.h"
#include "tests/support/raw_client.h"

namespace lp::test {
namespace {

using namespace std::chrono_literals;

std::string replace_all(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

/// The packaged rules with minutes made seconds: windows of 4 s, and what must hold for minutes
/// must hold for one second.
std::string hasty_rules() {
  const std::string rules = source_file("packaging/prometheus/lp-gateway.rules.yml");
  const std::string windows = std::regex_replace(rules, std::regex("\\[\\d+m\\]"), "[4s]");
  return std::regex_replace(windows, std::regex("for: \\d+m"), "for: 2s");
}

std::string percent_encoded(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') {
      result += c;
    } else {
      std::array<char, 4> code{};
      std::snprintf(code.data(), code.size(), "%%%02X", static_cast<unsigned char>(c));
      result += code.data();
    }
  }
  return result;
}

/// A textfile as a node exporter serves it.
std::string exposition(const std::string& text) {
  return replace_all(ScriptedHttp::ok(text), "application/json", "text/plain; version=0.0.4");
}

class Prometheus {
 public:
  struct Ports {
    std::uint16_t gateway;
    std::uint16_t node;
  };

  explicit Prometheus(const std::filesystem::path& program, Ports ports)
      : child_(start(program, ports)) {}

  /// The member `data` of an answer of its API.
  [[nodiscard]] boost::json::value api(std::string_view path) const {
    return boost::json::parse(http_get(port_, "/api/v1/" + std::string(path))).at("data");
  }

  /// Whether it has begun to serve.
  [[nodiscard]] bool ready() const try {
    return http_get(port_, "/-/ready").contains("Ready");
  } catch (const std::exception&) {
    return false;
  }

  /// "alert instance" of those that fire.
  [[nodiscard]] std::set<std::string> firing() const {
    std::set<std::string> result;
    const auto data = api("alerts");
    for (const auto& alert : data.at("alerts").as_array()) {
      if (alert.at("state") != "firing") continue;
      const auto& labels = alert.at("labels").as_object();
      const auto* const instance = labels.if_contains("node");
      result.insert(std::string(labels.at("alertname").as_string()) +
                    (instance != nullptr ? " " + std::string(instance->as_string()) : ""));
    }
    return result;
  }
  [[nodiscard]] bool fires(const std::string& alert) const { return firing().contains(alert); }

  /// How many series a query gives now.
  [[nodiscard]] std::size_t results(std::string_view query) const {
    return api("query?query=" + percent_encoded(query)).at("result").as_array().size();
  }

  [[nodiscard]] std::string log() const { return child_.error_output(); }

 private:
  Child start(const std::filesystem::path& program, Ports ports) {
    write_file(directory_ / "lp-gateway.rules.yml", hasty_rules());
    write_file(
        directory_ / "prometheus.yml",
        "global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 250ms}\n"
        "rule_files: [lp-gateway.rules.yml]\n"
        "scrape_configs:\n"
        "  - job_name: lp-gateway\n"
        "    static_configs: [{targets: ['127.0.0.1:" +
            std::to_string(ports.gateway) +
            "']}]\n"
            "  - job_name: fresh\n"
            "    metrics_path: /fresh\n"
            "    static_configs: [{targets: ['127.0.0.1:" +
            std::to_string(ports.node) +
            "'], labels: {node: fresh}}]\n"
            "  - job_name: stale\n"
            "    metrics_path: /stale\n"
            "    static_configs: [{targets: ['127.0.0.1:" +
            std::to_string(ports.node) +
            "'], labels: {node: stale}}]\n"
            "  - job_name: probe\n"
            "    metrics_path: /probe\n"
            "    static_configs: [{targets: ['127.0.0.1:" +
            std::to_string(ports.node) + "'], labels: {node: probe}}]\n");
    return Child(
        {.program = program,
         .args = {"--config.file=" + (directory_ / "prometheus.yml").string(),
                  "--storage.tsdb.path=" + (directory_ / "data").string(),
                  "--web.listen-address=127.0.0.1:" + std::to_string(port_), "--log.level=warn"}});
  }

  TempDir directory_;
  std::uint16_t port_ = free_port();
  Child child_;
};

/// Asks until it holds; false after `limit`.
template <typename Condition>
[[nodiscard]] bool eventually(Condition condition, std::chrono::seconds limit = 60s) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(50ms);
  }
  return true;
}

/// A handshake with the gateway's key, or with one that is not the gateway's and fails.
bool shake_hands_once(const EphemeralGateway& gateway, bool with_its_key) {
  crypto::X25519Public key = gateway.lp_key();
  if (!with_its_key) {
    key = crypto::X25519KeyPair::generate().public_key;
  }
  RawConnection connection("127.0.0.1", gateway.lp_port());
  RawClient client(key, SystemWallClock().now());
  return shake_hands(connection, client);
}

TEST(Prometheus, AlertsFireAndResolveAtARealGatewayAndEveryPanelHasData) {
  const auto program = installed("prometheus");
  if (program.empty()) {
    GTEST_SKIP() << "prometheus is not installed: scripts/install-deps test";
  }
  EphemeralGateway gateway;
  const std::string textfile = gateway.maintenance_metrics();
  const std::string last_success = "lp_db_maint_last_success_timestamp_seconds";
  const ScriptedHttp node({
      {"/fresh", exposition(textfile)},
      {"/stale",
       exposition(std::regex_replace(textfile, std::regex("(" + last_success + "\\{.*\\}) \\d+"),
                                     "$1 1700000000"))},
      {"/probe", exposition(gateway.probe_metrics())},
  });
  const Prometheus prometheus(program, {.gateway = gateway.http_port(), .node = node.port()});
  ASSERT_TRUE(eventually([&] { return prometheus.ready(); })) << prometheus.log();

  // At rest: mock e-cash, which it has, the textfile that is old, the one of a probe that found
  // nobody at one of two ports, and nothing else.
  const std::set<std::string> at_rest{"LpGatewayMockEcash", "LpMaintenanceStale stale",
                                      "LpProbeFailing probe"};
  EXPECT_TRUE(eventually([&] { return std::ranges::includes(prometheus.firing(), at_rest); }))
      << prometheus.log();

  // Every rule is evaluated without an error. The least that a handshake does is done meanwhile.
  ASSERT_TRUE(shake_hands_once(gateway, true));
  EXPECT_TRUE(eventually([&] {
    const auto groups = prometheus.api("rules").at("groups");
    std::size_t evaluated = 0;
    for (const auto& group : groups.as_array()) {
      for (const auto& rule : group.at("rules").as_array())
        evaluated += rule.at("health") == "ok" ? 1 : 0;
    }
    return evaluated == packaged_alerts().size();
  }));
  for (const PanelQuery& panel : dashboard_queries()) {
    std::string query = replace_all(panel.expression, "$job", "lp-gateway");
    query = replace_all(std::move(query), "$instance", ".*");
    query = replace_all(std::move(query), "$__rate_interval", "4s");
    const std::size_t results = prometheus.results(query);    // throws where the query is none
    if (query.contains("lp_ecash_keys_confirmed")) continue;  // only with a chain
    EXPECT_GT(results, 0u) << panel.panel << ": " << query;
  }
  EXPECT_TRUE(eventually([&] { return prometheus.firing() == at_rest; }))
      << testing::PrintToString(prometheus.firing());

  EXPECT_TRUE(eventually([&] {
    EXPECT_FALSE(shake_hands_once(gateway, false));
    return prometheus.fires("LpGatewayHandshakesFailing");
  })) << prometheus.log();
  EXPECT_TRUE(eventually([&] {
    EXPECT_TRUE(shake_hands_once(gateway, true));
    return !prometheus.fires("LpGatewayHandshakesFailing");
  })) << prometheus.log();

  (void)gateway.child().kill();
  EXPECT_TRUE(eventually([&] { return prometheus.fires("LpGatewayDown"); })) << prometheus.log();
}

TEST(Promtool, RulesAreSoundAndEachAlertFiresResolvesAndStaysSilentOnAQuietGateway) {
  const auto program = installed("promtool");
  if (program.empty()) {
    GTEST_SKIP() << "promtool is not installed: scripts/install-deps test";
  }
  const std::filesystem::path packaged(LP_SOURCE_DIR "/packaging/prometheus");
  const auto checked =
      run({.program = program, .args = {"check", "config", packaged / "prometheus.yml"}});
  EXPECT_EQ(checked.ended.code, 0) << checked.output << checked.error_output;
  EXPECT_TRUE(
      checked.output.contains(" " + std::to_string(packaged_alerts().size()) + " rules found"))
      << checked.output;
  const auto tested =
      run({.program = program, .args = {"test", "rules", packaged / "lp-gateway.rules_test.yml"}});
  EXPECT_EQ(tested.ended.code, 0) << tested.output << tested.error_output;
}

TEST(Promtool, EveryAlertHasACaseInWhichItFiresAndOnesInWhichItDoesNot) {
  const std::string cases = source_file("packaging/prometheus/lp-gateway.rules_test.yml");
  for (const AlertRule& alert : packaged_alerts()) {
    EXPECT_TRUE(cases.contains("alertname: " + alert.name + "\n        exp_alerts:\n          - "))
        << alert.name << " is never seen to fire";
    EXPECT_TRUE(cases.contains("eval_time: 60m, alertname: " + alert.name + ", exp_alerts: []"))
        << alert.name << " is not looked at on a quiet gateway";
  }
}

}  // namespace
}  // namespace lp::test
