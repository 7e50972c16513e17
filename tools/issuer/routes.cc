#include "tools/issuer/routes.h"

#include <exception>
#include <memory>
#include <utility>
#include <variant>

#include "lib/log/log.h"
#include "tools/issuer/loopback.h"
#include "tools/issuer/smart_query.h"
#include "tools/issuer/token.h"

namespace lp::issuer {
namespace {

constexpr std::string_view sign_path = "/v1/sign";
constexpr std::string_view metrics_type = "text/plain; version=0.0.4; charset=utf-8";

/// The name of a path in the metrics.
std::string_view route_name(std::string_view path) noexcept {
  if (path == sign_path) return "sign";
  if (path.starts_with(contract_prefix)) return "smart_query";
  if (path == "/healthz") return "healthz";
  if (path == "/metrics") return "metrics";
  return "other";
}

bool is_read(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD";
}

http::Answer not_allowed(std::string_view methods) {
  http::Answer answer = http::plain(405);
  answer.allow = methods;
  return answer;
}

http::Answer busy(std::string_view path) {
  constexpr std::string_view message = "the issuer has too much to do; try again";
  if (path != sign_path) return chain_error(503, message);
  return refused_answer({.status = 503, .code = "busy", .message = std::string(message)});
}

}  // namespace

std::expected<std::size_t, http::Answer> Routes::begin(const http::Head& head) {
  const std::string_view path = http::path_of(head.target);
  auto begun = [&]() -> std::expected<std::size_t, http::Answer> {
    if (path.starts_with(contract_prefix)) return begin_query(head);
    if (path == sign_path) {
      if (head.method != "POST") return std::unexpected(not_allowed("POST"));
      if (!bearer_token(head.authorization).empty()) return max_sign_body;
      return std::unexpected(refused_answer(
          {.status = 401, .code = "unauthorised", .message = "a bearer token is needed"}));
    }
    if (path != "/healthz" && path != "/metrics") return std::unexpected(http::plain(404));
    if (!is_read(head.method)) return std::unexpected(not_allowed("GET, HEAD"));
    if (path == "/healthz") {
      return std::unexpected(http::Answer{.content_type = http::text_type, .body = "ok\n"});
    }
    if (!is_loopback(head.peer)) return std::unexpected(http::plain(403));
    return std::unexpected(http::Answer{.content_type = metrics_type, .body = counters_.text()});
  }();
  if (!begun) counters_.count_request(route_name(path), begun.error().status);
  return begun;
}

std::expected<std::size_t, http::Answer> Routes::begin_query(const http::Head& head) const {
  if (!is_read(head.method)) return std::unexpected(not_allowed("GET, HEAD"));
  auto checked = check_smart_query(http::path_of(head.target), address_);
  if (!checked) return std::unexpected(std::move(checked.error()));
  return 0;
}

void Routes::handle(http::Request request, Done done) {
  // Shared, so that both are still here where the worker takes no more.
  struct Call {
    http::Request request;
    Done done;
  };
  const auto call = std::make_shared<Call>(std::move(request), std::move(done));
  Worker::Job job = [this, call] {
    http::Answer made = answer(call->request);
    counters_.count_request(route_name(http::path_of(call->request.target)), made.status);
    call->done(std::move(made));
  };
  const std::string_view path = http::path_of(call->request.target);
  Worker& worker = path == sign_path ? issuer_.worker : contract_.worker;
  if (worker.post(job)) return;
  counters_.count_request(route_name(path), 503);
  call->done(busy(path));
}

http::Answer Routes::answer(const http::Request& request) try {
  if (http::path_of(request.target) != sign_path) {
    auto keys = contract_.service.verification_keys();
    if (!keys) return chain_error(keys.error().status, keys.error().message);
    return {.content_type = http::json_type, .body = *std::move(keys)};
  }
  const auto signatures = issuer_.service.sign(bearer_token(request.authorization), request.body);
  return signatures ? signatures_answer(*signatures) : refused_answer(signatures.error());
} catch (const std::exception& failure) {
  log::write_limited(log::Level::error, "request", "a request failed", {{"error", failure.what()}});
  return http::plain(500);
}

}  // namespace lp::issuer
