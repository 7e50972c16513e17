#include "lib/net/fetch.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "lib/net/lookup.h"

namespace lp::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using boost::system::system_error;
using Clock = std::chrono::steady_clock;

constexpr std::uint32_t max_header = 8 * 1024;
/// RFC 9110, section 15.2: any number of these may come before the answer. Nobody needs more.
constexpr int max_interim_answers = 8;

enum class Stage : std::uint8_t { resolve, connect, tls, exchange };

/// What is asked, and how far it has come. Outlives the coroutine.
struct Call {
  const Url& url;
  const FetchOptions& options;
  std::optional<std::string_view> json;  ///< POST; without: GET
  Clock::time_point deadline;
  Stage stage = Stage::resolve;
};

/// Carries an error out of the coroutine; caught in `run`.
struct Failure {
  FetchError::Kind kind;
  std::string reason;
};

std::string host_port(const Url& url) {
  return url.host.contains(':') ? fmt::format("[{}]:{}", url.host, url.port)
                                : fmt::format("{}:{}", url.host, url.port);
}

bool is_literal(const std::string& host) {
  error_code error;
  (void)asio::ip::make_address(host, error);
  return !error;
}

asio::awaitable<std::vector<tcp::endpoint>> resolve(Call& call) {
  call.stage = Stage::resolve;
  const std::string& host = call.options.address.empty() ? call.url.host : call.options.address;
  error_code no_literal;
  const auto literal = asio::ip::make_address(host, no_literal);
  if (!no_literal) co_return std::vector{tcp::endpoint(literal, call.url.port)};
  if (!call.options.address.empty()) {
    throw Failure{FetchError::Kind::malformed, "the address to connect to is none"};
  }
  const auto lookup = Lookup::start(host, call.url.port);
  if (!lookup) throw Failure{FetchError::Kind::resolve, "no descriptor or thread for a look-up"};
  asio::posix::stream_descriptor done(co_await asio::this_coro::executor, dup(lookup->done_fd()));
  co_await done.async_wait(asio::posix::descriptor_base::wait_read, asio::use_awaitable);
  auto found = lookup->found();
  if (!found.error.empty()) throw Failure{FetchError::Kind::resolve, std::move(found.error)};
  co_return std::move(found.endpoints);
}

/// Each address has its share of the time that is left, so that one that does not answer leaves
/// some to the next.
asio::awaitable<void> connect(Call& call, beast::tcp_stream& stream) {
  const auto endpoints = co_await resolve(call);
  call.stage = Stage::connect;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const auto now = Clock::now();
    const auto left = static_cast<Clock::rep>(endpoints.size() - i);
    stream.expires_at(now + (call.deadline - now) / left);
    error_code error;
    co_await stream.async_connect(endpoints[i], asio::redirect_error(asio::use_awaitable, error));
    if (!error) break;
    stream.close();
    if (i + 1 == endpoints.size()) throw system_error(error);
  }
  stream.expires_never();  // the deadline of the whole is `run`'s
}

