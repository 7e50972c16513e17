#include "lib/http/connection.h"

#include <algorithm>
#include <array>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/optional.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "lib/log/log.h"

namespace lp::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using beast::error_code;
using HeadParser = beast::http::request_parser<beast::http::empty_body>;
using BodyParser = beast::http::request_parser<beast::http::string_body>;
using RequestHead = beast::http::request<beast::http::empty_body>;
using TlsStream = asio::ssl::stream<beast::tcp_stream>;

/// The status that answers a request which could not be read; 0 where nobody is left to answer or
/// the time is over.
unsigned status_of(error_code failure) noexcept {
  using beast::http::error;
  if (failure == error::end_of_stream || failure == error::partial_message) return 0;
  if (failure == error::header_limit || failure == error::buffer_overflow) return 431;
  if (failure == error::body_limit) return 413;
  return failure.category() == make_error_code(error::bad_method).category() ? 400 : 0;
}

/// RFC 9112, section 3.2: a request of version 1.1 without exactly one Host is answered 400.
bool has_valid_host(const beast::http::request_header<>& request) {
  const auto hosts = request.count(beast::http::field::host);
  return hosts == 1 || (hosts == 0 && request.version() < 11);
}

bool awaits_continue(const beast::http::request_header<>& request) {
  return request.version() == 11 &&
         beast::iequals(request[beast::http::field::expect], "100-continue");
}

std::string_view view(beast::string_view text) noexcept {
  return {text.data(), text.size()};
}

std::int64_t unix_now() {
  using namespace std::chrono;
  return duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
}

Answer internal_error(const std::exception& failure) {
  log::write_limited(log::Level::error, "http_request", "HTTP request failed",
                     {{"error", failure.what()}});
  return plain(500);
}

/// An answer that another thread makes.
struct PendingAnswer {
  explicit PendingAnswer(const asio::any_io_executor& executor)
      : arrived(executor, asio::steady_timer::time_point::max()) {}
  asio::steady_timer arrived;
  std::optional<Answer> answer;
};

template <typename Stream>
class ConnectionOver final : public Connection {
 public:
  template <typename... Tls>
  ConnectionOver(asio::ip::tcp::socket socket, const messages::IpAddress& peer, Service& service,
                 Tls&... tls)
      : Connection(peer, service), stream_(std::move(socket), tls...), buffer_(max_header_size) {}

  asio::awaitable<void> serve() override;
  void close() noexcept override { transport().close(); }

 private:
  static constexpr bool is_tls = std::is_same_v<Stream, TlsStream>;

  [[nodiscard]] beast::tcp_stream& transport() noexcept { return beast::get_lowest_layer(stream_); }

  /// Whether another request may follow.
  asio::awaitable<bool> serve_request();
  asio::awaitable<bool> serve_with_body(HeadParser& head_parser, std::size_t max_body);
  asio::awaitable<Answer> ask_handler(Request request);
  /// False where it ended: `keep_alive` has been no or the client is gone.
  asio::awaitable<bool> send(Answer answer, const RequestHead& request, bool keep_alive);
  asio::awaitable<void> refuse(unsigned status);
  asio::awaitable<void> close_gently();
  [[nodiscard]] std::expected<std::size_t, Answer> begin(const RequestHead& request) const;

  Stream stream_;
  beast::flat_buffer buffer_;
};

