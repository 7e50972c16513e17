// The HTTP side (docs/gateway.md, "HTTP"): /metrics, /healthz, /readyz, /api/v1/lp. A thread of its
// own, so that a slow or hostile HTTP client never slows LP.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/metrics/metrics.h"

namespace lp::gateway::http {

/// What /api/v1/lp tells.
struct LpInfo {
  std::string identity;
  std::string lp_public_key;  ///< base58
  std::uint16_t lp_port = 0;
  bool mock_ecash = false;
  std::string version;
};

struct HttpOptions {
  std::string address;
  std::uint16_t port = 0;                  ///< 0: a free one
  std::vector<std::string> metrics_allow;  ///< CIDRs for /metrics and /readyz; others get 403
  LpInfo info;
};

/// Reasons why the gateway is not ready; empty where it is. Called from the HTTP thread.
using ReadinessProbe = std::function<std::vector<std::string>()>;
/// Called before /metrics is written, to refresh gauges.
using MetricsRefresh = std::function<void()>;

class HttpServer {
 public:
  virtual ~HttpServer() = default;
  [[nodiscard]] virtual std::string address() const = 0;  ///< "ADDR:PORT" as bound
  virtual void set_metrics_allow(std::vector<std::string> cidrs) = 0;
  virtual void shut_down() = 0;
};

[[nodiscard]] std::expected<std::unique_ptr<HttpServer>, std::string> start_http_server(
    HttpOptions options, metrics::Metrics& metrics, ReadinessProbe readiness,
    MetricsRefresh refresh);

}  // namespace lp::gateway::http
