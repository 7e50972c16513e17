#include "gateway/http/connection.h"

#include <fmt/format.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/optional.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <utility>

#include "gateway/config/log.h"

namespace lp::gateway::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using beast::error_code;
using Parser = beast::http::request_parser<beast::http::empty_body>;

/// The status that answers a request which could not be read; 0 where nobody is left to answer or
/// the time is over.
unsigned status_of(error_code failure) noexcept {
  using beast::http::error;
  if (failure == error::end_of_stream || failure == error::partial_message) return 0;
  if (failure == error::header_limit || failure == error::buffer_overflow) return 431;
  return failure.category() == make_error_code(error::bad_method).category() ? 400 : 0;
}

/// RFC 9112, section 3.2: a request of version 1.1 without exactly one Host is answered 400.
bool has_valid_host(const beast::http::request_header<>& request) {
  const auto hosts = request.count(beast::http::field::host);
  return hosts == 1 || (hosts == 0 && request.version() < 11);
}

std::int64_t unix_now() {
  using namespace std::chrono;
  return duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, const messages::IpAddress& peer,
                       Service& service)
    : service_(service), stream_(std::move(socket)), buffer_(max_header_size), peer_(peer) {}

Connection::~Connection() {
  service_.connections.remove(*this);
}

asio::awaitable<void> Connection::serve() {
  // Not `while (co_await …)`: what GCC 12 makes of that traps.
  bool more = true;
  while (more)
    more = co_await serve_request();
}

asio::awaitable<bool> Connection::serve_request() {
  Parser parser;
  parser.header_limit(max_header_size);
  // A body is judged by its header, below: Beast's limit would end in an error without an answer.
  parser.body_limit(boost::none);
  service_.connections.touch(*this);
  // A point in time for all the reads that the header takes, which is what cuts a trickle.
  stream_.expires_after(service_.options.read_deadline);
  error_code error;
  co_await beast::http::async_read_header(stream_, buffer_, parser,
                                          asio::redirect_error(asio::use_awaitable, error));
  const RequestHead& request = parser.get();
  if (error) {
    const unsigned status = status_of(error);
    if (status == 0) co_return false;
    const RequestHead unread;
    co_await send(plain(status), unread, false);
    co_return false;
  }
  if (!has_valid_host(request)) {
    co_await send(plain(400), request, false);
    co_return false;
  }
  Answer reply = answer(request);
  // A body stays unread, so nothing that follows on this connection can be told from it.
  const bool has_body = !parser.is_done();
  if (has_body && reply.status == 200) reply = plain(413);
  co_return co_await send(std::move(reply), request, !has_body && request.keep_alive());
}

Answer Connection::answer(const RequestHead& request) const {
  try {
    const auto method = request.method_string();
    const auto target = request.target();
    return service_.routes.answer({.method = {method.data(), method.size()},
                                   .target = {target.data(), target.size()},
                                   .allowed = service_.is_allowed(peer_)});
  } catch (const std::exception& failure) {
    log::write_limited(log::Level::error, "http_request",
                       fmt::format("HTTP request failed: {}", failure.what()));
    return plain(500);
  }
}

asio::awaitable<bool> Connection::send(Answer answer, const RequestHead& request, bool keep_alive) {
  beast::http::response<beast::http::string_body> response;
  response.result(answer.status);
  response.version(request.version());
  response.set(beast::http::field::server, "lp-gateway");
  response.set(beast::http::field::date, http_date(unix_now()));
  response.set(beast::http::field::content_type, answer.content_type);
  response.set(beast::http::field::cache_control, "no-store");
  if (!answer.allow.empty()) response.set(beast::http::field::allow, answer.allow);
  response.keep_alive(keep_alive);
  response.body() = std::move(answer.body);
  response.prepare_payload();

  service_.connections.touch(*this);
  stream_.expires_after(service_.options.write_deadline);
  error_code error;
  beast::http::response_serializer<beast::http::string_body> serializer(response);
  if (request.method() == beast::http::verb::head) {
    serializer.split(true);
    co_await beast::http::async_write_header(stream_, serializer,
                                             asio::redirect_error(asio::use_awaitable, error));
  } else {
    co_await beast::http::async_write(stream_, serializer,
                                      asio::redirect_error(asio::use_awaitable, error));
  }
  if (error) co_return false;
  if (!keep_alive) co_await close_gently();
  co_return keep_alive;
}

/// Closing a socket with unread input resets the connection, and the reset may overtake the answer.
/// So what the client still sends is read and thrown away, within bounds.
asio::awaitable<void> Connection::close_gently() {
  constexpr std::chrono::milliseconds patience{2'000};
  constexpr std::size_t max_discarded = 64 * 1024;
  error_code error;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
  stream_.expires_after(std::min(patience, service_.options.read_deadline));
  std::array<char, 2048> discarded;
  std::size_t total = 0;
  while (!error && total < max_discarded) {
    const std::size_t size = co_await stream_.async_read_some(
        asio::buffer(discarded), asio::redirect_error(asio::use_awaitable, error));
    total += size;
  }
}

}  // namespace lp::gateway::http
