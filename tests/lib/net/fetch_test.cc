// What a server that is not trusted can do to a request, and what it cannot.
#include "lib/net/fetch.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>

#include "tests/lib/net/scripted_server.h"
#include "tests/support/process.h"

namespace lp::net {
namespace {

using namespace std::chrono_literals;
using test::ScriptedServer;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Connection = ScriptedServer::Connection;
using Kind = FetchError::Kind;

Url url_of(const ScriptedServer& server, bool tls = false, std::string_view path = "/x") {
  return {.tls = tls, .host = "127.0.0.1", .port = server.port(), .path = std::string(path)};
}

/// Nothing here waits for its deadline unless that is what is tested.
FetchOptions patient() {
  return {.deadline = 60s};
}

Kind kind_of(const std::expected<FetchResponse, FetchError>& result) {
  EXPECT_FALSE(result) << result->status << result->body;
  return result.error().kind;
}

TEST(Fetch, AnswerComesWithStatusBodyAndDate) {
  const ScriptedServer server(ScriptedServer::answer(
      "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nhi"));
  const auto response = get(url_of(server), patient());
  ASSERT_TRUE(response) << response.error().detail;
  EXPECT_EQ(response->status, 200u);
  EXPECT_EQ(response->body, "hi");
  EXPECT_EQ(response->date, "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(Fetch, RetryAfterIsReadWhereItIsANumberOfSeconds) {
  using Seconds = std::optional<std::chrono::seconds>;
  const std::vector<std::pair<std::string, Seconds>> cases{
      {"Retry-After: 0\r\n", 0s},
      {"Retry-After: 3600\r\n", 3600s},
      {"Retry-After: 3601\r\n", std::nullopt},
      {"Retry-After: 99999999999999999999\r\n", std::nullopt},
      {"Retry-After: -1\r\n", std::nullopt},
      {"Retry-After: 1s\r\n", std::nullopt},
      {"Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", std::nullopt},
      {"Retry-After:\r\n", std::nullopt},
      {"", std::nullopt}};
  for (const auto& [header, expected] : cases) {
    const ScriptedServer server(ScriptedServer::answer("HTTP/1.1 503 Service Unavailable\r\n" +
                                                       header + "Content-Length: 0\r\n\r\n"));
    const auto response = get(url_of(server), patient());
    ASSERT_TRUE(response) << response.error().detail;
    EXPECT_EQ(response->retry_after, expected) << header;
  }
}

TEST(Fetch, RequestIsWhatTheCallerMeant) {
  std::string seen;
  const ScriptedServer server([&](Connection& connection) {
    seen = connection.read_request();
    connection.send(ScriptedServer::response("{}"));
  });
  auto options = patient();
  options.bearer_token = "s3cret";
  options.user_agent = "lp-test";
  ASSERT_TRUE(post_json(url_of(server, false, "/v1/sign?a=b"), R"({"a":1})", options));
  EXPECT_THAT(
      seen,
      AllOf(HasSubstr("POST /v1/sign?a=b HTTP/1.1\r\n"),
            HasSubstr(fmt::format("Host: 127.0.0.1:{}\r\n", server.port())),
            HasSubstr("Authorization: Bearer s3cret\r\n"), HasSubstr("User-Agent: lp-test\r\n"),
            HasSubstr("Content-Type: application/json\r\n"), HasSubstr("\r\n\r\n{\"a\":1}")));
  ASSERT_TRUE(get(url_of(server), patient()));
  EXPECT_THAT(seen, AllOf(HasSubstr("GET /x HTTP/1.1\r\n"), Not(HasSubstr("Authorization"))));
}

TEST(Fetch, TokenWithALineBreakIsNotSent) {
  const ScriptedServer server(ScriptedServer::answer(ScriptedServer::response("{}")));
  auto options = patient();
  options.bearer_token = "a\r\nX-Admin: yes";
  const auto result = get(url_of(server), options);
  EXPECT_EQ(kind_of(result), Kind::malformed);
  EXPECT_THAT(result.error().detail, Not(HasSubstr("X-Admin")));
  EXPECT_EQ(server.connections(), 0);
}

TEST(Fetch, RedirectIsReturnedAndNotFollowed) {
  const ScriptedServer target(ScriptedServer::answer(ScriptedServer::response("{}")));
  const ScriptedServer server(
      ScriptedServer::answer(fmt::format("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{}/\r\n"
                                         "Content-Length: 0\r\n\r\n",
                                         target.port())));
  const auto response = get(url_of(server), patient());
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 302u);
  EXPECT_EQ(target.connections(), 0);
}

TEST(Fetch, BodyOverTheLimitIsNotRead) {
  auto options = patient();
  options.max_body = 1000;
  const std::string large(1001, 'x');
  const ScriptedServer announced(ScriptedServer::answer(ScriptedServer::response(large)));
  EXPECT_EQ(kind_of(get(url_of(announced), options)), Kind::too_large);
  const ScriptedServer whole(
      ScriptedServer::answer(ScriptedServer::response(std::string(1000, 'x'))));
  EXPECT_EQ(get(url_of(whole), options)->body.size(), 1000u);

  // Without an announcement: chunks without end, and a body that only the end of the stream ends.
  std::size_t sent = 0;
  for (const std::string header :
       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"}) {
    const std::string part =
        header.contains("chunked") ? fmt::format("3e9\r\n{}\r\n", large) : large;
    ScriptedServer server([&, header, part](Connection& connection) {
      connection.read_request();
      connection.send(header);
      while (connection.send(part))
        sent += part.size();
    });
    EXPECT_EQ(kind_of(get(url_of(server), options)), Kind::too_large) << header;
  }
  EXPECT_LT(sent, 64u * 1024 * 1024);  // what fits into sockets, not what the server had
}

TEST(Fetch, HeaderWithoutEndIsNotRead) {
  ScriptedServer server([](Connection& connection) {
    connection.read_request();
    connection.send("HTTP/1.1 200 OK\r\n");
    while (connection.send("X-Filler: " + std::string(1000, 'x') + "\r\n")) {
    }
  });
  EXPECT_EQ(kind_of(get(url_of(server), patient())), Kind::too_large);
}

TEST(Fetch, InterimAnswersArePassedOverButNotForEver) {
  const ScriptedServer server(ScriptedServer::answer(
      "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + ScriptedServer::response("hi")));
  EXPECT_EQ(get(url_of(server), patient())->body, "hi");
  ScriptedServer endless([](Connection& connection) {
    connection.read_request();
    while (connection.send("HTTP/1.1 103 Early Hints\r\n\r\n")) {
    }
  });
  EXPECT_EQ(kind_of(get(url_of(endless), patient())), Kind::malformed);
}

TEST(Fetch, NoByteASecondRenewsTheDeadline) {
  ScriptedServer server([](Connection& connection) {
    connection.read_request();
    for (const char c : ScriptedServer::response("{}")) {
      if (!connection.send({&c, 1}) || !connection.pause(1s)) return;
    }
  });
  const auto result = get(url_of(server), {.deadline = 300ms});
  EXPECT_EQ(kind_of(result), Kind::timeout);
  EXPECT_THAT(result.error().detail, HasSubstr(fmt::format("127.0.0.1:{}", server.port())));
}

TEST(Fetch, SilenceEndsAtTheDeadlineAtEveryStage) {
  ScriptedServer server([](Connection& connection) { connection.hang(); });
  EXPECT_EQ(kind_of(get(url_of(server), {.deadline = 200ms})), Kind::timeout);
  const auto tls = get(url_of(server, true), {.deadline = 200ms});
  EXPECT_EQ(kind_of(tls), Kind::timeout);
  EXPECT_THAT(tls.error().detail, HasSubstr("TLS"));
}

TEST(Fetch, EachEndOfAConnectionHasItsKind) {
  {
    const ScriptedServer server([](Connection& connection) { connection.read_request(); });
    EXPECT_EQ(kind_of(get(url_of(server), patient())), Kind::closed);
  }
  {
    const ScriptedServer server(
        ScriptedServer::answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123"));
    EXPECT_EQ(kind_of(get(url_of(server), patient())), Kind::closed);
  }
  {
    const ScriptedServer server(ScriptedServer::answer("SSH-2.0-OpenSSH_9.2\r\n\r\n"));
    EXPECT_EQ(kind_of(get(url_of(server), patient())), Kind::malformed);
  }
  const Url nobody{.tls = false, .host = "127.0.0.1", .port = test::free_port(), .path = "/"};
  EXPECT_EQ(kind_of(get(nobody, patient())), Kind::refused);
  const Url unknown{.tls = false, .host = "does-not-exist.invalid", .port = 80, .path = "/"};
  const auto unresolved = get(unknown, {.deadline = 500ms});
  ASSERT_FALSE(unresolved);
  // Without a name server there is no answer in time.
  EXPECT_THAT(unresolved.error().kind, testing::AnyOf(Kind::resolve, Kind::timeout));
  EXPECT_THAT(unresolved.error().detail, HasSubstr("does-not-exist.invalid:80"));
}

TEST(Fetch, CallerEndsIt) {
  ScriptedServer server([](Connection& connection) { connection.hang(); });
  auto options = patient();
  options.cancel_fd = eventfd(0, EFD_CLOEXEC);
  std::thread canceller([&] {
    server.wait_for_connections(1);
    eventfd_write(options.cancel_fd, 1);
  });
  EXPECT_EQ(kind_of(get(url_of(server), options)), Kind::cancelled);
  canceller.join();
  close(options.cancel_fd);
}

TEST(Fetch, NameIsLookedUpAndTheAddressGivenIsTaken) {
  const ScriptedServer server(ScriptedServer::answer(ScriptedServer::response("hi")));
  Url url = url_of(server);
  url.host = "localhost";
  EXPECT_EQ(get(url, patient())->body, "hi");
  url.host = "chain.example";
  auto options = patient();
  options.address = "127.0.0.1";
  EXPECT_EQ(get(url, options)->body, "hi");
}

class Tls : public testing::Test {
 protected:
  FetchOptions trusting() {
    auto options = patient();
    options.ca_file = (dir_ / "ca.pem").string();
    return options;
  }
  Tls() { test::write_file(dir_ / "ca.pem", authority_.pem()); }

  test::TempDir dir_;
  test::CertificateAuthority authority_;
  const ScriptedServer::Script hello_ = ScriptedServer::answer(ScriptedServer::response("hi"));
};

TEST_F(Tls, ServerOfTheAuthorityIsAnswered) {
  const ScriptedServer server(hello_, authority_.issue("DNS:localhost,IP:127.0.0.1"));
  for (const char* host : {"127.0.0.1", "localhost"}) {
    Url url = url_of(server, true);
    url.host = host;
    const auto response = get(url, trusting());
    ASSERT_TRUE(response) << response.error().detail;
    EXPECT_EQ(response->body, "hi");
  }
}

TEST_F(Tls, CertificateOfAnotherHostIsRefused) {
  const ScriptedServer server(hello_, authority_.issue("DNS:other.example,IP:127.0.0.2"));
  for (const char* host : {"127.0.0.1", "localhost"}) {
    Url url = url_of(server, true);
    url.host = host;
    const auto result = get(url, trusting());
    EXPECT_EQ(kind_of(result), Kind::tls);
    EXPECT_THAT(result.error().detail, HasSubstr("mismatch"));
  }
}

TEST_F(Tls, ExpiredCertificateIsRefused) {
  const ScriptedServer server(
      hello_, authority_.issue("IP:127.0.0.1", test::CertificateAuthority::Validity::expired));
  const auto result = get(url_of(server, true), trusting());
  EXPECT_EQ(kind_of(result), Kind::tls);
  EXPECT_THAT(result.error().detail, HasSubstr("expired"));
}

TEST_F(Tls, AuthorityNobodyTrustsIsRefused) {
  const ScriptedServer server(hello_, authority_.issue("IP:127.0.0.1"));
  EXPECT_EQ(kind_of(get(url_of(server, true), patient())), Kind::tls);  // the system's trust store
  const test::CertificateAuthority other;
  test::write_file(dir_ / "ca.pem", other.pem());
  EXPECT_EQ(kind_of(get(url_of(server, true), trusting())), Kind::tls);
}

TEST_F(Tls, TrustFileThatIsNoneTrustsNobody) {
  const ScriptedServer server(hello_, authority_.issue("IP:127.0.0.1"));
  test::write_file(dir_ / "ca.pem", "");
  EXPECT_EQ(kind_of(get(url_of(server, true), trusting())), Kind::tls);
}

TEST_F(Tls, ServerWithoutTlsIsNoTls) {
  const ScriptedServer server([](Connection& connection) {
    connection.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    connection.hang();
  });
  EXPECT_EQ(kind_of(get(url_of(server, true), trusting())), Kind::tls);
}

}  // namespace
}  // namespace lp::net
