#include "gateway/http/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lp::gateway::http {
namespace {

class RoutesTest : public ::testing::Test {
 protected:
  Answer answer(std::string_view method, std::string_view target, bool allowed = true) const {
    return routes_.answer({.method = method, .target = target, .allowed = allowed});
  }
  metrics::Metrics metrics_;
  Routes routes_{LpInfo{}, metrics_, nullptr, nullptr};
};

TEST_F(RoutesTest, QueryDoesNotHideThePath) {
  EXPECT_EQ(answer("GET", "/healthz?").status, 200u);
  EXPECT_EQ(answer("GET", "/metrics?name=lp_connections_total").status, 200u);
  EXPECT_EQ(answer("GET", "/healthz?/metrics", false).body, "ok\n");
}

TEST_F(RoutesTest, AbsoluteTargetIsTakenAndOpensNoOtherDoor) {
  EXPECT_EQ(answer("GET", "http://gateway.example:8080/healthz").status, 200u);
  EXPECT_EQ(answer("GET", "http://gateway.example").status, 404u);
  EXPECT_EQ(answer("GET", "http://gateway.example/metrics", false).status, 403u);
}

TEST_F(RoutesTest, PathIsComparedWhole) {
  for (const char* target : {"/", "", "*", "metrics", "/metrics/", "//metrics", "/METRICS",
                             "/./metrics", "/healthz/../metrics", "/%6detrics", "/metricsx"}) {
    EXPECT_EQ(answer("GET", target).status, 404u) << target;
  }
}

TEST_F(RoutesTest, StrangersLearnNothingAboutInternalPathsByOtherMethods) {
  for (const char* target : {"/metrics", "/readyz"}) {
    EXPECT_EQ(answer("POST", target, false).status, 403u) << target;
    EXPECT_EQ(answer("POST", target, true).status, 405u) << target;
    EXPECT_EQ(answer("POST", target, true).allow, "GET, HEAD") << target;
  }
}

TEST_F(RoutesTest, WithoutFunctionsItIsReady) {
  EXPECT_EQ(answer("GET", "/readyz").status, 200u);
}

}  // namespace
}  // namespace lp::gateway::http
