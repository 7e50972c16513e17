// One HTTP connection: requests in, answers out, until a deadline, an error or the client ends it.
// Used on the server's thread alone.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>

#include <functional>
#include <list>

#include "gateway/http/routes.h"
#include "gateway/http/server.h"
#include "lib/messages/registration.h"

namespace lp::gateway::http {

class Connection;

/// The open connections, the one that has made no progress for longest in front.
class ConnectionTable {
 public:
  ConnectionTable(std::size_t limit, std::size_t limit_per_address)
      : limit_(limit), limit_per_address_(limit_per_address) {}

  /// Makes room where a limit is reached, by closing another connection. False where only
  /// connections of allowed addresses could make room for one that is not.
  [[nodiscard]] bool admit(Connection& connection);
  /// It has made progress: a request has come in or an answer has gone out.
  void touch(Connection& connection) noexcept;
  void remove(Connection& connection) noexcept;
  void close_all() noexcept;

 private:
  void evict(std::list<Connection*>::iterator victim) noexcept;

  std::size_t limit_;
  std::size_t limit_per_address_;
  std::list<Connection*> order_;
};

/// What a connection needs of its server.
struct Service {
  const HttpOptions& options;
  const Routes& routes;
  ConnectionTable& connections;
  /// Whether metrics_allow has the address, as the list is now.
  std::function<bool(const messages::IpAddress&)> is_allowed;
};

class Connection {
 public:
  Connection(boost::asio::ip::tcp::socket socket, const messages::IpAddress& peer,
             Service& service);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Serves until the connection is over.
  boost::asio::awaitable<void> serve();

 private:
  friend class ConnectionTable;
  using RequestHead = boost::beast::http::request<boost::beast::http::empty_body>;

  /// Whether another request may follow.
  boost::asio::awaitable<bool> serve_request();
  boost::asio::awaitable<bool> send(Answer answer, const RequestHead& request, bool keep_alive);
  boost::asio::awaitable<void> close_gently();
  [[nodiscard]] Answer answer(const RequestHead& request) const;

  Service& service_;
  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;
  messages::IpAddress peer_;
  std::list<Connection*>::iterator place_;
  bool listed_ = false;
};

}  // namespace lp::gateway::http
