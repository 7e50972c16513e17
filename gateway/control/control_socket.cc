#include "gateway/control/control_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>
#include <sstream>
#include <thread>

#include "gateway/config/log.h"
#include "gateway/control/unix_address.h"

namespace lp::gateway::control {
namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
constexpr auto use_result = asio::as_tuple(asio::use_awaitable);

// A local client that is hostile, or a stopped shell, costs at most this.
constexpr std::size_t longest_request = 4096;
constexpr std::size_t most_clients = 16;
constexpr std::chrono::seconds client_deadline{5};

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;)
    words.push_back(word);
  return words;
}

std::string with_errno(const std::filesystem::path& path, std::string_view what) {
  return fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno));
}

/// A socket that nobody listens on any more is left by a gateway that was killed.
std::expected<void, std::string> remove_stale(const std::filesystem::path& path,
                                              const sockaddr_un& address) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return std::unexpected(with_errno(path, "control socket cannot be made"));
  }
  if (!S_ISSOCK(status.st_mode)) {
    return std::unexpected(path.string() + ": is in the control socket's place and is no socket");
  }
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const bool refused =
      fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno == ECONNREFUSED;
  if (fd >= 0) ::close(fd);
  if (!refused) return std::unexpected(path.string() + ": another process listens on it");
  if (::unlink(path.c_str()) != 0) {
    return std::unexpected(with_errno(path, "stale control socket cannot be removed"));
  }
  return {};
}

/// Bound, mode 0600, listening; in this order, so that nobody else connects in between.
std::expected<int, std::string> listening_socket(const std::filesystem::path& path) {
  const auto address = unix_address(path);
  if (!address) return std::unexpected(address.error());
  if (auto removed = remove_stale(path, *address); !removed) {
    return std::unexpected(removed.error());
  }
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0 &&
      ::chmod(path.c_str(), S_IRUSR | S_IWUSR) == 0 && ::listen(fd, SOMAXCONN) == 0) {
    return fd;
  }
  const auto error = std::unexpected(with_errno(path, "control socket cannot be made"));
  if (fd >= 0) ::close(fd);
  return error;
}

class Socket final : public ControlSocket {
 public:
  Socket(std::filesystem::path path, int fd, Handler handler)
      : path_(std::move(path)), handler_(std::move(handler)) {
    running_->context = &context_;
    acceptor_.assign(Local(), fd);
    asio::co_spawn(context_, accept_loop(), asio::detached);
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Socket() override { shut_down(); }

  void shut_down() override {
    if (!thread_.joinable()) return;
    ::unlink(path_.c_str());
    {
      const std::lock_guard lock(running_->mutex);
      running_->context = nullptr;
    }
    context_.stop();
    thread_.join();
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    for (const auto& client : clients_)
      close(*client);
  }

 private:
  struct Client {
    explicit Client(Local::socket from)
        : socket(std::move(from)), deadline(socket.get_executor()) {}
    Local::socket socket;
    asio::steady_timer deadline;
  };
  using ClientPtr = std::shared_ptr<Client>;

  asio::awaitable<void> accept_loop() {
    for (;;) {
      auto [error, socket] = co_await acceptor_.async_accept(use_result);
      if (error) {
        // No descriptor, most likely: try again when there may be one.
        log::write_limited(log::Level::warning, "control accept", "control socket: cannot accept",
                           {{"error", error.message()}});
        retry_.expires_after(std::chrono::milliseconds(200));
        co_await retry_.async_wait(use_result);
        continue;
      }
      // The newest is served; the oldest has had its chance.
      if (clients_.size() >= most_clients) {
        close(*clients_.front());
        clients_.pop_front();
      }
      auto client = std::make_shared<Client>(std::move(socket));
      clients_.push_back(client);
      asio::co_spawn(context_, serve(std::move(client)), asio::detached);
    }
  }

  // Closing ends whatever the client's coroutine waits for.
  static void close(Client& client) {
    boost::system::error_code ignored;
    client.socket.close(ignored);
  }

  asio::awaitable<void> serve(ClientPtr client) {
    client->deadline.expires_after(client_deadline);
    client->deadline.async_wait([weak = std::weak_ptr(client)](boost::system::error_code error) {
      const ClientPtr late = weak.lock();
      if (!error && late) close(*late);
    });
    co_await answer(client->socket);
    clients_.remove(client);
  }

  asio::awaitable<void> answer(Local::socket& socket) {
    std::string line;
    auto [read_error, length] = co_await asio::async_read_until(
        socket, asio::dynamic_buffer(line, longest_request), '\n', use_result);
    if (read_error) co_return;
    line.resize(length);
    // The answer cancels the timer. Not before it is waited for: it comes through the context,
    // whose thread is this one.
    const auto answered =
        std::make_shared<asio::steady_timer>(context_, asio::steady_timer::time_point::max());
    const auto text = std::make_shared<std::string>();
    handler_(words_of(line), reply_to(answered, text));
    co_await answered->async_wait(use_result);
    *text += '\n';
    co_await asio::async_write(socket, asio::buffer(*text), use_result);
  }

  Reply reply_to(const std::shared_ptr<asio::steady_timer>& answered,
                 const std::shared_ptr<std::string>& text) {
    return
        [running = running_, answered = std::weak_ptr(answered), text](std::string answer) mutable {
          const std::lock_guard lock(running->mutex);
          if (running->context == nullptr) return;
          asio::post(*running->context, [answered, text, answer = std::move(answer)]() mutable {
            *text = std::move(answer);
            if (const auto timer = answered.lock()) timer->cancel();
          });
        };
  }

  /// What answers may be handed to; they can come when the socket is gone.
  struct Running {
    std::mutex mutex;
    asio::io_context* context;  // under the mutex; null after shut_down
  };

  std::filesystem::path path_;
  Handler handler_;
  const std::shared_ptr<Running> running_ = std::make_shared<Running>();
  asio::io_context context_{1};
  std::list<ClientPtr> clients_;  // the control thread's alone
  Local::acceptor acceptor_{context_};
  asio::steady_timer retry_{context_};
  std::thread thread_;
};

}  // namespace

std::expected<std::unique_ptr<ControlSocket>, std::string> serve(const std::filesystem::path& path,
                                                                 Handler handler) {
  const auto fd = listening_socket(path);
  if (!fd) return std::unexpected(fd.error());
  return std::make_unique<Socket>(path, *fd, std::move(handler));
}

}  // namespace lp::gateway::control
