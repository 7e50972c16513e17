// Host names to addresses in a thread of their own: getaddrinfo(3) knows no deadline.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace lp::net {

/// One look-up. The thread holds it too and may outlive the caller, until the resolver's own limits
/// end it.
class Lookup {
 public:
  /// Begins; nothing where there is no descriptor or no thread left.
  [[nodiscard]] static std::shared_ptr<Lookup> start(const std::string& host, std::uint16_t port);
  ~Lookup();
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  /// Can be read once the look-up is over. Owned by this object.
  [[nodiscard]] int done_fd() const { return done_fd_; }

  struct Found {
    std::string error;                                      ///< empty: at least one address
    std::vector<boost::asio::ip::tcp::endpoint> endpoints;  ///< in the system's order
  };
  [[nodiscard]] Found found();

 private:
  Lookup(std::string host, std::uint16_t port, int done_fd);
  void run();

  const std::string host_;
  const std::uint16_t port_;
  const int done_fd_;
  std::mutex mutex_;
  Found found_;
};

}  // namespace lp::net
