#include "gateway/control/control_socket.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <thread>

#include "tests/support/process.h"

namespace lp::gateway::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A raw client: what a hostile one would be.
class Client {
 public:
  explicit Client(const std::filesystem::path& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  /// False once the other side has closed.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  /// What comes until the other side closes.
  std::string read_to_end() {
    std::string text;
    std::array<char, 4096> buffer;
    for (;;) {
      pollfd fd{fd_, POLLIN, 0};
      if (::poll(&fd, 1, 60'000) <= 0) return text + "<still open>";
      const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (count <= 0) return text;
      text.append(buffer.data(), static_cast<std::size_t>(count));
    }
  }

 private:
  int fd_;
  bool connected_ = false;
};

class Control : public testing::Test {
 protected:
  void SetUp() override {
    auto served = serve(path_, [this](const std::vector<std::string>& words, Reply reply) {
      {
        const std::lock_guard lock(mutex_);
        last_words_ = words;
        if (!words.empty() && words.front() == "later") {
          later_ = std::move(reply);
          asked_.notify_one();
          return;
        }
      }
      reply(answer_);
    });
    ASSERT_TRUE(served) << served.error();
    socket_ = std::move(*served);
  }
  std::vector<std::string> last_words() {
    const std::lock_guard lock(mutex_);
    return last_words_;
  }

  test::TempDir dir_;
  std::filesystem::path path_ = dir_ / "control.sock";
  std::string answer_ = "{\"ok\":true}";
  Reply wait_for_later() {
    std::unique_lock lock(mutex_);
    asked_.wait(lock, [this] { return later_ != nullptr; });
    return std::move(later_);
  }

  std::mutex mutex_;
  std::condition_variable asked_;
  Reply later_;
  std::vector<std::string> last_words_;
  std::unique_ptr<ControlSocket> socket_;
};

TEST_F(Control, LosesWordsOfARequestOrPartOfAnAnswer) {
  EXPECT_EQ(request(path_, "peers  show\tKEY"), answer_);
  EXPECT_THAT(last_words(), ElementsAre("peers", "show", "KEY"));
  EXPECT_EQ(request(path_, ""), answer_);
  EXPECT_THAT(last_words(), ElementsAre());
}

TEST_F(Control, IsOpenToOtherUsers) {
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
}

TEST_F(Control, CutsALongAnswer) {
  answer_ = '"' + std::string(8 << 20, 'x') + '"';
  EXPECT_EQ(request(path_, "status"), answer_);
}

TEST_F(Control, ReadsALineWithoutEnd) {
  Client client(path_);
  // Either the send or the read finds it closed.
  client.send(std::string(1 << 20, 'x'));
  EXPECT_THAT(client.read_to_end(), testing::Not(HasSubstr("still open")));
  EXPECT_EQ(request(path_, "status"), answer_);
}

TEST_F(Control, WaitsForeverForAClientThatSaysNothing) {
  Client silent(path_);
  Client half(path_);
  half.send("stat");
  EXPECT_EQ(request(path_, "status"), answer_);  // others go on
  EXPECT_EQ(silent.read_to_end(), "");           // closed at its deadline
  EXPECT_EQ(half.read_to_end(), "");
}

TEST_F(Control, IsFilledUpByClientsThatSayNothing) {
  std::vector<std::unique_ptr<Client>> silent;
  for (int i = 0; i < 200; ++i)
    silent.push_back(std::make_unique<Client>(path_));
  EXPECT_EQ(request(path_, "status"), answer_);
}

TEST_F(Control, StallsOnAClientThatDoesNotRead) {
  answer_ = std::string(8 << 20, 'x');
  std::vector<std::unique_ptr<Client>> deaf;
  for (int i = 0; i < 8; ++i) {
    deaf.push_back(std::make_unique<Client>(path_));
    ASSERT_TRUE(deaf.back()->send("status\n"));
  }
  EXPECT_EQ(request(path_, "status"), answer_);
}

TEST_F(Control, ComesToHarmByClientsThatGoAway) {
  for (int i = 0; i < 100; ++i) {
    Client client(path_);
    if (i % 2 == 0) client.send("status\n");
  }
  EXPECT_EQ(request(path_, "status"), answer_);
}

TEST_F(Control, IsTakenOverByASecondGateway) {
  const auto second = serve(path_, [](const auto&, Reply reply) { reply("second"); });
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), path_.string() + ": another process listens on it");
  EXPECT_EQ(request(path_, "status"), answer_);
}

TEST_F(Control, IsLeftBehind) {
  socket_->shut_down();
  EXPECT_FALSE(std::filesystem::exists(path_));
  const auto answer = request(path_, "status");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error(),
            path_.string() + ": no gateway answers there: No such file or directory");
}

TEST_F(Control, HangsAtShutdownOnOpenClients) {
  Client silent(path_);
  Client half(path_);
  half.send("stat");
  EXPECT_EQ(request(path_, "status"), answer_);
  socket_->shut_down();  // the test's time limit is the assertion
  EXPECT_EQ(silent.read_to_end(), "");
}

TEST_F(Control, HoldsUpOthersWithAnAnswerThatTakesItsTime) {
  std::expected<std::string, std::string> late;
  std::thread waiting([&] { late = request(path_, "later"); });
  auto reply = wait_for_later();
  EXPECT_EQ(request(path_, "status"), answer_);
  reply("{\"late\":1}");
  waiting.join();
  EXPECT_EQ(late, "{\"late\":1}");
}

TEST_F(Control, ComesToHarmByAnAnswerThatComesAfterItsEnd) {
  Client client(path_);
  client.send("later\n");
  auto reply = wait_for_later();
  socket_->shut_down();
  reply("too late");
  EXPECT_EQ(client.read_to_end(), "");
  socket_.reset();
  reply = nullptr;
}

TEST(StaleSocket, OfAKilledGatewayKeepsTheNextFromStarting) {
  const test::TempDir dir;
  const auto path = dir / "control.sock";
  {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::close(fd);  // the file stays
  }
  ASSERT_TRUE(std::filesystem::exists(path));
  const auto served = serve(path, [](const auto&, Reply reply) { reply("{}"); });
  ASSERT_TRUE(served) << served.error();
  EXPECT_EQ(request(path, "status"), "{}");
}

TEST(StaleSocket, IsSomeoneElsesFileAndIsRemoved) {
  const test::TempDir dir;
  test::write_file(dir / "control.sock", "precious");
  const auto served = serve(dir / "control.sock", [](const auto&, Reply reply) { reply(""); });
  ASSERT_FALSE(served);
  EXPECT_THAT(served.error(), HasSubstr("is no socket"));
  EXPECT_EQ(test::read_file(dir / "control.sock"), "precious");
}

TEST(SocketPath, IsCutToWhatFits) {
  const test::TempDir dir;
  const auto path = dir / std::string(120, 'x');
  for (const auto& sentence : {serve(path, [](const auto&, Reply reply) { reply(""); }).error(),
                               request(path, "status").error()}) {
    EXPECT_THAT(sentence, HasSubstr("too long for a Unix socket"));
  }
}

}  // namespace
}  // namespace lp::gateway::control
