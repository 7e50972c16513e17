// What each path answers (docs/gateway.md, "HTTP"). No I/O: a request's facts go in, an answer
// comes out.
#pragma once

#include <string>
#include <string_view>

#include "gateway/http/server.h"
#include "gateway/metrics/metrics.h"
#include "lib/http/message.h"

namespace lp::gateway::http {

struct Request {
  std::string_view method;
  std::string_view target;  ///< as in the request line
  bool allowed = false;     ///< the client's address is in metrics_allow
};

using lp::http::Answer;

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
