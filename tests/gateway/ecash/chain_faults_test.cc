// A chain that fails in every way there is, over real sockets: registrations with known keys go on,
// others are told, and good keys stay.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/net/verification_keys.h"
#include "tests/gateway/ecash/real_tickets.h"
#include "tests/lib/net/scripted_server.h"

namespace lp::gateway::ecash {
namespace {

using namespace std::chrono_literals;
using lp::test::ScriptedServer;
using test::day;
using test::Signer;
using test::start_time;
using test::TicketType;
using test::withdraw;
using testing::ElementsAre;
using testing::HasSubstr;
using Connection = ScriptedServer::Connection;
using Failure = messages::RegistrationFailure;

class ChainFaults : public test::RealTickets {
 protected:
  FetchKeys fetch_from(std::uint16_t port, bool tls, std::chrono::milliseconds deadline) {
    const net::Url url{.tls = tls, .host = "127.0.0.1", .port = port, .path = "/"};
    return [this, url, deadline](int cancel_fd) {
      return net::fetch_verification_keys(
          url, "n1", {.deadline = deadline, .ca_file = ca_file_, .cancel_fd = cancel_fd});
    };
  }
  /// Leaves a cache with one key behind.
  void fill_cache() {
    start_with({entry_.key()});
    manager_->shut_down();
  }
  void start_at(std::uint16_t port, bool tls = false, std::chrono::milliseconds deadline = 60s) {
    start(options(), fetch_from(port, tls, deadline));
  }

  /// Everything that must hold while the chain fails with `label`.
  void expect_registrations_go_on(const std::string& label) {
    const std::string result = fmt::format("lp_ecash_key_refreshes_total{{result=\"{}\"}}", label);
    // Known keys serve at once, whatever the first fetch is doing.
    EXPECT_EQ(failure(dvpn(7, withdraw(entry_, gateway_.identity))), std::nullopt) << label;
    std::vector<std::future<registration::Answer>> unknown;
    const Signer stranger{.type = TicketType::v1_wireguard_entry, .expiry = start_time + 9 * day};
    for (std::uint32_t i = 0; i < 10; ++i)
      unknown.push_back(submit(dvpn(100 + i, withdraw(stranger, gateway_.identity))));
    for (auto& one : unknown)
      EXPECT_EQ(one.get().failure, Failure::unknown_verification_key) << label;
    EXPECT_GE(metric(result), 1) << label;
    EXPECT_THAT(manager_->keys().known->trusted, ElementsAre(entry_.key())) << label;
    EXPECT_THAT(manager_->warnings(), ElementsAre(HasSubstr("could not be refreshed"))) << label;
    EXPECT_EQ(manager_->not_ready_reason(), "") << label;
    EXPECT_EQ(failure(dvpn(8, withdraw(entry_, gateway_.identity))), std::nullopt) << label;
  }
  void expect_survived(const ScriptedServer::Script& script, const std::string& label,
                       std::chrono::milliseconds deadline = 60s) {
    fill_cache();
    const ScriptedServer server(script);
    start_at(server.port(), false, deadline);
    expect_registrations_go_on(label);
    EXPECT_EQ(server.most_at_once(), 1);
    manager_->shut_down();
  }

