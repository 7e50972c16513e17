// One HTTP request to a server that is not trusted: a chain's REST endpoint, an issuer. Bounded in
// time and size, redirects never followed. A library of its own (lp_net): the protocol library does
// no I/O.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace lp::net {

/// An http:// or https:// URL, taken apart. No user information, no fragment.
struct Url {
  bool tls = false;
  std::string host;  ///< IPv6 without brackets
  std::uint16_t port = 0;
  std::string path;  ///< begins with '/', with the query; may be a base that paths are added to

  /// Nothing but what the grammar of RFC 3986 allows; the error says what is wrong with it.
  [[nodiscard]] static std::expected<Url, std::string> parse(std::string_view text);
  /// True where the host is a loopback address or "localhost".
  [[nodiscard]] bool is_loopback() const;
  [[nodiscard]] std::string to_string() const;
};

struct FetchOptions {
  std::chrono::milliseconds deadline{5'000};  ///< for all of it: resolve, connect, TLS, answer
  std::size_t max_body = 1024 * 1024;
  std::string ca_file = {};       ///< PEM; empty: the system's trust store
  std::string bearer_token = {};  ///< sent as Authorization where not empty; never logged
  std::string user_agent = "lp-tools";
  /// A literal address to connect to, IPv6 with an optional zone, where the caller has looked up
  /// the host. Empty: the addresses of the URL's host, one after another.
  std::string address = {};
  int cancel_fd = -1;  ///< ends the call with `cancelled` once it can be read; -1: none
};

struct FetchResponse {
  unsigned status = 0;  ///< also 3xx, 4xx, 5xx: judging it is the caller's business
  std::string body;
  std::string date;  ///< the Date header as it came
  /// The Retry-After header where it has a number of seconds, up to an hour.
  std::optional<std::chrono::seconds> retry_after;
};

struct FetchError {
  enum class Kind : std::uint8_t {
    resolve,    ///< the host has no address
    refused,    ///< no TCP connection
    timeout,    ///< the deadline has come
    tls,        ///< no TLS, or a certificate that is not trusted or another host's
    too_large,  ///< header or body over their limit
    malformed,  ///< no HTTP; or a request that cannot be made, such as a token with a line break
    closed,     ///< the connection ended before the answer did
    cancelled   ///< cancel_fd
  };
  Kind kind = Kind::closed;
  std::string detail;  ///< names host and port
};

/// Blocks the calling thread, at most the deadline. Any number of threads may fetch at once.
[[nodiscard]] std::expected<FetchResponse, FetchError> get(const Url& url,
                                                           const FetchOptions& options = {});
/// POST of a JSON body.
[[nodiscard]] std::expected<FetchResponse, FetchError> post_json(const Url& url,
                                                                 std::string_view body,
                                                                 const FetchOptions& options = {});

}  // namespace lp::net
