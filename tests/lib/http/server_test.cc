// What the server adds to a handler: bodies within a limit, answers from other threads. Deadlines,
// limits and hostile headers are tested at the programs that serve: tests/gateway/http,
// tests/tools/issuer.
#include "lib/http/server.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/gateway/http/raw_client.h"

namespace lp::http {
namespace {

using gateway::http::test::RawClient;

/// /echo answers its body from another thread, up to eight bytes of it.
class Echo final : public Handler {
 public:
  ~Echo() override {
    for (auto& thread : threads_)
      thread.join();
  }
  std::expected<std::size_t, Answer> begin(const Head& head) override {
    if (head.target == "/throw") throw std::runtime_error("expected: begin throws");
    if (head.target == "/head") return std::unexpected(Answer{.body = "head"});
    if (head.target == "/empty") return 0;
    if (head.target == "/busy") {
      return std::unexpected(
          Answer{.status = 503, .body = "busy", .retry_after = std::chrono::seconds(7)});
    }
    return 8;
  }
  void handle(Request request, Done done) override {
    if (request.target == "/throw-later") throw std::runtime_error("expected: handle throws");
    threads_.emplace_back([this, request = std::move(request), done = std::move(done)]() mutable {
      if (request.target == "/wait") {
        waits_ = true;
        released_.get_future().wait();
      }
      done({.body = request.method + " " + request.body});
    });
  }
  void release() { released_.set_value(); }
  [[nodiscard]] bool waits() const { return waits_; }

 private:
  std::atomic<bool> waits_ = false;
  std::vector<std::thread> threads_;
  std::promise<void> released_;
};

class ServerTest : public testing::Test {
 protected:
  void SetUp() override { start({}); }
  void start(ServerOptions options) {
    options.name = "test";
    options.address = "127.0.0.1";
    auto server = start_server(std::move(options), handler_);
    ASSERT_TRUE(server) << server.error().sentence;
    server_ = *std::move(server);
  }
  static std::string post(const std::string& target, const std::string& body) {
    return "POST " + target +
           " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body;
  }
  [[nodiscard]] std::pair<int, std::string> answer(const std::string& request) const {
    RawClient client(server_->address());
    client.send(request);
    const auto response = client.read_response();
    if (!response) return {0, ""};
    return {response->status, response->body};
  }
  using Answered = std::pair<int, std::string>;

  Echo handler_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, BodyReachesItsHandlerUpToTheLimit) {
  EXPECT_EQ(answer(post("/echo", "")), (Answered{200, "POST "}));
  EXPECT_EQ(answer(post("/echo", "12345678")), (Answered{200, "POST 12345678"}));
  EXPECT_EQ(answer(post("/echo", "123456789")).first, 413);
}

TEST_F(ServerTest, BodyThatNobodyAskedForIsNotTakenForSuccess) {
  EXPECT_EQ(answer(post("/head", "")), (Answered{200, "head"}));
  EXPECT_EQ(answer(post("/head", "1")).first, 413);
  EXPECT_EQ(answer(post("/empty", "")), (Answered{200, "POST "}));
  EXPECT_EQ(answer(post("/empty", "1")).first, 413);
}

TEST_F(ServerTest, HandlerThatThrowsCostsItsRequestAlone) {
  EXPECT_EQ(answer(post("/throw", "")).first, 500);
  EXPECT_EQ(answer(post("/throw-later", "1")).first, 500);
  EXPECT_EQ(answer(post("/echo", "1")), (Answered{200, "POST 1"}));
}

TEST_F(ServerTest, AnswerThatTakesLongKeepsNobodyElseWaiting) {
  RawClient waiting(server_->address());
  ASSERT_TRUE(waiting.send(post("/wait", "1")));
  EXPECT_EQ(answer(post("/echo", "2")), (Answered{200, "POST 2"}));
  handler_.release();
  EXPECT_EQ(waiting.read_response().value().body, "POST 1");
}

TEST_F(ServerTest, RequestThatIsBeingAnsweredMakesRoomForNobody) {
  ServerOptions options;
  options.max_connections_per_address = 2;
  start(std::move(options));
  RawClient waiting(server_->address());
  ASSERT_TRUE(waiting.send(post("/wait", "1")));
  ASSERT_EQ(answer(post("/echo", "2")).first, 200);  // so the first has begun
  std::vector<RawClient> idle;
  for (int i = 0; i < 8; ++i) {
    idle.emplace_back(server_->address());
    ASSERT_EQ(answer(post("/echo", "3")).first, 200);
  }
  handler_.release();
  const auto response = waiting.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "POST 1");
}

TEST_F(ServerTest, WhereAllAreBeingAnsweredTheNewcomerGoes) {
  ServerOptions options;
  options.max_connections = 1;
  start(std::move(options));
  RawClient waiting(server_->address());
  ASSERT_TRUE(waiting.send(post("/wait", "1")));
  // Once the request is there.
  while (!handler_.waits())
    std::this_thread::yield();
  EXPECT_EQ(RawClient(server_->address()).read_to_end(), "");
  handler_.release();
  EXPECT_EQ(waiting.read_response().value().body, "POST 1");
}

TEST_F(ServerTest, ClientThatHasItsLastAnswerMakesRoomFirst) {
  ServerOptions options;
  options.max_connections_per_address = 2;
  start(std::move(options));
  RawClient asking(server_->address());
  RawClient done(server_->address());
  ASSERT_TRUE(done.send("GET /head HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
  ASSERT_TRUE(done.read_response());
  RawClient newcomer(server_->address());
  ASSERT_TRUE(newcomer.send(post("/echo", "2")));
  EXPECT_EQ(newcomer.read_response().value().body, "POST 2");
  ASSERT_TRUE(asking.send(post("/echo", "1")));
  const auto response = asking.read_response();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "POST 1");
}

TEST_F(ServerTest, RetryAfterIsToldWhereTheAnswerHasOne) {
  RawClient client(server_->address());
  ASSERT_TRUE(client.send(post("/busy", "")));
  const auto busy = client.read_response();
  ASSERT_TRUE(busy);
  EXPECT_EQ(busy->status, 503);
  EXPECT_EQ(busy->headers.at("retry-after"), "7");
  ASSERT_TRUE(client.send(post("/echo", "")));
  EXPECT_FALSE(client.read_response().value().headers.contains("retry-after"));
}

TEST_F(ServerTest, ShutDownWaitsForAnswersThatAreBeingMade) {
  RawClient waiting(server_->address());
  ASSERT_TRUE(waiting.send(post("/wait", "1")));
  ASSERT_EQ(answer(post("/echo", "2")).first, 200);  // so the first has begun
  std::thread stopping([this] { server_->shut_down(); });
  EXPECT_EQ(waiting.read_to_end(), "");
  handler_.release();
  stopping.join();
}

TEST_F(ServerTest, ClientThatGoesBeforeItsAnswerHarmsNothing) {
  {
    RawClient gone(server_->address());
    ASSERT_TRUE(gone.send(post("/wait", "1")));
    ASSERT_EQ(answer(post("/echo", "2")).first, 200);
  }
  handler_.release();
  EXPECT_EQ(answer(post("/echo", "3")), (Answered{200, "POST 3"}));
}

TEST(StartServer, RefusesWhatItCannotBind) {
  Echo handler;
  const auto refused = start_server({.name = "test", .address = "nowhere"}, handler);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ExitCode::configuration);
  EXPECT_THAT(refused.error().sentence, testing::HasSubstr("\"nowhere\""));
}

}  // namespace
}  // namespace lp::http