  std::string ca_file_;
};

TEST_F(ChainFaults, Refuses) {
  fill_cache();
  start_at(lp::test::free_port());
  expect_registrations_go_on("unreachable");
}

TEST_F(ChainFaults, Hangs) {
  expect_survived([](Connection& connection) { connection.hang(); }, "timeout", 300ms);
}

TEST_F(ChainFaults, SendsAByteASecond) {
  const std::string body = test::answer_of({exit_.key()});
  expect_survived(
      [body](Connection& connection) {
        connection.read_request();
        for (const char c : ScriptedServer::response(body)) {
          if (!connection.send({&c, 1}) || !connection.pause(1s)) return;
        }
      },
      "timeout", 300ms);
}

TEST_F(ChainFaults, AnswersThatItIsBroken) {
  expect_survived(ScriptedServer::answer(ScriptedServer::response(test::answer_of({exit_.key()}),
                                                                  "503 Service Unavailable")),
                  "http_status");
}

TEST_F(ChainFaults, AnswersJunk) {
  expect_survived(ScriptedServer::answer(ScriptedServer::response("<html>no</html>")), "malformed");
}

TEST_F(ChainFaults, SpeaksAnotherProtocol) {
  expect_survived(ScriptedServer::answer("220 mail.example ESMTP\r\n\r\n"), "malformed");
}

TEST_F(ChainFaults, AnswersWithoutEnd) {
  expect_survived(
      [](Connection& connection) {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n{\"data\":");
        const std::string filler(1024 * 1024, ' ');
        for (int i = 0; i < 100 && connection.send(filler); ++i) {
        }
      },
      "too_large");
}

TEST_F(ChainFaults, AnswersWithoutEndAndWithoutSayingSo) {
  expect_survived(
      [](Connection& connection) {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        const std::string chunk = "100000\r\n" + std::string(1024 * 1024, ' ') + "\r\n";
        for (int i = 0; i < 100 && connection.send(chunk); ++i) {
        }
      },
      "too_large");
}

TEST_F(ChainFaults, RedirectsInACircle) {
  expect_survived(ScriptedServer::answer("HTTP/1.1 302 Found\r\nLocation: /\r\n"
                                         "Content-Length: 0\r\n\r\n"),
                  "http_status");
}

TEST_F(ChainFaults, HasNoKeysAtAll) {
  expect_survived(ScriptedServer::answer(ScriptedServer::response(test::answer_of({}))), "empty");
}

TEST_F(ChainFaults, HasOnePointThatIsNone) {
  std::string body = test::answer_of({entry_.key(), exit_.key()});
  const std::string good = test::base64_of(exit_.key());
  body.replace(body.find(good), 4, "AAAA");
  expect_survived(ScriptedServer::answer(ScriptedServer::response(body)), "malformed");
}

TEST_F(ChainFaults, HasOneKeyUnderTwoNames) {
  expect_survived(ScriptedServer::answer(ScriptedServer::response(test::answer_of(
                      {entry_.key(), test::renamed(entry_.key(), exit_.type, exit_.expiry)}))),
                  "malformed");
}

TEST_F(ChainFaults, CertificateIsNotTrusted) {
  fill_cache();
  const lp::test::CertificateAuthority authority;
  const ScriptedServer server(
      ScriptedServer::answer(ScriptedServer::response(test::answer_of({exit_.key()}))),
      authority.issue("IP:127.0.0.1"));
  start_at(server.port(), true);
  expect_registrations_go_on("tls");
}

TEST_F(ChainFaults, CertificateIsAnotherHosts) {
  fill_cache();
  const lp::test::CertificateAuthority authority;
  ca_file_ = (dir_ / "ca.pem").string();
  lp::test::write_file(ca_file_, authority.pem());
  const ScriptedServer server(
      ScriptedServer::answer(ScriptedServer::response(test::answer_of({exit_.key()}))),
      authority.issue("DNS:chain.example"));
  start_at(server.port(), true);
  expect_registrations_go_on("tls");
}

// A well-formed answer is the whole truth, and this one says that the cached key is no more.
TEST_F(ChainFaults, KeysOfAnotherEpochTakeThePlaceOfThoseThatAreGone) {
  fill_cache();
  const Signer next{.type = entry_.type, .expiry = start_time + 8 * day, .epoch_id = 2};
  const ScriptedServer server(
      ScriptedServer::answer(ScriptedServer::response(test::answer_of({next.key()}))));
  start_at(server.port());
  EXPECT_EQ(failure(dvpn(7, withdraw(next, gateway_.identity))), std::nullopt);
  EXPECT_EQ(failure(dvpn(8, withdraw(entry_, gateway_.identity))),
            Failure::unknown_verification_key);
}

TEST_F(ChainFaults, AnotherKeyForAKnownNameReplacesNothing) {
  fill_cache();
  const Signer forged{.type = entry_.type, .expiry = entry_.expiry};
  const ScriptedServer server(
      ScriptedServer::answer(ScriptedServer::response(test::answer_of({forged.key()}))));
  start_at(server.port());
  while (manager_->keys().known->offered.empty())
    std::this_thread::yield();
  EXPECT_EQ(failure(dvpn(7, withdraw(entry_, gateway_.identity))), std::nullopt);
  EXPECT_EQ(failure(dvpn(8, withdraw(forged, gateway_.identity))), Failure::bad_signature);
  EXPECT_EQ(metric("lp_ecash_key_refreshes_total{result=\"conflict\"}"), 1);
}

TEST_F(ChainFaults, RecoveryIsNoticed) {
  fill_cache();
  ScriptedServer server(ScriptedServer::answer(ScriptedServer::response("junk")));
  start_at(server.port());
  expect_registrations_go_on("malformed");
  server.set_script(ScriptedServer::answer(
      ScriptedServer::response(test::answer_of({entry_.key(), exit_.key()}))));
  manager_->refresh();
  EXPECT_EQ(failure(dvpn(9, withdraw(exit_, gateway_.identity), exit_.type)), std::nullopt);
  EXPECT_THAT(manager_->warnings(), testing::IsEmpty());
}

}  // namespace
}  // namespace lp::gateway::ecash
