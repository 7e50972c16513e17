#include "lib/http/server.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "lib/http/connection.h"
#include "lib/http/tls.h"
#include "lib/log/log.h"

namespace lp::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// How long accepting rests after an error, such as no descriptor being free: long enough not to
/// spin, short enough not to be missed by a scrape.
constexpr std::chrono::milliseconds accept_pause{100};

std::string to_text(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return fmt::format(fmt::runtime(endpoint.address().is_v6() ? "[{}]:{}" : "{}:{}"), address,
                     endpoint.port());
}

messages::IpAddress to_ip(const asio::ip::address& address) {
  if (address.is_v4()) return messages::IpV4{address.to_v4().to_bytes()};
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) {
    return messages::IpV4{asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_bytes()};
  }
  return messages::IpV6{v6.to_bytes()};
}

void log_failure(const std::exception_ptr& failure) noexcept {
  if (!failure) return;
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    log::write_limited(log::Level::error, "http_connection", "HTTP connection failed",
                       {{"error", error.what()}});
  } catch (...) {
    log::write_limited(log::Level::error, "http_connection", "HTTP connection failed");
  }
}

class TcpServer final : public Server {
 public:
  TcpServer(ServerOptions options, Handler& handler, std::optional<asio::ssl::context> tls)
      : options_(std::move(options)), handler_(handler), tls_(std::move(tls)) {}
  ~TcpServer() override { shut_down(); }

  std::expected<void, Refusal> start();

  std::string address() const override { return address_; }
  void shut_down() override;

 private:
  std::expected<void, Refusal> listen(const tcp::endpoint& endpoint);
  void run() noexcept;
  asio::awaitable<void> accept_connections();
  void serve(tcp::socket socket);
  void stop();

  const ServerOptions options_;
  Handler& handler_;
  std::optional<asio::ssl::context> tls_;
  ConnectionTable connections_{options_};
  Service service_{options_, handler_, connections_};
  bool stopping_ = false;
  std::string address_;

  asio::io_context io_{1};
  tcp::acceptor acceptor_{io_};
  asio::steady_timer accept_timer_{io_};
  std::once_flag shut_down_once_;
  std::thread thread_;
};

std::expected<void, Refusal> TcpServer::start() {
  error_code error;
  const auto ip = asio::ip::make_address(options_.address, error);
  if (error) {
    return std::unexpected(
        Refusal{ExitCode::configuration,
                fmt::format("cannot bind \"{}\": not an IP address", options_.address)});
  }
  if (auto listening = listen({ip, options_.port}); !listening) return listening;
  address_ = to_text(acceptor_.local_endpoint());
  asio::co_spawn(io_, accept_connections(), log_failure);
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), "lp-http");
  return {};
}

std::expected<void, Refusal> TcpServer::listen(const tcp::endpoint& endpoint) {
  error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    const bool forbidden = error == asio::error::access_denied;
    return std::unexpected(
        Refusal{forbidden ? ExitCode::no_permission : ExitCode::unavailable,
                fmt::format("cannot bind {}: {}", to_text(endpoint), error.message())});
  }
  return {};
}

void TcpServer::run() noexcept {
  if (options_.niceness != 0) {
    const int own =
        ::getpriority(PRIO_PROCESS, 0);  // whoever started the program may have been nice
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), own + options_.niceness);
  }
  for (;;) {
    try {
      io_.run();
      return;
    } catch (...) {
      log_failure(std::current_exception());
    }
  }
}

asio::awaitable<void> TcpServer::accept_connections() {
  while (!stopping_) {
    error_code error;
    tcp::socket socket(io_);
    co_await acceptor_.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (stopping_) co_return;
    if (!error) {
      serve(std::move(socket));
      continue;
    }
    log::write_limited(log::Level::warning, "http_accept", "HTTP accept rests",
                       {{"address", address_}, {"error", error.message()}});
    accept_timer_.expires_after(accept_pause);
    co_await accept_timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

void TcpServer::serve(tcp::socket socket) {
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return;  // it has gone already
  try {
    socket.set_option(tcp::no_delay(true), error);
    auto connection = make_connection(std::move(socket), to_ip(peer.address()), service_,
                                      tls_ ? &*tls_ : nullptr);
    if (!connections_.admit(*connection)) return;
    Connection& served = *connection;
    asio::co_spawn(io_, served.serve(),
                   [connection = std::move(connection)](const std::exception_ptr& failure) {
                     log_failure(failure);
                   });
  } catch (...) {
    log_failure(std::current_exception());
  }
}

void TcpServer::shut_down() {
  std::call_once(shut_down_once_, [this] {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] { stop(); });
    thread_.join();
  });
}

/// Everything that is waited for fails, every coroutine ends, and so does the thread.
void TcpServer::stop() {
  stopping_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  accept_timer_.cancel();
  connections_.close_all();
}

}  // namespace

std::expected<std::unique_ptr<Server>, Refusal> start_server(ServerOptions options,
                                                             Handler& handler) {
  std::optional<asio::ssl::context> tls;
  if (options.tls) {
    auto made = make_tls_context(*options.tls);
    if (!made) return std::unexpected(std::move(made.error()));
    tls = *std::move(made);
  }
  auto server = std::make_unique<TcpServer>(std::move(options), handler, std::move(tls));
  if (auto started = server->start(); !started) return std::unexpected(started.error());
  return server;
}

}  // namespace lp::http
