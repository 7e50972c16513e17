// Stands between a storage and its PostgreSQL server, and cuts the connection at a COMMIT.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace lp::gateway::storage::test {

class CuttingProxy {
 public:
  enum class Cut : std::uint8_t {
    never,
    before,  ///< the COMMIT does not reach the server
    after,   ///< the server has carried it out, and its answer does not arrive
  };

  /// Forwards to this port of 127.0.0.1.
  explicit CuttingProxy(std::uint16_t server_port);
  ~CuttingProxy();
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  /// At the next COMMIT, once.
  void arm(Cut cut) noexcept { armed_ = cut; }
  [[nodiscard]] int cuts() const noexcept { return cuts_; }

 private:
  void accept_connections();
  void forward(int client);

  std::uint16_t server_port_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::atomic<Cut> armed_ = Cut::never;
  std::atomic<int> cuts_ = 0;
  std::atomic<bool> stopped_ = false;
  std::vector<std::thread> connections_;
  std::thread accepting_;
};

}  // namespace lp::gateway::storage::test
