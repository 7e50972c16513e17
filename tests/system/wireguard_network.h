// Two network namespaces joined by a veth pair, and wireguard-go in them. The namespaces have no
// names: they go with the processes that are in them, however the test ends.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace lp::test {

/// Runs a program found through PATH. Fails the test, with its error output, where it fails.
std::string run_command(std::vector<std::string> command);

/// A peer as `wg show INTERFACE dump` has it.
struct DumpedPeer {
  std::string preshared_key;  ///< base64, or "(none)"
  std::string endpoint;
  std::string allowed_ips;  ///< "10.1.0.2/32,fd00::2/128"
  std::uint64_t last_handshake = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_bytes = 0;
  std::string keepalive;
};
struct Dump {
  std::string public_key;  ///< base64
  std::string listen_port;
  std::map<std::string, DumpedPeer> peers;  ///< by key in hexadecimal

  /// Only keys and allowed-ips.
  [[nodiscard]] std::map<std::string, std::string> allowed_ips() const;
};

/// wireguard-go with an interface of that name, in the namespace of the thread that starts it.
class WireguardGo {
 public:
  /// `addresses` are the interface's own, "10.1.0.1/16".
  WireguardGo(std::string interface, std::vector<std::string> addresses);
  ~WireguardGo() { stop(); }
  WireguardGo(const WireguardGo&) = delete;
  WireguardGo& operator=(const WireguardGo&) = delete;

  void start();
  void stop();
  [[nodiscard]] Dump dump() const;
  [[nodiscard]] const std::string& interface() const { return interface_; }

 private:
  const std::string interface_;
  const std::vector<std::string> addresses_;
  std::unique_ptr<Child> child_;
};

/// wireguard-go with a wg-quick file's tunnel and addresses, on the interface that the file is
/// named after (INTERFACE.conf). Routes are the caller's.
[[nodiscard]] std::unique_ptr<WireguardGo> bring_up(const std::filesystem::path& wg_config);
/// Gives the file's interface its tunnel again, without the session it had.
void set_tunnel(const std::filesystem::path& wg_config);

/// The test runs in the gateway's namespace.
class WireguardNetwork : public testing::Test {
 protected:
  static constexpr const char* gateway_address = "10.77.0.1";
  static constexpr const char* client_address = "10.77.0.2";

  void SetUp() override;
  void TearDown() override;
  /// Runs `what` in the client's namespace; programs that it starts stay there.
  void as_client(const std::function<void()>& what) const;
  /// A name that no other test uses: the sockets of all namespaces share one directory.
  [[nodiscard]] static std::string interface_name(const std::string& prefix);

 private:
  int home_ = -1;
  int gateway_ = -1;
  int client_ = -1;
};

}  // namespace lp::test
