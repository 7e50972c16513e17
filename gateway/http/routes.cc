#include "gateway/http/routes.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

#include "lib/wire/format.h"

namespace lp::gateway::http {
namespace {

using lp::http::json_type;
using lp::http::path_of;
using lp::http::plain;
using lp::http::text_type;

constexpr std::string_view metrics_type = "text/plain; version=0.0.4; charset=utf-8";

enum class Path : std::uint8_t { metrics, healthz, readyz, lp, unknown };

Path route(std::string_view target) noexcept {
  const std::string_view path = path_of(target);
  if (path == "/metrics") return Path::metrics;
  if (path == "/healthz") return Path::healthz;
  if (path == "/readyz") return Path::readyz;
  if (path == "/api/v1/lp") return Path::lp;
  return Path::unknown;
}

bool is_internal(Path path) noexcept {
  return path == Path::metrics || path == Path::readyz;
}

std::string lp_document(const LpInfo& info) {
  const boost::json::object document{{"identity", info.identity},
                                     {"lp_public_key", info.lp_public_key},
                                     {"lp_port", info.lp_port},
                                     {"protocol_version", wire::protocol_version},
                                     {"modes", boost::json::array{"dvpn", "mixnet"}},
                                     {"mock_ecash", info.mock_ecash},
                                     {"version", info.version}};
  return boost::json::serialize(document) + "\n";
}

}  // namespace

Routes::Routes(const LpInfo& info, metrics::Metrics& metrics, ReadinessProbe readiness,
               MetricsRefresh refresh, ReadinessProbe warnings)
    : lp_document_(lp_document(info)),
      metrics_(metrics),
      readiness_(std::move(readiness)),
      refresh_(std::move(refresh)),
      warnings_(std::move(warnings)) {}

Answer Routes::answer(const Request& request) const {
  const Path path = route(request.target);
  if (path == Path::unknown) return plain(404);
  if (is_internal(path) && !request.allowed) return plain(403);
  if (request.method != "GET" && request.method != "HEAD") {
    Answer refused = plain(405);
    refused.allow = "GET, HEAD";
    return refused;
  }
  if (path == Path::metrics) return metrics();
  if (path == Path::readyz) return readiness();
  if (path == Path::lp) return {.status = 200, .content_type = json_type, .body = lp_document_};
  return {.status = 200, .content_type = text_type, .body = "ok\n"};
}

Answer Routes::metrics() const {
  if (refresh_) refresh_();
  return {.status = 200, .content_type = metrics_type, .body = metrics_.text()};
}

Answer Routes::readiness() const {
  std::vector<std::string> lines = readiness_ ? readiness_() : std::vector<std::string>{};
  const bool ready = lines.empty();
  if (ready) lines.emplace_back("ready");
  if (warnings_) std::ranges::move(warnings_(), std::back_inserter(lines));
  return {.status = ready ? 200U : 503U,
          .content_type = text_type,
          .body = fmt::format("{}\n", fmt::join(lines, "\n"))};
}

}  // namespace lp::gateway::http
