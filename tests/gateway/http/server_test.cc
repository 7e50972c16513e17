// What a well-behaved client sees.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <boost/json.hpp>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "tests/gateway/http/fixture.h"

namespace lp::gateway::http::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::int64_t unix_now() {
  using namespace std::chrono;
  return duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

std::int64_t parse_date(const std::string& text) {
  std::tm utc{};
  if (::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &utc) == nullptr) return -1;
  return ::timegm(&utc);
}

TEST_F(HttpTest, EveryRouteAnswersWithItsTypeAndBody) {
  start();
  RawClient client = connect();
  const auto metrics = client.get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_EQ(metrics->status, 200);
  EXPECT_THAT(metrics->headers.at("content-type"), StartsWith("text/plain; version=0.0.4"));
  EXPECT_THAT(metrics->body, HasSubstr("\nlp_active_lp_connections 0\n"));

  const auto health = client.get("/healthz");
  ASSERT_TRUE(health);
  EXPECT_EQ(health->status, 200);
  EXPECT_EQ(health->body, "ok\n");

  const auto ready = client.get("/readyz");
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->status, 200);
  EXPECT_EQ(ready->body, "ready\n");

  const auto lp = client.get("/api/v1/lp");
  ASSERT_TRUE(lp);
  EXPECT_EQ(lp->status, 200);
  EXPECT_EQ(lp->headers.at("content-type"), "application/json");
  EXPECT_EQ(boost::json::parse(lp->body),
            boost::json::parse(R"({"identity": "2pRoBhCUWJh7n9Zmhsc7UvKXsBoHzd3tJdBq79fGvLc5",
                "lp_public_key": "3ab1", "lp_port": 41264, "protocol_version": 1,
                "modes": ["dvpn", "mixnet"], "mock_ecash": true, "version": "1.2.3"})"));
}

TEST_F(HttpTest, GaugesAreRefreshedBeforeEveryScrapeAndOnlyThen) {
  start();
  RawClient client = connect();
  ASSERT_TRUE(client.get("/healthz"));
  EXPECT_EQ(refreshed_, 0);
  ASSERT_TRUE(client.get("/metrics"));
  ASSERT_TRUE(client.get("/metrics"));
  EXPECT_EQ(refreshed_, 2);
}

TEST_F(HttpTest, NotReadyTellsEveryReason) {
  start();
  set_reasons({"storage: disk full", "WireGuard: no such device"});
  const auto answer = connect().get("/readyz");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(answer->body, "storage: disk full\nWireGuard: no such device\n");
}

TEST_F(HttpTest, BrokenReadinessIsAnErrorOfOneRequest) {
  start();
  set_readiness_throws();
  RawClient client = connect();
  const auto answer = client.get("/readyz");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 500);
  EXPECT_THAT(answer->body, testing::Not(HasSubstr("broken")));
  const auto health = client.get("/healthz");
  ASSERT_TRUE(health);
  EXPECT_EQ(health->status, 200);
}

TEST_F(HttpTest, HeadHasTheHeadersOfGetAndNoBody) {
  start();
  RawClient client = connect();
  for (const char* target : {"/healthz", "/api/v1/lp", "/nowhere"}) {
    const auto get = client.get(target);
    ASSERT_TRUE(client.send(request(target, "HEAD")));
    const auto head = client.read_response(true);
    ASSERT_TRUE(get && head) << target;
    EXPECT_EQ(head->status, get->status) << target;
    EXPECT_EQ(head->headers.at("content-length"), get->headers.at("content-length")) << target;
    EXPECT_EQ(head->headers.at("content-type"), get->headers.at("content-type")) << target;
  }
  // Had a HEAD left a body behind, this would read it as an answer.
  const auto last = client.get("/healthz");
  ASSERT_TRUE(last);
  EXPECT_EQ(last->body, "ok\n");
}

TEST_F(HttpTest, OtherMethodsAndPathsAreRefusedByTheirStatus) {
  start();
  RawClient client = connect();
  const auto missing = client.get("/favicon.ico");
  ASSERT_TRUE(missing);
  EXPECT_EQ(missing->status, 404);
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "FROBNICATE"}) {
    ASSERT_TRUE(client.send(request("/healthz", method)));
    const auto refused = client.read_response();
    ASSERT_TRUE(refused) << method;
    EXPECT_EQ(refused->status, 405) << method;
    EXPECT_EQ(refused->headers.at("allow"), "GET, HEAD") << method;
  }
}

TEST_F(HttpTest, EveryAnswerHasTheDate) {
  start();
  const std::int64_t before = unix_now();
  for (const std::string& bytes :
       {request("/healthz"), request("/metrics"), request("/nowhere"), request("/healthz", "POST"),
        std::string("nonsense\r\n\r\n"), request("/", "GET", "X: " + std::string(9000, 'x')),
        request("/healthz", "GET", "Content-Length: 4\r\n")}) {
    RawClient client = connect();
    ASSERT_TRUE(client.send(bytes));
    const auto answer = client.read_response();
    ASSERT_TRUE(answer);
    const std::int64_t date = parse_date(answer->headers.at("date"));
    EXPECT_GE(date, before) << answer->status;
    EXPECT_LE(date, unix_now()) << answer->status;
    EXPECT_EQ(answer->headers.at("server"), "lp-gateway");
  }
}

