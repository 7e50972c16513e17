// What a hostile client can send to the real issuer.
#include <gmock/gmock.h>

#include <atomic>
#include <random>
#include <thread>

#include "lib/crypto/random.h"
#include "tests/gateway/http/raw_client.h"
#include "tests/tools/issuer/issuer_program.h"

namespace lp::issuer::test {
namespace {

using gateway::http::test::RawClient;

constexpr auto entry = TicketType::v1_wireguard_entry;

class Hostile : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }

  [[nodiscard]] std::string post(std::string_view headers, std::string_view body = {}) const {
    return "POST /v1/sign HTTP/1.1\r\nHost: i\r\nAuthorization: Bearer " + issuer_.token() +
           "\r\n" + std::string(headers) + "\r\n" + std::string(body);
  }
  /// The status of the answer to these bytes; 0 where the connection ends without one.
  [[nodiscard]] int status(const std::string& bytes) const {
    RawClient client(issuer_.address());
    client.send(bytes);
    client.shut_down_sending();
    const auto answer = client.read_response();
    return answer ? answer->status : 0;
  }
  void expect_alive() const {
    const auto key = issuer_.newest_key();
    EXPECT_EQ(issuer_.sign_status(issuer_.token(), sign_body(key.epoch_id, entry, {fresh_point()})),
              200U);
  }

  IssuerProgram issuer_ = IssuerProgram::ephemeral();
};

TEST_F(Hostile, BodyThatIsTooLongIsRefusedBeforeItIsRead) {
  EXPECT_EQ(status(post("Content-Length: 16385\r\n")), 413);
  EXPECT_EQ(status(post("Content-Length: 99999999999\r\n")), 413);
  // In chunks its length shows only on the way.
  const std::string chunk = "1000\r\n" + std::string(0x1000, ' ') + "\r\n";
  EXPECT_EQ(status(post("Transfer-Encoding: chunked\r\n",
                        chunk + chunk + chunk + chunk + chunk + "0\r\n\r\n")),
            413);
  expect_alive();
}

TEST_F(Hostile, StrangerGetsNoBodyRead) {
  EXPECT_EQ(status("POST /v1/sign HTTP/1.1\r\nHost: i\r\nContent-Length: 16000\r\n\r\n"), 401);
  RawClient client(issuer_.address());
  ASSERT_TRUE(client.send("POST /v1/sign HTTP/1.1\r\nHost: i\r\nContent-Length: 10\r\n\r\n"));
  EXPECT_EQ(client.read_response().value().headers.at("www-authenticate"), "Bearer");
}

TEST_F(Hostile, BodyInChunksAndInSingleBytesIsABody) {
  const auto key = issuer_.newest_key();
  const std::string body = sign_body(key.epoch_id, entry, {fresh_point()});
  std::string chunked;
  for (const char c : body)
    chunked += std::string("1\r\n") + c + "\r\n";
  EXPECT_EQ(status(post("Transfer-Encoding: chunked\r\n", chunked + "0\r\n\r\n")), 200);
  RawClient client(issuer_.address());
  for (const char byte : post("Content-Length: " + std::to_string(body.size()) + "\r\n", body))
    ASSERT_TRUE(client.send({&byte, 1}));
  EXPECT_EQ(client.read_response().value().status, 200);
}

TEST_F(Hostile, RequestsOnOneConnectionAreToldApart) {
  const auto key = issuer_.newest_key();
  RawClient client(issuer_.address());
  std::string pipeline;
  for (int i = 0; i < 5; ++i) {
    const std::string body = sign_body(key.epoch_id, entry, {fresh_point()});
    pipeline += post("Content-Length: " + std::to_string(body.size()) + "\r\n", body);
    pipeline += "GET /healthz HTTP/1.1\r\nHost: i\r\n\r\n";
  }
  ASSERT_TRUE(client.send(pipeline));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(signatures(client.read_response().value().body).size(), 1U);
    EXPECT_EQ(client.read_response().value().body, "ok\n");
  }
}

