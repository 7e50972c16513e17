// An HTTP/1.1 server for programs that answer strangers: one thread, and limits on everything that
// a client chooses. Target lp_http.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/exit_code.h"
#include "lib/http/message.h"
#include "lib/messages/registration.h"

namespace lp::http {

/// The longest request line with headers that is read.
inline constexpr std::size_t max_header_size = 8 * 1024;

/// Answers requests. What throws is logged and answered 500.
class Handler {
 public:
  using Done = std::move_only_function<void(Answer)>;

  virtual ~Handler() = default;

  /// A request's header is there: either its answer at once, or the size of the body that may
  /// follow (0: none) before `handle` gets the whole. Where there is a body that nobody asked for,
  /// an answer with status 200 becomes 413. Called on the server's thread, must not block.
  [[nodiscard]] virtual std::expected<std::size_t, Answer> begin(const Head& head) = 0;

  /// Calls `done` exactly once, then or later, from any thread. Called on the server's thread, must
  /// not block. A handler whose `begin` always answers needs none.
  virtual void handle(Request request, Done done);
};

/// Files of the server's own, PEM.
struct TlsFiles {
  std::filesystem::path certificate;  ///< with the chain that clients need
  std::filesystem::path key;
};

struct ServerOptions {
  std::string name;  ///< the Server header
  std::string address;
  std::uint16_t port = 0;                      ///< 0: a free one
  std::optional<TlsFiles> tls = std::nullopt;  ///< TLS 1.2 or later on every connection

  /// At the limits a newcomer takes the place of the connection that has made no progress for
  /// longest: with the same address first, then of an address that is not favoured.
  std::size_t max_connections = 256;
  std::size_t max_connections_per_address = 32;  ///< IPv4 /32, IPv6 /64
  /// Addresses whose connections no stranger pushes out. Called on the server's thread.
  std::function<bool(const messages::IpAddress&)> is_favoured = {};
  /// For a whole request, from the moment it is waited for; no trickle of bytes renews it.
  std::chrono::milliseconds read_deadline{10'000};
  std::chrono::milliseconds write_deadline{10'000};  ///< for a whole answer
  int niceness = 0;                                  ///< of the thread, on top of the program's
};

/// Functions may be called from any thread but the server's own. The destructor shuts down.
class Server {
 public:
  virtual ~Server() = default;
  /// "ADDR:PORT" as bound, IPv6 in brackets.
  [[nodiscard]] virtual std::string address() const = 0;
  /// Closes every connection, waits for answers that are being made, and joins the thread. Once is
  /// enough; more do nothing.
  virtual void shut_down() = 0;
};

/// Binds, listens and starts the thread. The refusal names the address or the file. `handler` must
/// outlive the server.
[[nodiscard]] std::expected<std::unique_ptr<Server>, Refusal> start_server(ServerOptions options,
                                                                           Handler& handler);

}  // namespace lp::http
