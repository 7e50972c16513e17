// One HTTP/1.1 GET with a deadline and a limit on what is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/base/clock.h"
#include "probes/client/socket.h"
#include "probes/errors.h"

namespace lp::probe::http {

struct Question {
  client::Endpoint endpoint;
  std::string host;  ///< for the Host header and, with TLS, the certificate
  std::string path;
  bool tls = false;  ///< system trust store, name checked
};

struct Answer {
  unsigned status = 0;
  std::string body;
  std::optional<UnixSeconds> date;  ///< of the Date header, where it can be read
};

inline constexpr std::size_t max_body = 64 * 1024;

/// Asks once; redirects are not followed. Stage resolve: http_timeout, http_unreachable (TCP or TLS
/// failed), http_invalid (no HTTP, or more than `max_body` bytes), interrupted.
[[nodiscard]] Outcome<Answer> http_get(const Question& question, MonotonicTime deadline,
                                       int cancel_fd);

/// The time of an IMF-fixdate (RFC 9110, section 5.6.7), the one form that servers send. Nothing
/// for anything else.
[[nodiscard]] std::optional<UnixSeconds> parse_http_date(std::string_view text);

}  // namespace lp::probe::http
