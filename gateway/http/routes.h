// What each path answers (docs/gateway.md, "HTTP"). No I/O: a request's facts go in, an answer
// comes out.
#pragma once

#include <string>
#include <string_view>

#include "gateway/http/server.h"
#include "gateway/metrics/metrics.h"

namespace lp::gateway::http {

struct Request {
  std::string_view method;
  std::string_view target;  ///< as in the request line
  bool allowed = false;     ///< the client's address is in metrics_allow
};

struct Answer {
  unsigned status = 200;
  std::string_view content_type;
  std::string body;
  std::string_view allow;  ///< the Allow header, with 405
};

/// The answer that consists of its status: the reason phrase as text.
[[nodiscard]] Answer plain(unsigned status);

/// "Sun, 06 Nov 1994 08:49:37 GMT", whatever the locale.
[[nodiscard]] std::string http_date(std::int64_t unix_seconds);

/// The references and functions must outlive it. Not thread-safe.
class Routes {
 public:
  Routes(const LpInfo& info, metrics::Metrics& metrics, ReadinessProbe readiness,
         MetricsRefresh refresh, ReadinessProbe warnings = nullptr);

  /// What throws in `readiness`, `warnings` or `refresh` passes through.
  [[nodiscard]] Answer answer(const Request& request) const;

 private:
  [[nodiscard]] Answer metrics() const;
  [[nodiscard]] Answer readiness() const;

  std::string lp_document_;  // never changes while the gateway runs
  metrics::Metrics& metrics_;
  ReadinessProbe readiness_;
  MetricsRefresh refresh_;
  ReadinessProbe warnings_;
};

}  // namespace lp::gateway::http
