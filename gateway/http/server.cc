#include "gateway/http/server.h"

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
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "gateway/config/log.h"
#include "gateway/http/allow_list.h"
#include "gateway/http/connection.h"
#include "gateway/http/routes.h"

namespace lp::gateway::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// How long accepting rests after an error, such as no descriptor being free: long enough not to
/// spin, short enough not to be missed by a scrape.
constexpr std::chrono::milliseconds accept_pause{100};

constexpr int thread_niceness = 10;

std::string to_text(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return fmt::format(fmt::runtime(endpoint.address().is_v6() ? "[{}]:{}" : "{}:{}"), address,
                     endpoint.port());
}

messages::IpAddress to_ip(const asio::ip::address& address) {
  if (address.is_v4()) return messages::IpV4{address.to_v4().to_bytes()};
  return unmapped(messages::IpV6{address.to_v6().to_bytes()});
}

void log_failure(const std::exception_ptr& failure) noexcept {
  if (!failure) return;
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    log::write_limited(log::Level::error, "http_connection",
                       fmt::format("HTTP connection failed: {}", error.what()));
  } catch (...) {
    log::write_limited(log::Level::error, "http_connection", "HTTP connection failed");
  }
}

class Server final : public HttpServer {
 public:
  Server(HttpOptions options, AllowList allowed, metrics::Metrics& metrics,
         ReadinessProbe readiness, MetricsRefresh refresh)
      : options_(std::move(options)),
        allowed_(std::move(allowed)),
        routes_(options_.info, metrics, std::move(readiness), std::move(refresh),
                options_.warnings),
        connections_(options_.max_connections, options_.max_connections_per_address) {}
  ~Server() override { shut_down(); }

  std::expected<void, std::string> start();

  std::string address() const override { return address_; }
  void set_metrics_allow(std::vector<std::string> cidrs) override;
  void shut_down() override;

 private:
  std::expected<void, std::string> listen(const tcp::endpoint& endpoint);
  void run() noexcept;
  asio::awaitable<void> accept_connections();
  void serve(tcp::socket socket);
  void stop();

  const HttpOptions options_;
  AllowList allowed_;  // the server's thread alone reads and replaces it, once that runs
  const Routes routes_;
  ConnectionTable connections_;
  Service service_{options_, routes_, connections_, [this](const messages::IpAddress& address) {
                     return allowed_.contains(address);
                   }};
  bool stopping_ = false;
  std::string address_;

  asio::io_context io_{1};
  tcp::acceptor acceptor_{io_};
  asio::steady_timer accept_timer_{io_};
  std::once_flag shut_down_once_;
  std::thread thread_;
};

std::expected<void, std::string> Server::start() {
  error_code error;
  const auto ip = asio::ip::make_address(options_.address, error);
  if (error) {
    return std::unexpected(fmt::format("cannot bind \"{}\": not an IP address", options_.address));
  }
  if (auto listening = listen({ip, options_.port}); !listening) return listening;
  address_ = to_text(acceptor_.local_endpoint());
  asio::co_spawn(io_, accept_connections(), log_failure);
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), "lp-http");
  return {};
}

std::expected<void, std::string> Server::listen(const tcp::endpoint& endpoint) {
  error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return std::unexpected(fmt::format("cannot bind {}: {}", to_text(endpoint), error.message()));
  }
  return {};
}

void Server::run() noexcept {
  // A client that asks as fast as it can is to compete with LP for nothing, not even a processor.
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), thread_niceness);
  for (;;) {
    try {
      io_.run();
      return;
    } catch (...) {
      log_failure(std::current_exception());
    }
  }
}

asio::awaitable<void> Server::accept_connections() {
  while (!stopping_) {
    error_code error;
    tcp::socket socket(io_);
    co_await acceptor_.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (stopping_) co_return;
    if (!error) {
      serve(std::move(socket));
      continue;
    }
    log::write_limited(log::Level::warning, "http_accept",
                       fmt::format("HTTP accept on {} rests: {}", address_, error.message()));
    accept_timer_.expires_after(accept_pause);
    co_await accept_timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

void Server::serve(tcp::socket socket) {
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return;  // it has gone already
  try {
    socket.set_option(tcp::no_delay(true), error);
    auto connection =
        std::make_unique<Connection>(std::move(socket), to_ip(peer.address()), service_);
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

void Server::set_metrics_allow(std::vector<std::string> cidrs) {
  auto list = AllowList::parse(cidrs);
  if (!list) {
    log::error("metrics_allow stays as it was: " + list.error());
    return;
  }
  asio::post(io_, [this, list = *std::move(list)]() mutable { allowed_ = std::move(list); });
}

void Server::shut_down() {
  std::call_once(shut_down_once_, [this] {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] { stop(); });
    thread_.join();
  });
}

/// Everything that is waited for fails, every coroutine ends, and so does the thread.
void Server::stop() {
  stopping_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  accept_timer_.cancel();
  connections_.close_all();
}

}  // namespace

std::expected<std::unique_ptr<HttpServer>, std::string> start_http_server(HttpOptions options,
                                                                          metrics::Metrics& metrics,
                                                                          ReadinessProbe readiness,
                                                                          MetricsRefresh refresh) {
  auto allowed = AllowList::parse(options.metrics_allow);
  if (!allowed) return std::unexpected("metrics_allow: " + allowed.error());
  auto server = std::make_unique<Server>(std::move(options), *std::move(allowed), metrics,
                                         std::move(readiness), std::move(refresh));
  if (auto started = server->start(); !started) return std::unexpected(started.error());
  return server;
}

}  // namespace lp::gateway::http
