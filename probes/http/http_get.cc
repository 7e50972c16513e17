#include "probes/http/http_get.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>

#include "probes/options/values.h"
#include "probes/target.h"

namespace lp::probe::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bhttp = boost::beast::http;

constexpr std::uint32_t max_header = 8 * 1024;

asio::ip::tcp::endpoint to_asio(const client::Endpoint& endpoint) {
  asio::ip::tcp::endpoint result;
  result.resize(endpoint.size());
  std::memcpy(result.data(), endpoint.address(), endpoint.size());
  return result;
}

template <typename Stream>
asio::awaitable<Answer> exchange(Stream& stream, const Question& question) {
  bhttp::request<bhttp::empty_body> request(bhttp::verb::get, question.path, 11);
  request.set(bhttp::field::host, format_host_port(question.host, question.endpoint.port()));
  request.set(bhttp::field::user_agent, "lp-probe");
  request.set(bhttp::field::accept, "application/json");
  request.set(bhttp::field::connection, "close");
  co_await bhttp::async_write(stream, request, asio::use_awaitable);
  beast::flat_buffer buffer;
  bhttp::response_parser<bhttp::string_body> parser;
  parser.header_limit(max_header);
  parser.body_limit(max_body);
  co_await bhttp::async_read(stream, buffer, parser, asio::use_awaitable);
  auto response = parser.release();
  Answer answer;
  answer.status = response.result_int();
  const auto date = response[bhttp::field::date];
  answer.date = parse_http_date({date.data(), date.size()});
  answer.body = std::move(response.body());
  co_return answer;
}

asio::awaitable<Answer> ask(const Question& question, MonotonicTime deadline) {
  beast::tcp_stream tcp(co_await asio::this_coro::executor);
  tcp.expires_at(deadline);
  co_await tcp.async_connect(to_asio(question.endpoint), asio::use_awaitable);
  if (!question.tls) co_return co_await exchange(tcp, question);
  asio::ssl::context context(asio::ssl::context::tls_client);
  context.set_default_verify_paths();
  asio::ssl::stream<beast::tcp_stream> tls(std::move(tcp), context);
  tls.set_verify_mode(asio::ssl::verify_peer);
  tls.set_verify_callback(asio::ssl::host_name_verification(question.host));
  if (!client::Endpoint::from_literal(question.host, 0)) {
    // SNI; the only failure is lack of memory, which the handshake meets again.
    SSL_set_tlsext_host_name(tls.native_handle(), question.host.c_str());
  }
  co_await tls.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
  co_return co_await exchange(tls, question);
}

ProbeError explain(const Question& question, const boost::system::error_code& error) {
  const auto report = [&](ProbeCode code) {
    return ProbeError{Stage::resolve, code,
                      fmt::format("http{}://{}{}: {}", question.tls ? "s" : "",
                                  format_host_port(question.host, question.endpoint.port()),
                                  question.path, printable(error.message()))};
  };
  if (error == beast::error::timeout || error == asio::error::timed_out) {
    return report(ProbeCode::http_timeout);
  }
  // What Beast's parser says is about what was read; everything else is about getting there.
  if (error.category() == bhttp::make_error_code(bhttp::error::bad_version).category()) {
    return report(ProbeCode::http_invalid);
  }
  return report(ProbeCode::http_unreachable);
}

}  // namespace

Outcome<Answer> http_get(const Question& question, MonotonicTime deadline, int cancel_fd) {
  asio::io_context context(1);
  Outcome<Answer> result = fail(Stage::resolve, ProbeCode::interrupted, "interrupted by a signal");
  asio::posix::stream_descriptor cancel(context);
  try {
    if (cancel_fd >= 0) {
      cancel.assign(dup(cancel_fd));
      cancel.async_wait(asio::posix::stream_descriptor::wait_read,
                        [&](const boost::system::error_code& error) {
                          if (!error) context.stop();
                        });
    }
    asio::co_spawn(context, ask(question, deadline),
                   [&](const std::exception_ptr& failure, Answer answer) {
                     if (!failure) {
                       result = std::move(answer);
                     } else {
                       try {
                         std::rethrow_exception(failure);
                       } catch (const boost::system::system_error& error) {
                         result = std::unexpected(explain(question, error.code()));
                       } catch (const std::exception& error) {
                         result = fail(Stage::resolve, ProbeCode::internal, error.what());
                       }
                     }
                     context.stop();
                   });
    context.run();
  } catch (const std::exception& error) {
    return fail(Stage::resolve, ProbeCode::internal, printable(error.what()));
  }
  return result;
}

std::optional<UnixSeconds> parse_http_date(std::string_view text) {
  // "Sun, 06 Nov 1994 08:49:37 GMT": every field has its place.
  static constexpr std::array<std::string_view, 12> months{
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  static constexpr std::string_view shape = "aaa, dd aaa dddd dd:dd:dd GMT";
  if (text.size() != shape.size()) return std::nullopt;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    const bool fits = shape[i] == 'd' ? digit : shape[i] == 'a' ? !digit : text[i] == shape[i];
    if (!fits) return std::nullopt;
  }
  const auto number = [&](std::size_t at, std::size_t size) {
    return static_cast<unsigned>(
        options::parse_number(text.substr(at, size), 0, 9999).value_or(9999));
  };
  const auto month = std::ranges::find(months, text.substr(8, 3));
  if (month == months.end()) return std::nullopt;
  const std::chrono::year_month_day day(
      std::chrono::year(static_cast<int>(number(12, 4))),
      std::chrono::month(static_cast<unsigned>(month - months.begin()) + 1),
      std::chrono::day(number(5, 2)));
  const unsigned hour = number(17, 2), minute = number(20, 2), second = number(23, 2);
  if (!day.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  const auto days = std::chrono::sys_days(day).time_since_epoch().count();
  if (days < 0) return std::nullopt;
  return static_cast<UnixSeconds>(days) * 86'400 + hour * 3600 + minute * 60 + second;
}

}  // namespace lp::probe::http
