// The real server on loopback, with readiness that a test sets.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gateway/http/server.h"
#include "gateway/metrics/metrics.h"
#include "tests/gateway/http/raw_client.h"

namespace lp::gateway::http::test {

inline HttpOptions loopback_options() {
  HttpOptions options;
  options.address = "127.0.0.1";
  options.metrics_allow = {"127.0.0.1"};
  options.info = {.identity = "2pRoBhCUWJh7n9Zmhsc7UvKXsBoHzd3tJdBq79fGvLc5",
                  .lp_public_key = "3ab1",
                  .lp_port = 41264,
                  .mock_ecash = true,
                  .version = "1.2.3"};
  return options;
}

class HttpTest : public ::testing::Test {
 protected:
  /// Throws with the server's sentence where it does not start.
  HttpServer& start(HttpOptions options = loopback_options()) {
    auto server = start_http_server(
        std::move(options), metrics_, [this] { return readiness(); }, [this] { ++refreshed_; });
    if (!server) throw std::runtime_error(server.error());
    server_ = *std::move(server);
    return *server_;
  }

  [[nodiscard]] RawClient connect(const std::string& source = {}) const {
    return RawClient(server_->address(), source);
  }
  /// The server still serves, on a connection of its own.
  void expect_alive() const {
    const auto answer = connect().get("/healthz");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
  }

  void set_reasons(std::vector<std::string> reasons) {
    const std::lock_guard lock(mutex_);
    reasons_ = std::move(reasons);
  }
  void set_readiness_throws() {
    const std::lock_guard lock(mutex_);
    readiness_throws_ = true;
  }

  metrics::Metrics metrics_;
  std::atomic<int> refreshed_ = 0;
  std::unique_ptr<HttpServer> server_;

 private:
  std::vector<std::string> readiness() {
    const std::lock_guard lock(mutex_);
    if (readiness_throws_) throw std::runtime_error("readiness is broken");
    return reasons_;
  }

  std::mutex mutex_;
  std::vector<std::string> reasons_;
  bool readiness_throws_ = false;
};

}  // namespace lp::gateway::http::test