asio::ssl::context make_tls_context(const FetchOptions& options) {
  asio::ssl::context context(asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  context.set_verify_mode(asio::ssl::verify_peer);
  error_code error;
  if (options.ca_file.empty()) {
    context.set_default_verify_paths(error);
  } else {
    context.load_verify_file(options.ca_file, error);
  }
  if (error) {
    throw Failure{FetchError::Kind::tls,
                  options.ca_file.empty()
                      ? "the system's trust store cannot be read"
                      : fmt::format("no certificates can be read from {}", options.ca_file)};
  }
  return context;
}

/// The certificate must be the URL's host's, whatever address was connected to.
void expect_host(SSL* ssl, const std::string& host) {
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool set = is_literal(host)
                       ? X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1
                       : X509_VERIFY_PARAM_set1_host(param, host.c_str(), host.size()) == 1 &&
                             SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
  if (!set) throw Failure{FetchError::Kind::tls, "the host's name cannot be checked"};
}

asio::awaitable<void> shake_hands(Call& call, asio::ssl::stream<beast::tcp_stream&>& tls) {
  call.stage = Stage::tls;
  expect_host(tls.native_handle(), call.url.host);
  error_code error;
  co_await tls.async_handshake(asio::ssl::stream_base::client,
                               asio::redirect_error(asio::use_awaitable, error));
  if (!error) co_return;
  const long verified = SSL_get_verify_result(tls.native_handle());
  throw Failure{FetchError::Kind::tls,
                verified == X509_V_OK ? error.message() : X509_verify_cert_error_string(verified)};
}

http::request<http::string_body> make_request(const Call& call) {
  http::request<http::string_body> request(call.json ? http::verb::post : http::verb::get,
                                           call.url.path, 11);
  const bool usual = call.url.port == (call.url.tls ? 443 : 80);
  const std::string authority = host_port(call.url);
  request.set(http::field::host, usual ? authority.substr(0, authority.rfind(':')) : authority);
  request.set(http::field::user_agent, call.options.user_agent);
  request.set(http::field::accept, "application/json");
  request.set(http::field::connection, "close");
  if (!call.options.bearer_token.empty()) {
    request.set(http::field::authorization, "Bearer " + call.options.bearer_token);
  }
  if (call.json) {
    request.set(http::field::content_type, "application/json");
    request.body() = *call.json;
    request.prepare_payload();
  }
  return request;
}

/// RFC 9110, section 10.2.3; the form with a date is passed over.
std::optional<std::chrono::seconds> retry_after(const http::response_header<>& response) {
  constexpr unsigned longest = 3'600;
  const auto text = response[http::field::retry_after];
  unsigned seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  if (!whole || seconds > longest) return std::nullopt;
  return std::chrono::seconds(seconds);
}

template <typename Stream>
asio::awaitable<FetchResponse> exchange(Call& call, Stream& stream) {
  call.stage = Stage::exchange;
  const auto request = make_request(call);
  co_await http::async_write(stream, request, asio::use_awaitable);
  beast::flat_buffer buffer;
  for (int interim = 0; interim <= max_interim_answers; ++interim) {
    http::response_parser<http::string_body> parser;
    parser.header_limit(max_header);
    parser.body_limit(call.options.max_body);
    co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
    auto response = parser.release();
    const unsigned status = response.result_int();
    if (status >= 100 && status < 200 && status != 101) continue;
    co_return FetchResponse{.status = status,
                            .body = std::move(response.body()),
                            .date = std::string(response[http::field::date]),
                            .retry_after = retry_after(response)};
  }
  throw Failure{FetchError::Kind::malformed, "interim answers without end"};
}

asio::awaitable<FetchResponse> fetch(Call& call) {
  beast::tcp_stream tcp(co_await asio::this_coro::executor);
  co_await connect(call, tcp);
  if (!call.url.tls) co_return co_await exchange(call, tcp);
  auto context = make_tls_context(call.options);
  asio::ssl::stream<beast::tcp_stream&> tls(tcp, context);
  co_await shake_hands(call, tls);
  co_return co_await exchange(call, tls);
}

FetchError::Kind kind_of(Stage stage, const error_code& error) {
  using Kind = FetchError::Kind;
  if (error == beast::error::timeout || error == asio::error::timed_out) return Kind::timeout;
  if (stage == Stage::resolve) return Kind::resolve;
  if (stage == Stage::connect) return Kind::refused;
  if (error == http::error::body_limit || error == http::error::header_limit ||
      error == http::error::buffer_overflow) {
    return Kind::too_large;
  }
  if (error == http::error::end_of_stream || error == http::error::partial_message) {
    return Kind::closed;
  }
  // What Beast's parser says is about what was read; everything else is about the connection.
  const bool of_parser = error.category() == make_error_code(http::error::bad_version).category();
  return of_parser ? Kind::malformed : Kind::closed;
}

std::string_view what_took_so_long(Stage stage) {
  switch (stage) {
    case Stage::resolve:
      return "no answer from the resolver in time";
    case Stage::connect:
      return "no connection in time";
    case Stage::tls:
      return "no end of the TLS handshake in time";
    case Stage::exchange:
      break;
  }
  return "no complete answer in time";
}

/// The failure of the coroutine, as the caller is told.
Failure explain(const Call& call, const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (Failure& failure) {
    return std::move(failure);
  } catch (const system_error& error) {
    const auto kind = kind_of(call.stage, error.code());
    return {kind, kind == FetchError::Kind::timeout ? std::string(what_took_so_long(call.stage))
                                                    : error.code().message()};
  } catch (const std::exception& error) {
    return {FetchError::Kind::closed, error.what()};
  }
}

/// Letters, digits and punctuation: a line break would end the header and begin another.
bool fits_header(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

std::expected<FetchResponse, Failure> run(Call& call) {
  std::expected<FetchResponse, Failure> result =
      std::unexpected(Failure{FetchError::Kind::timeout, {}});
  asio::io_context context(1);
  asio::posix::stream_descriptor cancel(context);
  if (call.options.cancel_fd >= 0) {
    cancel.assign(dup(call.options.cancel_fd));
    cancel.async_wait(asio::posix::descriptor_base::wait_read, [&](const error_code& error) {
      if (error) return;
      result = std::unexpected(Failure{FetchError::Kind::cancelled, "cancelled"});
      context.stop();
    });
  }
  asio::co_spawn(context, fetch(call),
                 [&](const std::exception_ptr& thrown, FetchResponse response) {
                   if (thrown) {
                     result = std::unexpected(explain(call, thrown));
                   } else {
                     result = std::move(response);
                   }
                   context.stop();
                 });
  context.run_until(call.deadline);
  if (!result && result.error().reason.empty()) {
    result.error().reason = what_took_so_long(call.stage);
  }
  return result;
}

std::expected<FetchResponse, FetchError> run_and_tell(const Url& url, const FetchOptions& options,
                                                      std::optional<std::string_view> json) {
  Call call{
      .url = url, .options = options, .json = json, .deadline = Clock::now() + options.deadline};
  const auto tell = [&url](FetchError::Kind kind, std::string_view reason) {
    return std::unexpected(FetchError{kind, fmt::format("{}: {}", host_port(url), reason)});
  };
  if (!fits_header(options.bearer_token)) {
    return tell(FetchError::Kind::malformed, "the token has a character that no header can carry");
  }
  try {
    auto result = run(call);
    if (result) return std::move(*result);
    return tell(result.error().kind, result.error().reason);
  } catch (const std::exception& error) {  // out of descriptors or memory
    return tell(FetchError::Kind::closed, error.what());
  }
}

}  // namespace

std::expected<FetchResponse, FetchError> get(const Url& url, const FetchOptions& options) {
  return run_and_tell(url, options, std::nullopt);
}

std::expected<FetchResponse, FetchError> post_json(const Url& url, std::string_view body,
                                                   const FetchOptions& options) {
  return run_and_tell(url, options, body);
}

}  // namespace lp::net
