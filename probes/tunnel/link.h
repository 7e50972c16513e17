// The way into the tunnel: a UDP socket with a WireGuard session over it.
#pragma once

#include <optional>
#include <string>

#include "lib/wireguard/handshake.h"
#include "probes/errors.h"
#include "probes/tunnel/udp_socket.h"

namespace lp::probe::tunnel {

/// Who is at both ends.
struct Peers {
  crypto::X25519KeyPair own;
  crypto::X25519Public gateway;
  Secret<32> preshared;  ///< all zero: none
  /// Preshared keys that a gateway may be using instead, with the names a person is told.
  std::vector<std::pair<std::string, Secret<32>>> others = {};
};

struct HandshakeReport {
  std::chrono::nanoseconds time{};  ///< from the initiation that was answered to its response
  unsigned initiations = 0;         ///< sent
  bool cookie = false;              ///< the gateway was under load and asked for a cookie
};

class Link {
 public:
  /// Stage tunnel: wireguard_unreachable, source_address_unusable, out_of_descriptors.
  [[nodiscard]] static Outcome<Link> open(const client::Endpoint& gateway,
                                          const std::optional<client::Endpoint>& source,
                                          Peers peers, int cancel_fd);

  /// Sends initiations, after each `interval` another, until one is answered, and then a keepalive,
  /// which confirms the session to the gateway. What cannot be taken is dropped and waited past.
  /// Stage tunnel: wireguard_refused, wireguard_unreachable, wireguard_handshake_timeout,
  /// wireguard_under_load, wireguard_response_invalid, interrupted. `report` is filled as far as it
  /// came.
  [[nodiscard]] Outcome<void> perform_handshake(MonotonicTime deadline,
                                                std::chrono::nanoseconds interval,
                                                HandshakeReport& report);

  /// After the handshake. An IP packet into the tunnel; waits for room until the deadline. A
  /// failure is one sentence: the packet is lost.
  [[nodiscard]] std::expected<void, std::string> send(ByteView packet, MonotonicTime deadline);

  enum class Received : std::uint8_t { packet, nothing, interrupted };
  /// The next IP packet out of the tunnel, padding included, good until the next call. `nothing`
  /// once the deadline has come; keepalives and what does not authenticate are passed over.
  [[nodiscard]] Received receive(MonotonicTime deadline, ByteView& packet);

  [[nodiscard]] client::Endpoint local() const { return socket_.local(); }

 private:
  /// What came while the handshake waited, and was of no use.
  struct Unused {
    unsigned datagrams = 0;
    std::optional<wireguard::Refusal> last;
    bool from_gateway = false;  ///< a response to this initiation, that does not authenticate
    std::string fits;           ///< the preshared key that it would fit
  };

  Link(UdpSocket socket, Peers peers, client::Endpoint gateway);

  [[nodiscard]] Outcome<void> send_initiation(MonotonicTime deadline);
  /// Until there is a session or `until` has come.
  [[nodiscard]] Outcome<void> await_response(MonotonicTime until, HandshakeReport& report);
  void take(ByteView datagram, HandshakeReport& report);
  void note_refused(const wireguard::Message& message, wireguard::Refusal refusal);
  [[nodiscard]] ProbeError no_handshake(const HandshakeReport& report) const;
  [[nodiscard]] ProbeError socket_error(const UdpFailure& failure) const;

  UdpSocket socket_;
  client::Endpoint gateway_;
  wireguard::Initiator initiator_;
  std::vector<std::pair<std::string, Secret<32>>> others_;
  std::optional<wireguard::Session> session_;
  Unused unused_;
  Bytes sealed_;
  Bytes opened_;
};

}  // namespace lp::probe::tunnel