TEST_F(Hostile, ClientThatWaitsToContinueIsToldTo) {
  const auto key = issuer_.newest_key();
  const std::string body = sign_body(key.epoch_id, entry, {fresh_point()});
  RawClient client(issuer_.address());
  ASSERT_TRUE(client.send(
      post("Expect: 100-continue\r\nContent-Length: " + std::to_string(body.size()) + "\r\n")));
  ASSERT_FALSE(client.ended_within(std::chrono::milliseconds(0)));
  ASSERT_TRUE(client.send(body));
  client.shut_down_sending();
  const std::string all = client.read_to_end();
  EXPECT_THAT(all, testing::StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
}

TEST_F(Hostile, ContinueIsNotForBodiesThatAreRefused) {
  RawClient client(issuer_.address());
  ASSERT_TRUE(client.send(post("Expect: 100-continue\r\nContent-Length: 20000\r\n")));
  EXPECT_EQ(client.read_response().value().status, 413);
}

TEST_F(Hostile, JunkIsRefusedAndTheRestServed) {
  EXPECT_EQ(status("junk\r\n\r\n"), 400);
  EXPECT_EQ(status(post("Content-Length: -1\r\n", "{}")), 400);
  EXPECT_EQ(status(post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}")), 400);
  EXPECT_EQ(status(post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "{}")), 400);
  EXPECT_EQ(status(post("Transfer-Encoding: chunked\r\n", "zz\r\n")), 400);
  EXPECT_EQ(status(post("X: " + std::string(9000, 'x') + "\r\n")), 431);
  EXPECT_EQ(status(post("Content-Length: 10\r\n", "{")), 0);
  std::mt19937 random(1);
  for (int i = 0; i < 50; ++i) {
    std::string bytes = i % 2 == 0 ? post("Content-Length: 4096\r\n") : std::string();
    for (int j = 0; j < 4096; ++j)
      bytes += static_cast<char>(random());
    const int answer = status(bytes);
    EXPECT_TRUE(answer == 0 || answer == 400 || answer == 431) << answer;
  }
  expect_alive();
}

TEST_F(Hostile, HundredSlowClientsKeepNobodyWaiting) {
  std::vector<RawClient> slow;
  for (int i = 0; i < 100; ++i) {
    slow.emplace_back(issuer_.address(), "127.0.1." + std::to_string(1 + i % 50));
    slow.back().send(post("Content-Length: 1000\r\n", "{\"epoch_id\""));
  }
  expect_alive();
}

TEST_F(Hostile, BodyThatTricklesIsCutOffAtTheDeadline) {
  RawClient client(issuer_.address());
  client.send(post("Content-Length: 16000\r\n"));
  // At this pace the body would take longer than the test has patience for, so only the deadline
  // can end it.
  bool cut_off = false;
  const auto limit = std::chrono::steady_clock::now() + lp::test::patience;
  while (!cut_off && std::chrono::steady_clock::now() < limit) {
    cut_off = client.ended_within(std::chrono::milliseconds(50));
    client.send(" ");
  }
  EXPECT_TRUE(cut_off);
}

TEST_F(Hostile, QueriesInAFloodLeaveSigningItsTurn) {
  std::atomic<bool> over = false;
  std::atomic<int> answered = 0;
  std::vector<std::thread> flood;
  for (int i = 0; i < 8; ++i) {
    flood.emplace_back([&] {
      while (!over)
        if (net::fetch_verification_keys(issuer_.url(), issuer_.contract())) ++answered;
    });
  }
  while (answered < 20)
    std::this_thread::yield();
  for (int i = 0; i < 10; ++i)
    expect_alive();
  over = true;
  for (auto& thread : flood)
    thread.join();
}

}  // namespace
}  // namespace lp::issuer::test
