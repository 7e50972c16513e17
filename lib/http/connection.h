// One HTTP connection: requests in, answers out, until a deadline, an error or the client ends it.
// Used on the server's thread alone.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <cstdint>
#include <list>
#include <memory>

#include "lib/http/server.h"
#include "lib/messages/registration.h"

namespace lp::http {

class Connection;

/// What a connection is at, which decides who makes room for a newcomer.
enum class Stage : std::uint8_t {
  reading,    ///< a request is waited for: it takes as long as the client likes
  answering,  ///< a request is there, and its answer is the server's to give
  draining,   ///< the last answer has gone out; the client has yet to close
};

/// The open connections, the one that has made no progress for longest in front.
class ConnectionTable {
 public:
  explicit ConnectionTable(const ServerOptions& options) : options_(options) {}

  /// Makes room where a limit is reached, by closing another connection: one that is draining, or
  /// else the one that a request is waited for longest. Never one whose request is being answered:
  /// its client has done its part, and the work would be for nothing. False where nobody can make
  /// room; for one of a favoured address only other favoured ones that are being answered cannot.
  [[nodiscard]] bool admit(Connection& connection);
  /// It has made progress, and is at this now.
  void enter(Connection& connection, Stage stage) noexcept;
  void remove(Connection& connection) noexcept;
  void close_all() noexcept;

 private:
  [[nodiscard]] bool is_favoured(const Connection& connection) const;
  /// Of those that `may_go` the one to close first; `order_.end()` where all are being answered.
  template <typename MayGo>
  [[nodiscard]] std::list<Connection*>::iterator find_victim(MayGo may_go);
  void evict(std::list<Connection*>::iterator victim) noexcept;

  const ServerOptions& options_;
  std::list<Connection*> order_;
};

/// What a connection needs of its server.
struct Service {
  const ServerOptions& options;
  Handler& handler;
  ConnectionTable& connections;
};

class Connection {
 public:
  Connection(const messages::IpAddress& peer, Service& service) : service_(service), peer_(peer) {}
  virtual ~Connection() { service_.connections.remove(*this); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Serves until the connection is over.
  virtual boost::asio::awaitable<void> serve() = 0;
  /// What it waits for fails, and its coroutine ends.
  virtual void close() noexcept = 0;

 protected:
  Service& service_;
  messages::IpAddress peer_;

 private:
  friend class ConnectionTable;
  std::list<Connection*>::iterator place_;
  bool listed_ = false;
  Stage stage_ = Stage::reading;
};

/// With `tls`, which must outlive it, over TLS.
[[nodiscard]] std::unique_ptr<Connection> make_connection(boost::asio::ip::tcp::socket socket,
                                                          const messages::IpAddress& peer,
                                                          Service& service,
                                                          boost::asio::ssl::context* tls);

}  // namespace lp::http
