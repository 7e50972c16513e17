// An alert or a panel whose query names something that is not exported stays silent for ever, and
// nobody notices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/packaging/packaged.h"
#include "tests/packaging/promql.h"

namespace lp::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// What real programs export.
const Series& exported() {
  static const Series series = [] {
    Series result;
    const EphemeralGateway gateway;
    add_series(result, gateway.metrics());
    add_series(result, gateway.maintenance_metrics());
    add_series(result, gateway.probe_metrics());
    add_series(result, "up 1\n");  // Prometheus's own
    return result;
  }();
  return series;
}

TEST(PackagedQueries, EveryAlertAsksForWhatRealProgramsExport) {
  const auto alerts = packaged_alerts();
  ASSERT_GE(alerts.size(), 20u);
  for (const AlertRule& alert : alerts) {
    const Query query = read_query(alert.expression);
    EXPECT_THAT(query.selectors, testing::Not(IsEmpty())) << alert.name;
    EXPECT_THAT(unknown_names(query, exported()), IsEmpty()) << alert.name;
  }
}

TEST(PackagedQueries, EveryPanelAsksForWhatRealProgramsExport) {
  const auto queries = dashboard_queries();
  ASSERT_GE(queries.size(), 50u);
  for (const PanelQuery& panel : queries) {
    const Query query = read_query(panel.expression);
    EXPECT_THAT(query.selectors, testing::Not(IsEmpty())) << panel.panel;
    EXPECT_THAT(unknown_names(query, exported()), IsEmpty()) << panel.panel;
  }
}

TEST(PackagedQueries, NoMetricOfTheGatewayIsMissingOnTheDashboard) {
  std::set<std::string> shown;
  for (const PanelQuery& panel : dashboard_queries()) {
    for (const Selector& selector : read_query(panel.expression).selectors)
      shown.insert(selector.metric);
  }
  // These say the same as lp_connections_total and lp_registration_success_total.
  const std::set<std::string> twice{
      "lp_connections_completed_gracefully", "lp_connections_completed_with_error",
      "lp_registration_dvpn_success", "lp_registration_mixnet_success",
      "lp_registration_attempts_total"};
  for (const auto& [metric, series] : exported()) {
    if (metric.starts_with("lp_probe_")) continue;  // another machine's, which has alerts
    const std::size_t part = std::min(metric.rfind('_'), metric.size());
    const std::set<std::string> parts{"_bucket", "_count", "_sum"};
    const bool of_shown_histogram =
        parts.contains(metric.substr(part)) && std::ranges::any_of(parts, [&](const auto& other) {
          return shown.contains(metric.substr(0, part) + other);
        });
    if (metric == "lp_db_maint_duration_seconds" || twice.contains(metric) || of_shown_histogram)
      continue;
    EXPECT_TRUE(shown.contains(metric)) << metric;
  }
}

// The checks above hold nothing if they cannot fail.
TEST(PackagedQueries, SelectorsAreReadWithTheirMatchersAndGroupings) {
  const Query query = read_query(
      "sum without (reason) (rate(a_total{x=\"1\", y!~'p|q'}[5m])) / ignoring (z) group_left () b "
      "> 0.5 and on (job, instance) time() - c offset 5m > 3 * 86400 or 1e3 < d[$__rate_interval]");
  EXPECT_THAT(query.selectors,
              ElementsAre(Selector{"a_total", {{"x", "=", "1"}, {"y", "!~", "p|q"}}}, Selector{"b"},
                          Selector{"c"}, Selector{"d"}));
  EXPECT_THAT(query.grouped, ElementsAre("instance", "job", "reason", "z"));
  EXPECT_THROW((void)read_query("{x=\"1\"}"), std::invalid_argument);
  EXPECT_THROW((void)read_query("a{x=\"1\""), std::invalid_argument);
}

TEST(PackagedQueries, WhatIsNotExportedIsFound) {
  Series series;
  add_series(series, "# TYPE a gauge\na{x=\"1\",y=\"2\"} 5\na{x=\"3\",y=\"4\"} 0\nb 1\n");
  const auto unknown = [&](std::string_view query) {
    return unknown_names(read_query(query), series);
  };
  EXPECT_THAT(unknown("sum by (x, instance) (a{x=\"1\", job=\"j\"}) + b"), IsEmpty());
  EXPECT_THAT(unknown("a + c"), ElementsAre("c"));
  EXPECT_THAT(unknown("a{x=\"2\"}"), ElementsAre("a{x=\"2\"}"));
  EXPECT_THAT(unknown("a{z!=\"2\"}"), ElementsAre("a{z=\"2\"}"));
  EXPECT_THAT(unknown("a{x=~\"1|3|5\"}"), ElementsAre("a{x=\"5\"}"));
  EXPECT_THAT(unknown("a{x=\"1\", y=\"4\"}"), ElementsAre("a with all its labels together"));
  EXPECT_THAT(unknown("sum by (z) (a)"), ElementsAre("label z"));
}

}  // namespace
}  // namespace lp::test