template <typename Stream>
asio::awaitable<void> ConnectionOver<Stream>::serve() {
  if constexpr (is_tls) {
    error_code error;
    transport().expires_after(service_.options.read_deadline);
    co_await stream_.async_handshake(asio::ssl::stream_base::server,
                                     asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
  }
  // Not `while (co_await …)`: what GCC 12 makes of that traps.
  bool more = true;
  while (more)
    more = co_await serve_request();
}

template <typename Stream>
asio::awaitable<bool> ConnectionOver<Stream>::serve_request() {
  HeadParser parser;
  parser.header_limit(max_header_size);
  // A body is judged by its header, below: Beast's limit would end in an error without an answer.
  parser.body_limit(boost::none);
  service_.connections.enter(*this, Stage::reading);
  // A point in time for all the reads that the request takes, which is what cuts a trickle.
  transport().expires_after(service_.options.read_deadline);
  error_code error;
  co_await beast::http::async_read_header(stream_, buffer_, parser,
                                          asio::redirect_error(asio::use_awaitable, error));
  if (error) {
    co_await refuse(status_of(error));
    co_return false;
  }
  const RequestHead& request = parser.get();
  if (!has_valid_host(request)) {
    co_await send(plain(400), request, false);
    co_return false;
  }
  const bool has_body = !parser.is_done();
  std::expected<std::size_t, Answer> begun = begin(request);
  if (begun && (!has_body || *begun > 0)) {
    const std::size_t max_body = *begun;
    co_return co_await serve_with_body(parser, max_body);
  }
  // A body stays unread, so nothing that follows on this connection can be told from it.
  Answer answer = begun ? plain(413) : std::move(begun.error());
  if (has_body && answer.status == 200) answer = plain(413);
  co_return co_await send(std::move(answer), request, !has_body && request.keep_alive());
}

template <typename Stream>
std::expected<std::size_t, Answer> ConnectionOver<Stream>::begin(const RequestHead& request) const {
  try {
    return service_.handler.begin(
        {.method = view(request.method_string()),
         .target = view(request.target()),
         .authorization = view(request[beast::http::field::authorization]),
         .peer = peer_});
  } catch (const std::exception& failure) {
    return std::unexpected(internal_error(failure));
  }
}

template <typename Stream>
asio::awaitable<bool> ConnectionOver<Stream>::serve_with_body(HeadParser& head_parser,
                                                              std::size_t max_body) {
  error_code error;
  if (head_parser.content_length() && *head_parser.content_length() > max_body) {
    co_return co_await send(plain(413), head_parser.get(), false);
  }
  if (!head_parser.is_done() && awaits_continue(head_parser.get())) {
    constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    co_await asio::async_write(stream_, asio::buffer(go_on),
                               asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return false;
  }
  BodyParser parser(std::move(head_parser));
  parser.body_limit(max_body);
  if (!parser.is_done()) {
    co_await beast::http::async_read(stream_, buffer_, parser,
                                     asio::redirect_error(asio::use_awaitable, error));
    if (error) {
      co_await refuse(status_of(error));
      co_return false;
    }
  }
  auto message = parser.release();
  Request request{.method = std::string(view(message.method_string())),
                  .target = std::string(view(message.target())),
                  .authorization = std::string(view(message[beast::http::field::authorization])),
                  .peer = peer_,
                  .body = std::move(message.body())};
  const RequestHead head(std::move(message.base()));
  service_.connections.enter(*this, Stage::answering);
  Answer answer = co_await ask_handler(std::move(request));
  co_return co_await send(std::move(answer), head, head.keep_alive());
}

template <typename Stream>
asio::awaitable<Answer> ConnectionOver<Stream>::ask_handler(Request request) {
  const asio::any_io_executor executor = transport().get_executor();
  const auto pending = std::make_shared<PendingAnswer>(executor);
  try {
    service_.handler.handle(std::move(request), [pending, work = asio::make_work_guard(executor)](
                                                    Answer answer) mutable {
      asio::post(work.get_executor(), [pending, answer = std::move(answer)]() mutable {
        pending->answer = std::move(answer);
        pending->arrived.cancel();
      });
    });
  } catch (const std::exception& failure) {
    co_return internal_error(failure);
  }
  error_code cancelled;
  co_await pending->arrived.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  co_return *std::move(pending->answer);
}

template <typename Stream>
asio::awaitable<void> ConnectionOver<Stream>::refuse(unsigned status) {
  if (status == 0) co_return;
  const RequestHead unread;
  co_await send(plain(status), unread, false);
}

template <typename Stream>
asio::awaitable<bool> ConnectionOver<Stream>::send(Answer answer, const RequestHead& request,
                                                   bool keep_alive) {
  beast::http::response<beast::http::string_body> response;
  response.result(answer.status);
  response.version(request.version());
  response.set(beast::http::field::server, service_.options.name);
  response.set(beast::http::field::date, http_date(unix_now()));
  response.set(beast::http::field::content_type, answer.content_type);
  response.set(beast::http::field::cache_control, "no-store");
  if (!answer.allow.empty()) response.set(beast::http::field::allow, answer.allow);
  if (!answer.authenticate.empty()) {
    response.set(beast::http::field::www_authenticate, answer.authenticate);
  }
  if (answer.retry_after.count() > 0) {
    response.set(beast::http::field::retry_after, std::to_string(answer.retry_after.count()));
  }
  response.keep_alive(keep_alive);
  response.body() = std::move(answer.body);
  response.prepare_payload();

  // What fits into the socket's buffer reaches the client also where the connection makes room now;
  // a client that does not take more makes room like one that does not ask.
  service_.connections.enter(*this, keep_alive ? Stage::reading : Stage::draining);
  transport().expires_after(service_.options.write_deadline);
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
template <typename Stream>
asio::awaitable<void> ConnectionOver<Stream>::close_gently() {
  constexpr std::chrono::milliseconds patience{2'000};
  constexpr std::size_t max_discarded = 64 * 1024;
  error_code error;
  transport().expires_after(std::min(patience, service_.options.read_deadline));
  if constexpr (is_tls) {
    co_await stream_.async_shutdown(asio::redirect_error(asio::use_awaitable, error));
  }
  transport().socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
  std::array<char, 2048> discarded;
  std::size_t total = 0;
  while (!error && total < max_discarded) {
    const std::size_t size = co_await transport().async_read_some(
        asio::buffer(discarded), asio::redirect_error(asio::use_awaitable, error));
    total += size;
  }
}

}  // namespace

void Handler::handle(Request, Done done) {
  done(plain(500));
}

std::unique_ptr<Connection> make_connection(asio::ip::tcp::socket socket,
                                            const messages::IpAddress& peer, Service& service,
                                            asio::ssl::context* tls) {
  if (tls != nullptr) {
    return std::make_unique<ConnectionOver<TlsStream>>(std::move(socket), peer, service, *tls);
  }
  return std::make_unique<ConnectionOver<beast::tcp_stream>>(std::move(socket), peer, service);
}

}  // namespace lp::http
