#include "gateway/http/routes.h"

#include <fmt/format.h>

#include <boost/beast/http/status.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>
#include <utility>

#include "lib/wire/format.h"

namespace lp::gateway::http {
namespace {

constexpr std::string_view text_type = "text/plain; charset=utf-8";
constexpr std::string_view metrics_type = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view json_type = "application/json";

enum class Path : std::uint8_t { metrics, healthz, readyz, lp, unknown };

/// The path of a request target: without the query, and without scheme and authority where a
/// client sends its target in absolute form, as RFC 9112, section 3.2.2, has every server accept.
std::string_view path_of(std::string_view target) noexcept {
  constexpr std::string_view scheme = "http://";
  if (target.starts_with(scheme)) {
    const std::size_t slash = target.find('/', scheme.size());
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  return target.substr(0, target.find('?'));
}

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

Answer plain(unsigned status) {
  const auto phrase =
      boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(status));
  return {status, text_type, fmt::format("{} {}\n", status, std::string_view(phrase)), {}};
}

std::string http_date(std::int64_t unix_seconds) {
  constexpr std::array<std::string_view, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t time = unix_seconds;
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                     days[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                     months[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour,
                     utc.tm_min, utc.tm_sec);
}

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
  if (path == Path::lp) return {200, json_type, lp_document_, {}};
  return {200, text_type, "ok\n", {}};
}

Answer Routes::metrics() const {
  if (refresh_) refresh_();
  return {200, metrics_type, metrics_.text(), {}};
}

Answer Routes::readiness() const {
  std::vector<std::string> lines = readiness_ ? readiness_() : std::vector<std::string>{};
  const bool ready = lines.empty();
  if (ready) lines.emplace_back("ready");
  if (warnings_) std::ranges::move(warnings_(), std::back_inserter(lines));
  return {ready ? 200U : 503U, text_type, fmt::format("{}\n", fmt::join(lines, "\n")), {}};
}

}  // namespace lp::gateway::http
