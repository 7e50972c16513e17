#include "probes/http/http_get.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "lib/net/fetch.h"
#include "probes/options/values.h"

namespace lp::probe::http {
namespace {

ProbeCode code_of(net::FetchError::Kind kind) {
  using Kind = net::FetchError::Kind;
  switch (kind) {
    case Kind::timeout:
      return ProbeCode::http_timeout;
    case Kind::malformed:
    case Kind::too_large:
      return ProbeCode::http_invalid;
    case Kind::cancelled:
      return ProbeCode::interrupted;
    case Kind::resolve:
    case Kind::refused:
    case Kind::tls:
    case Kind::closed:
      break;
  }
  return ProbeCode::http_unreachable;
}

}  // namespace

Outcome<Answer> http_get(const Question& question, MonotonicTime deadline, int cancel_fd) {
  const net::Url url{question.tls, question.host, question.endpoint.port(), question.path};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      deadline - std::min(deadline, std::chrono::steady_clock::now()));
  net::FetchOptions options;
  options.deadline = left;
  options.max_body = max_body;
  options.user_agent = "lp-probe";
  options.address = question.endpoint.host();
  options.cancel_fd = cancel_fd;
  auto response = net::get(url, options);
  if (!response) {
    return fail(Stage::resolve, code_of(response.error().kind),
                printable(question.path + ": " + response.error().detail));
  }
  return Answer{response->status, std::move(response->body), parse_http_date(response->date)};
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
