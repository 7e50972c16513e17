// What goes in and out of the HTTP server.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/messages/registration.h"

namespace lp::http {

/// A request's line and headers. What it views is good during the call that it is given to.
struct Head {
  std::string_view method;
  std::string_view target;  ///< as in the request line
  std::string_view authorization;
  messages::IpAddress peer;  ///< IPv4 mapped into IPv6 as IPv4
};

/// A request with its body.
struct Request {
  std::string method;
  std::string target;
  std::string authorization;
  messages::IpAddress peer;
  std::string body;
};

struct Answer {
  unsigned status = 200;
  std::string_view content_type{};
  std::string body{};
  std::string_view allow{};            ///< the Allow header, with 405
  std::string_view authenticate{};     ///< the WWW-Authenticate header, with 401
  std::chrono::seconds retry_after{};  ///< the Retry-After header, with 503; 0: none
};

inline constexpr std::string_view text_type = "text/plain; charset=utf-8";
inline constexpr std::string_view json_type = "application/json";

/// The answer that consists of its status: the reason phrase as text.
[[nodiscard]] Answer plain(unsigned status);

/// "Sun, 06 Nov 1994 08:49:37 GMT", whatever the locale.
[[nodiscard]] std::string http_date(std::int64_t unix_seconds);

/// The path of a request target: without the query, and without scheme and authority where a
/// client sends its target in absolute form, as RFC 9112, section 3.2.2, has every server accept.
[[nodiscard]] std::string_view path_of(std::string_view target) noexcept;

}  // namespace lp::http
