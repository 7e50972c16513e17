#include "gateway/http/server.h"

#include <memory>
#include <mutex>
#include <utility>

#include "gateway/http/allow_list.h"
#include "gateway/http/routes.h"
#include "lib/log/log.h"

namespace lp::gateway::http {
namespace {

/// A client that asks as fast as it can is to compete with LP for nothing, not even a processor.
constexpr int thread_niceness = 10;

/// metrics_allow: read on the server's thread, replaced from any other.
class AllowedClients {
 public:
  explicit AllowedClients(AllowList list) : list_(std::move(list)) {}

  [[nodiscard]] bool contains(const messages::IpAddress& address) const {
    const std::lock_guard lock(mutex_);
    return list_.contains(address);
  }
  void replace(AllowList list) {
    const std::lock_guard lock(mutex_);
    list_ = std::move(list);
  }

 private:
  mutable std::mutex mutex_;
  AllowList list_;
};

/// Every request is answered from its header: none has a body.
class Handler final : public lp::http::Handler {
 public:
  Handler(const Routes& routes, const AllowedClients& allowed)
      : routes_(routes), allowed_(allowed) {}

  std::expected<std::size_t, Answer> begin(const lp::http::Head& head) override {
    return std::unexpected(routes_.answer(
        {.method = head.method, .target = head.target, .allowed = allowed_.contains(head.peer)}));
  }

 private:
  const Routes& routes_;
  const AllowedClients& allowed_;
};

class GatewayServer final : public HttpServer {
 public:
  GatewayServer(const HttpOptions& options, AllowList allowed, metrics::Metrics& metrics,
                ReadinessProbe readiness, MetricsRefresh refresh)
      : allowed_(std::move(allowed)),
        routes_(options.info, metrics, std::move(readiness), std::move(refresh), options.warnings) {
  }

  std::expected<void, std::string> start(const HttpOptions& options);

  std::string address() const override { return server_->address(); }
  void set_metrics_allow(std::vector<std::string> cidrs) override;
  void shut_down() override {
    if (server_) server_->shut_down();
  }

 private:
  AllowedClients allowed_;
  const Routes routes_;
  Handler handler_{routes_, allowed_};
  std::unique_ptr<lp::http::Server> server_;
};

std::expected<void, std::string> GatewayServer::start(const HttpOptions& options) {
  auto server = lp::http::start_server(
      {.name = "lp-gateway",
       .address = options.address,
       .port = options.port,
       .tls = std::nullopt,
       .max_connections = options.max_connections,
       .max_connections_per_address = options.max_connections_per_address,
       .is_favoured = [this](const auto& address) { return allowed_.contains(address); },
       .read_deadline = options.read_deadline,
       .write_deadline = options.write_deadline,
       .niceness = thread_niceness},
      handler_);
  if (!server) return std::unexpected(std::move(server.error().sentence));
  server_ = *std::move(server);
  return {};
}

void GatewayServer::set_metrics_allow(std::vector<std::string> cidrs) {
  auto list = AllowList::parse(cidrs);
  if (!list) {
    log::error("metrics_allow stays as it was: " + list.error());
    return;
  }
  allowed_.replace(*std::move(list));
}

}  // namespace

std::expected<std::unique_ptr<HttpServer>, std::string> start_http_server(HttpOptions options,
                                                                          metrics::Metrics& metrics,
                                                                          ReadinessProbe readiness,
                                                                          MetricsRefresh refresh) {
  auto allowed = AllowList::parse(options.metrics_allow);
  if (!allowed) return std::unexpected("metrics_allow: " + allowed.error());
  auto server = std::make_unique<GatewayServer>(options, *std::move(allowed), metrics,
                                                std::move(readiness), std::move(refresh));
  if (auto started = server->start(options); !started) return std::unexpected(started.error());
  return server;
}

}  // namespace lp::gateway::http