TEST_F(HttpTest, StrangersReadNeitherMetricsNorReadiness) {
  start();
  RawClient stranger = connect("127.0.0.9");
  for (const auto& [target, status] :
       {std::pair{"/metrics", 403}, {"/readyz", 403}, {"/healthz", 200}, {"/api/v1/lp", 200}}) {
    const auto answer = stranger.get(target);
    ASSERT_TRUE(answer) << target;
    EXPECT_EQ(answer->status, status) << target;
    EXPECT_THAT(answer->body, testing::Not(HasSubstr("lp_active"))) << target;
  }
}

TEST_F(HttpTest, MetricsAllowChangesForOpenConnectionsToo) {
  HttpServer& server = start();
  RawClient first = connect("127.0.0.1");
  RawClient second = connect("127.0.0.9");
  ASSERT_EQ(first.get("/metrics").value().status, 200);
  ASSERT_EQ(second.get("/metrics").value().status, 403);
  server.set_metrics_allow({"127.0.0.8/31"});
  EXPECT_EQ(first.get("/metrics").value().status, 403);
  EXPECT_EQ(second.get("/metrics").value().status, 200);
  server.set_metrics_allow({});
  EXPECT_EQ(second.get("/metrics").value().status, 403);
}

TEST_F(HttpTest, BadMetricsAllowLeavesTheFormerList) {
  HttpServer& server = start();
  RawClient client = connect();
  server.set_metrics_allow({"0.0.0.0/0", "everybody"});
  EXPECT_EQ(client.get("/metrics").value().status, 200);
  EXPECT_EQ(connect("127.0.0.9").get("/metrics").value().status, 403);
}

TEST_F(HttpTest, Ipv4ClientOfADualStackSocketIsAllowedAsIpv4) {
  HttpOptions options = loopback_options();
  options.address = "::";
  HttpServer& server = start(options);
  const std::string port = server.address().substr(server.address().rfind(':'));
  EXPECT_EQ(server.address(), "[::]" + port);
  EXPECT_EQ(RawClient("127.0.0.1" + port).get("/metrics").value().status, 200);
  EXPECT_EQ(RawClient("127.0.0.1" + port, "127.0.0.9").get("/metrics").value().status, 403);
  EXPECT_EQ(RawClient("[::1]" + port).get("/metrics").value().status, 403);
}

TEST_F(HttpTest, PortInUseIsToldWithItsAddress) {
  const std::string address = start().address();
  HttpOptions options = loopback_options();
  options.port = static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  const auto second = start_http_server(options, metrics_, nullptr, nullptr);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error(), HasSubstr(address));
  EXPECT_THAT(second.error(), HasSubstr("in use"));
}

TEST_F(HttpTest, BadSettingsAreToldWithTheirValue) {
  HttpOptions options = loopback_options();
  options.address = "localhost";
  EXPECT_THAT(start_http_server(options, metrics_, nullptr, nullptr).error(),
              HasSubstr("\"localhost\""));
  options = loopback_options();
  options.metrics_allow = {"10.0.0.0/40"};
  EXPECT_THAT(start_http_server(options, metrics_, nullptr, nullptr).error(),
              HasSubstr("metrics_allow: \"10.0.0.0/40\""));
}

TEST_F(HttpTest, ItsThreadGivesWayToOthers) {
  start();
  ASSERT_TRUE(connect().get("/healthz"));  // so that the thread runs
  int found = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    if (name != "lp-http") continue;
    ++found;
    const auto id = static_cast<id_t>(std::stoul(task.path().filename()));
    EXPECT_EQ(::getpriority(PRIO_PROCESS, id),
              std::min(19, ::getpriority(PRIO_PROCESS, 0) + 10));  // whatever this test runs with
  }
  EXPECT_EQ(found, 1);
}

TEST_F(HttpTest, OfferToSpeakAnotherProtocolIsNotTaken) {
  start();
  RawClient client = connect();
  ASSERT_TRUE(client.send(request("/healthz", "GET",
                                  "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                                  "HTTP2-Settings: AAMAAABkAAQAAP__\r\n")));
  EXPECT_EQ(client.read_response().value().body, "ok\n");
  EXPECT_EQ(client.get("/healthz").value().body, "ok\n");
}

TEST_F(HttpTest, ShutdownDoesNotWaitForOpenConnections) {
  HttpServer& server = start();
  RawClient idle = connect();
  RawClient half = connect();
  ASSERT_TRUE(half.send("GET /healthz HTTP/1.1\r\nHo"));
  expect_alive();  // so that both have been accepted
  server.shut_down();
  EXPECT_EQ(idle.read_to_end(), "");
  EXPECT_EQ(half.read_to_end(), "");
  EXPECT_THROW((void)connect(), std::system_error);
  server.shut_down();
}

}  // namespace
}  // namespace lp::gateway::http::test
