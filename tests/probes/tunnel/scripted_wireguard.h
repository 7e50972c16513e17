// The gateway's end of a tunnel, for tests: WireGuard over UDP on loopback with a thread that
// answers pings and DNS inside, and misbehaves on request.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "probes/client/socket.h"
#include "probes/tunnel/ip_packet.h"
#include "tests/lib/wireguard/responder.h"

namespace lp::test {

struct WireguardScript {
  std::uint8_t preshared_fill = 0;  ///< every byte of the preshared key
  std::string address = "127.0.0.1";
  unsigned drop_initiations = 0;  ///< so many are not answered
  bool late_response = false;     ///< the first initiation is answered after the second has come
  bool cookie = false;            ///< an initiation without the right mac2 gets a cookie
  bool cookies_only = false;      ///< and one with it, too
  unsigned junk = 0;              ///< so many datagrams of no use before each response
  bool twice = false;             ///< every datagram is sent twice
  bool forged_first = false;      ///< a response that does not authenticate before the true one
  bool junk_inside = false;       ///< packets that make no sense before each answer inside
  unsigned drop_inside = 0;       ///< so many packets inside are not answered
  bool silent_inside = false;     ///< nothing inside is answered
  std::set<std::string> pingable = {"10.1.0.1", "fc01::1", "192.0.2.1", "2001:db8::1"};
  std::string resolver_v4 = "192.0.2.53";
  std::string resolver_v6 = "2001:db8::53";
  std::uint16_t rcode = 0;
  std::string prohibited = {};  ///< packets to this address get an ICMP error from the gateway
};

class ScriptedWireguard {
 public:
  explicit ScriptedWireguard(WireguardScript script = {});
  ~ScriptedWireguard();

  [[nodiscard]] probe::client::Endpoint endpoint() const;
  [[nodiscard]] const crypto::X25519Public& public_key() const;
  /// Keys of the initiators that were answered, and how many initiations and packets came.
  [[nodiscard]] std::set<crypto::X25519Public> initiators() const;
  [[nodiscard]] unsigned initiations() const;
  [[nodiscard]] unsigned keepalives() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lp::test
