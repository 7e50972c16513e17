// A server of 127.0.0.1 that does to each connection what a test says, byte for byte, with or
// without TLS.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tests/lib/net/certificates.h"

namespace lp::test {

class ScriptedServer {
 public:
  class Connection {
   public:
    virtual ~Connection() = default;
    /// Header and body of a request; what there was of it where the client went.
    virtual std::string read_request() = 0;
    /// False once the client has gone or the server is to end.
    virtual bool send(std::string_view bytes) = 0;
    /// Until the client goes or the server is to end.
    virtual void hang() = 0;
    /// Waits; false where the server is to end.
    virtual bool pause(std::chrono::milliseconds time) = 0;
  };
  /// Runs in a thread for each connection, which is closed after it.
  using Script = std::function<void(Connection&)>;

  /// Throws where it cannot listen.
  explicit ScriptedServer(Script script, std::optional<Certificate> certificate = std::nullopt);
  /// Ends all connections.
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  /// For connections from now on.
  void set_script(Script script);
  /// Connections so far.
  [[nodiscard]] int connections() const;
  /// The most there were at one time.
  [[nodiscard]] int most_at_once() const;
  /// Waits until there were that many.
  void wait_for_connections(int count) const;

  /// Reads the request and answers it with this.
  [[nodiscard]] static Script answer(std::string response);
  /// A whole response with this body.
  [[nodiscard]] static std::string response(std::string_view body,
                                            std::string_view status = "200 OK");

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lp::test
