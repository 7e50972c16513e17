// The LP listener and its connections (docs/gateway.md, "One connection").
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/config/settings.h"
#include "gateway/metrics/metrics.h"
#include "gateway/registration/registrar.h"
#include "gateway/storage/storage.h"
#include "lib/base/clock.h"
#include "lib/crypto/keys.h"

namespace lp::gateway::connection {

struct ServerOptions {
  std::vector<std::string> bind_addresses;
  std::uint16_t port = 0;  ///< 0: a free one, the same on every address
  unsigned threads = 1;    ///< I/O threads
  std::uint32_t client_hello_cache_entries = 1'000'000;
  bool record_sessions = false;
};

/// What cannot be bound or started: `address` and errno's text.
struct ServerError {
  std::string detail;
  int error_number = 0;
};

/// Accepts connections and carries each from ClientHello to its answer, on its own threads.
class Server {
 public:
  virtual ~Server() = default;
  /// "ADDR:PORT" of the first bind address, as bound.
  [[nodiscard]] virtual std::string address() const = 0;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  /// Limits, tolerance and deadlines for connections accepted from now on. Any thread.
  virtual void reload(const ReloadableSettings& settings) = 0;
  [[nodiscard]] virtual std::size_t active_connections() const = 0;
  /// Stops accepting and cuts every deadline to at most `grace` from now; returns once the last
  /// connection has ended or `grace` is over, whichever is first, with the threads joined.
  virtual void shut_down(std::chrono::milliseconds grace) = 0;
};

/// Binds, listens and starts. `static_keys` is the gateway's X25519 pair; references must outlive
/// the server.
[[nodiscard]] std::expected<std::unique_ptr<Server>, ServerError> start_server(
    const ServerOptions& options, const ReloadableSettings& settings,
    const crypto::X25519KeyPair& static_keys, registration::Registrar& registrar,
    storage::Storage& storage, const WallClock& clock, metrics::Metrics& metrics);

}  // namespace lp::gateway::connection
