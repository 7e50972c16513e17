// What a careless or hostile client can send.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/gateway/http/fixture.h"

namespace lp::gateway::http::test {
namespace {

using testing::HasSubstr;

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) {
    ++found;
  }
  return found;
}

TEST_F(HttpTest, PipelinedRequestsAreAnsweredInOrder) {
  start();
  RawClient client = connect();
  ASSERT_TRUE(client.send(request("/healthz") + request("/nowhere") +
                          request("/api/v1/lp", "HEAD") + request("/readyz")));
  EXPECT_EQ(client.read_response().value().body, "ok\n");
  EXPECT_EQ(client.read_response().value().status, 404);
  EXPECT_EQ(client.read_response(true).value().headers.at("content-type"), "application/json");
  EXPECT_EQ(client.read_response().value().body, "ready\n");
}

TEST_F(HttpTest, PipelineLongerThanTheBufferLosesNothing) {
  start();
  RawClient client = connect();
  std::string pipeline;
  constexpr int requests = 500;
  for (int i = 0; i < requests; ++i)
    pipeline += request("/healthz");
  ASSERT_GT(pipeline.size(), 2 * max_header_size);
  ASSERT_TRUE(client.send(pipeline));
  for (int i = 0; i < requests; ++i) {
    const auto answer = client.read_response();
    ASSERT_TRUE(answer) << i;
    ASSERT_EQ(answer->body, "ok\n") << i;
  }
}

TEST_F(HttpTest, RequestInSingleBytesIsARequest) {
  start();
  RawClient client = connect();
  for (const char byte : request("/healthz"))
    ASSERT_TRUE(client.send({&byte, 1}));
  EXPECT_EQ(client.read_response().value().body, "ok\n");
}

TEST_F(HttpTest, ClientThatStopsSendingStillGetsItsAnswer) {
  start();
  RawClient client = connect();
  ASSERT_TRUE(client.send(request("/healthz")));
  client.shut_down_sending();
  EXPECT_EQ(client.read_response().value().body, "ok\n");
  EXPECT_EQ(client.read_to_end(), "");
}

TEST_F(HttpTest, OldVersionIsClosedAfterItsAnswerUnlessItAsksOtherwise) {
  start();
  RawClient client = connect();
  ASSERT_TRUE(client.send("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  EXPECT_EQ(client.read_response().value().headers.at("connection"), "keep-alive");
  ASSERT_TRUE(client.send("GET /healthz HTTP/1.0\r\n\r\n"));
  EXPECT_THAT(client.read_to_end(), testing::EndsWith("\r\n\r\nok\n"));
}

TEST_F(HttpTest, OversizeHeaderIsRefusedAndTheAnswerArrives) {
  start();
  for (const std::string& bytes :
       {request("/healthz", "GET", "X-Long: " + std::string(max_header_size, 'x') + "\r\n"),
        "GET /" + std::string(100'000, 'a') + " HTTP/1.1\r\n\r\n", request("/healthz", "GET", [] {
          std::string many;
          for (int i = 0; i < 2000; ++i)
            many += "A: b\r\n";
          return many;
        }())}) {
    RawClient client = connect();
    client.send(bytes);
    const auto answer = client.read_response();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 431);
    EXPECT_EQ(answer->headers.at("connection"), "close");
    EXPECT_EQ(client.read_to_end(), "");
  }
}

TEST_F(HttpTest, HeaderJustBelowTheLimitIsTaken) {
  start();
  RawClient client = connect();
  const std::size_t rest = max_header_size - request("/healthz", "GET", "X: \r\n").size() - 1;
  const std::string padding(rest, 'x');
  ASSERT_TRUE(client.send(request("/healthz", "GET", "X: " + padding + "\r\n")));
  EXPECT_EQ(client.read_response().value().status, 200);
}

