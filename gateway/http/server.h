// The HTTP side (docs/gateway.md, "HTTP"): /metrics, /healthz, /readyz, /api/v1/lp. A thread of its
// own, so that a slow or hostile HTTP client never slows LP.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/metrics/metrics.h"
#include "lib/http/server.h"

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
  /// Lines below `ready` in /readyz: what is wrong but stops nobody yet. As a ReadinessProbe.
  std::function<std::vector<std::string>()> warnings;

  /// At the limits a newcomer takes the place of the connection that has made no progress for
  /// longest: with the same address first, then of an address outside metrics_allow.
  std::size_t max_connections = 256;
  std::size_t max_connections_per_address = 32;  ///< IPv4 /32, IPv6 /64
  /// For a whole request, from the moment it is waited for; no trickle of bytes renews it.
  std::chrono::milliseconds read_deadline{10'000};
  std::chrono::milliseconds write_deadline{10'000};  ///< for a whole answer
};

using lp::http::max_header_size;

/// Reasons why the gateway is not ready; empty where it is. Called from the HTTP thread.
/// Must not block.
using ReadinessProbe = std::function<std::vector<std::string>()>;
/// Called before /metrics is written, to refresh gauges.
using MetricsRefresh = std::function<void()>;

/// Functions may be called from any thread but the server's own. The destructor shuts down.
class HttpServer {
 public:
  virtual ~HttpServer() = default;
  /// "ADDR:PORT" as bound, IPv6 in brackets.
  [[nodiscard]] virtual std::string address() const = 0;
  /// For requests read from now on. A list with an entry that is no CIDR is not taken: the former
  /// stays, and the log says so.
  virtual void set_metrics_allow(std::vector<std::string> cidrs) = 0;
  /// Closes every connection and joins the thread. Once is enough; more do nothing.
  virtual void shut_down() = 0;
};

/// Binds, listens and starts the thread. The error is a sentence that names the address or the
/// entry of metrics_allow. `metrics` must outlive the server.
[[nodiscard]] std::expected<std::unique_ptr<HttpServer>, std::string> start_http_server(
    HttpOptions options, metrics::Metrics& metrics, ReadinessProbe readiness,
    MetricsRefresh refresh);

}  // namespace lp::gateway::http
