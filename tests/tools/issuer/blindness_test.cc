// What the issuer gets to see, against what is spent later.
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "tests/tools/issuer/issuer_program.h"

namespace lp::issuer::test {
namespace {

/// Passes bytes on to a port of 127.0.0.1, one connection after another, and keeps all that go
/// there.
class Recorder {
 public:
  explicit Recorder(std::uint16_t to) : to_(to) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, 8) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("cannot listen");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Recorder() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string recorded() {
    const std::lock_guard lock(mutex_);
    return recorded_;
  }

 private:
  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void run() {
    while (true) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) return;
      const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = loopback(to_);
      if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        relay(client, server);
      }
      ::close(client);
      ::close(server);
    }
  }

  void relay(int client, int server) {
    while (true) {
      std::array<pollfd, 2> fds{pollfd{client, POLLIN, 0}, pollfd{server, POLLIN, 0}};
      if (::poll(fds.data(), fds.size(), 30'000) <= 0) return;
      for (std::size_t i = 0; i < fds.size(); ++i) {
        if (fds[i].revents == 0) continue;
        std::array<char, 4096> bytes;
        const ssize_t size = ::recv(fds[i].fd, bytes.data(), bytes.size(), 0);
        if (size <= 0) return;
        const std::string_view view(bytes.data(), static_cast<std::size_t>(size));
        if (i == 0) {
          const std::lock_guard lock(mutex_);
          recorded_ += view;
        }
        ::send(fds[1 - i].fd, view.data(), view.size(), MSG_NOSIGNAL);
      }
    }
  }

  std::uint16_t to_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::mutex mutex_;
  std::string recorded_;
  std::thread thread_;
};

/// Whether `text` has these bytes, raw or in a form in which they could travel.
testing::AssertionResult has(const std::string& text, ByteView bytes, std::string_view what) {
  const std::string raw(bytes.begin(), bytes.end());
  // Base64 of an inner part, whatever stood before it: eight bytes from any of three phases.
  std::vector<std::string> forms{raw, to_hex(bytes), to_base58(bytes)};
  for (std::size_t phase = 0; phase < 3; ++phase)
    forms.push_back(to_base64(bytes.subspan(phase, (bytes.size() - phase) / 3 * 3)));
  for (const auto& form : forms) {
    if (text.contains(form)) return testing::AssertionSuccess() << what << " is there";
  }
  return testing::AssertionFailure() << what << " is not there";
}

class Blindness : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(crypto::initialise()); }
};

TEST_F(Blindness, NothingThatReachesTheIssuerIsSpent) {
  TempDir dir;
  IssuerProgram issuer(dir / "issuer");
  const std::string token = issuer.add_token({"--tickets", "100"});
  const auto key = issuer.newest_key();
  Recorder recorder(static_cast<std::uint16_t>(
      std::stoul(issuer.address().substr(issuer.address().rfind(':') + 1))));
  const auto url =
      net::Url::parse("http://127.0.0.1:" + std::to_string(recorder.port()) + "/v1/sign").value();
  net::FetchOptions options;
  options.bearer_token = token;
  options.deadline = std::chrono::seconds(30);

  struct Spent {
    ecash::TicketMessage message;
    messages::Credential credential;
    crypto::G1Encoding blinded;
    Bytes blind_signature;
    Secret<32> factor;
  };
  std::vector<Spent> spent;
  const ecash::VerificationKey verification(key.public_key);
  for (int i = 0; i < 10; ++i) {
    const auto gateway = crypto::IdentityKeyPair::generate().identity;
    const auto withdrawal = ecash::Withdrawal::start(gateway, key.type, key.expiry);
    const auto response =
        net::post_json(url, sign_body(key.epoch_id, key.type, {withdrawal.blinded()}), options);
    ASSERT_TRUE(response) << response.error().detail;
    ASSERT_EQ(response->status, 200U);
    const Bytes answer = signatures(response->body).at(0);
    auto credential = withdrawal.finish(answer, verification);
    ASSERT_TRUE(credential);
    spent.push_back({withdrawal.message(), *std::move(credential), withdrawal.blinded(), answer,
                     withdrawal.blinding_factor()});
  }
  EXPECT_EQ(issuer.stop().code, 0);

  const std::string reached = recorder.recorded();
  std::string kept;
  for (const auto& file : std::filesystem::directory_iterator(issuer.data_dir()))
    kept += lp::test::read_file(file.path());
  const std::string seen = reached + kept + issuer.child().error_output();
  for (const Spent& ticket : spent) {
    // The search finds what is there: the blinded points, as they came and as they are kept.
    EXPECT_TRUE(has(reached, ticket.blinded, "blinded point"));
    EXPECT_TRUE(has(kept, ticket.blinded, "blinded point"));

    EXPECT_FALSE(has(seen, ticket.credential.nullifier, "nullifier"));
    EXPECT_FALSE(has(seen, ticket.message.gateway.bytes, "gateway"));
    EXPECT_FALSE(has(seen, ticket.credential.signature, "signature"));
    EXPECT_FALSE(has(seen, ecash::hash_to_g1(ticket.message).encode(), "hash"));
    EXPECT_FALSE(has(seen, ecash::encode(ticket.message), "message"));
    EXPECT_FALSE(has(seen, ticket.factor.bytes(), "blinding factor"));
    // Nor is it what the issuer sent, of which it knows every byte.
    for (const Spent& other : spent) {
      EXPECT_NE(ticket.credential.signature, other.blind_signature);
      EXPECT_FALSE(std::ranges::equal(ticket.credential.signature, other.blinded));
    }
  }
}

/// Every blinded point fits every ticket: with the right factor, which nobody can tell from
/// another, any of them leads to any other. So what was recorded singles out no ticket.
TEST_F(Blindness, OnePointIsBlindedAnewEachTime) {
  const auto gateway = crypto::IdentityKeyPair::generate().identity;
  const auto first = ecash::Withdrawal::start(gateway, TicketType::v1_mixnet_exit, 1000);
  const auto other = ecash::Withdrawal::start(gateway, TicketType::v1_mixnet_exit, 1000);
  const auto mixed = ecash::Withdrawal::resume(first.message(), other.blinding_factor());
  ASSERT_TRUE(mixed);
  EXPECT_NE(mixed->blinded(), first.blinded());
  EXPECT_NE(mixed->blinded(), other.blinded());
}

}  // namespace
}  // namespace lp::issuer::test
