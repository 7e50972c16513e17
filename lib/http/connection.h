// One HTTP connection: requests in, answers out, until a deadline, an error or the client ends it.
// Used on the server's thread alone.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <list>
#include <memory>

#include "lib/http/server.h"
#include "lib/messages/registration.h"

namespace lp::http {

class Connection;

/// The open connections, the one that has made no progress for longest in front.
class ConnectionTable {
 public:
  explicit ConnectionTable(const ServerOptions& options) : options_(options) {}

  /// Makes room where a limit is reached, by closing another connection. False where only
  /// connections of favoured addresses could make room for one that is not.
  [[nodiscard]] bool admit(Connection& connection);
  /// It has made progress: a request has come in or an answer has gone out.
  void touch(Connection& connection) noexcept;
  void remove(Connection& connection) noexcept;
  void close_all() noexcept;

 private:
  [[nodiscard]] bool is_favoured(const Connection& connection) const;
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
};

/// With `tls`, which must outlive it, over TLS.
[[nodiscard]] std::unique_ptr<Connection> make_connection(boost::asio::ip::tcp::socket socket,
                                                          const messages::IpAddress& peer,
                                                          Service& service,
                                                          boost::asio::ssl::context* tls);

}  // namespace lp::http