TEST_F(HttpTest, BodyIsNeverReadAsTheNextRequest) {
  start();
  const std::string smuggled = request("/metrics");
  const std::string length = "Content-Length: " + std::to_string(smuggled.size()) + "\r\n";
  struct Case {
    std::string bytes;
    int status;
  };
  for (const auto& [bytes, status] :
       {Case{request("/healthz", "GET", length) + smuggled, 413},
        Case{request("/healthz", "POST", length) + smuggled, 405},
        Case{request("/nowhere", "POST", length) + smuggled, 404},
        Case{request("/healthz", "GET", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n" + smuggled,
             413},
        Case{request("/healthz", "GET", "Content-Length: 99999999999999\r\n") + smuggled, 413},
        Case{request("/healthz", "GET", "Content-Length: 1\r\nContent-Length: 2\r\n") + smuggled,
             400},
        Case{request("/healthz", "GET", "Content-Length: -1\r\n") + smuggled, 400},
        Case{request("/healthz", "GET", "Content-Length: 18446744073709551616\r\n") + smuggled,
             400}}) {
    RawClient client = connect();
    ASSERT_TRUE(client.send(bytes));
    client.shut_down_sending();
    const std::string answers = client.read_to_end();
    EXPECT_EQ(count(answers, "HTTP/1.1 "), 1) << bytes;
    EXPECT_THAT(answers, HasSubstr("HTTP/1.1 " + std::to_string(status))) << bytes;
    EXPECT_THAT(answers, HasSubstr("Connection: close")) << bytes;
  }
}

TEST_F(HttpTest, EmptyBodyIsNoBody) {
  start();
  RawClient client = connect();
  ASSERT_TRUE(client.send(request("/healthz", "GET", "Content-Length: 0\r\n")));
  EXPECT_EQ(client.read_response().value().status, 200);
  EXPECT_EQ(client.get("/healthz").value().status, 200);
}

TEST_F(HttpTest, MalformedRequestsAreAnswered400) {
  start();
  const std::string nul("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 28);
  for (const std::string& bytes :
       {std::string("nonsense\r\n\r\n"), std::string("GET\r\n\r\n"), std::string("\r\n\r\n\r\n"),
        std::string("GET /healthz\r\n\r\n"), std::string("GET /healthz HTTP/9.9\r\n\r\n"),
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), nul,
        std::string("GET /healthz HTTP/1.1\r\n\r\n"),
        std::string("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        std::string("GET /healthz HTTP/1.1\r\nHost: a\r\n folded\x01: b\r\n\r\n"),
        std::string("GET /healthz HTTP/1.1\r\nno colon\r\n\r\n"),
        std::string("G\xc3\xa4T /healthz HTTP/1.1\r\nHost: a\r\n\r\n")}) {
    RawClient client = connect();
    ASSERT_TRUE(client.send(bytes));
    const auto answer = client.read_response();
    ASSERT_TRUE(answer) << bytes;
    EXPECT_EQ(answer->status, 400) << bytes;
    EXPECT_EQ(client.read_to_end(), "") << bytes;
  }
  expect_alive();
}

TEST_F(HttpTest, BinaryJunkEndsItsConnectionAndNothingElse) {
  start();
  std::mt19937 random(20'251'111);
  for (int round = 0; round < 200; ++round) {
    std::string junk(std::uniform_int_distribution<std::size_t>(1, 3000)(random), '\0');
    for (char& byte : junk)
      byte = static_cast<char>(random());
    if (round % 3 == 0) junk.insert(0, "GET /metrics HTTP/1.1\r\n");
    if (round % 3 == 1) junk += "\r\n\r\n";
    RawClient client = connect();
    client.send(junk);
    client.shut_down_sending();
    EXPECT_THAT(client.read_to_end(), testing::Not(HasSubstr(" 200 "))) << round;
  }
  expect_alive();
}

TEST_F(HttpTest, ClientThatLeavesInTheMiddleIsForgotten) {
  start();
  const std::string whole = request("/metrics");
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    connect().send(std::string_view(whole).substr(0, size));
  }
  expect_alive();
}

}  // namespace
}  // namespace lp::gateway::http::test
