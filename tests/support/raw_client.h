// An LP client for tests, in steps that a test may leave out, repeat, cut up or spoil.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/crypto/keys.h"
#include "lib/messages/registration.h"
#include "lib/session/state_machine.h"
#include "lib/wire/frame_reader.h"
#include "lib/wire/packet.h"

namespace lp::test {

/// A blocking TCP connection. What should come and does not within `patience` counts as not coming;
/// no test waits for that where things are as they should be.
class RawConnection {
 public:
  static constexpr std::chrono::seconds patience{20};

  /// Connects to `host` (a numeric address), from `source` where given. Throws std::system_error.
  RawConnection(const std::string& host, std::uint16_t port,
                const std::optional<std::string>& source = std::nullopt);
  RawConnection(RawConnection&& other) noexcept;
  RawConnection& operator=(RawConnection&& other) noexcept;
  ~RawConnection();

  /// Sends all of it in one call. False where the peer is gone.
  bool send(ByteView bytes);
  /// The same, one segment to each byte.
  bool send_byte_by_byte(ByteView bytes);
  /// The next packet, without its frame length; nothing where the peer closes first.
  [[nodiscard]] std::optional<Bytes> receive_packet();
  /// All bytes until the peer closes or resets; nothing where it does neither.
  [[nodiscard]] std::optional<Bytes> receive_until_closed();
  /// Waits until the peer closes; true where no byte came before that.
  [[nodiscard]] bool closed_without_a_byte();
  /// True where the peer has neither sent a byte nor closed.
  [[nodiscard]] bool silent() const;
  void shut_down_sending();
  /// Closes; with `reset`, so that the peer gets a reset.
  void close(bool reset = false);
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_ = -1;
  wire::FrameReader reader_;
};

/// A frame of the Busy packet, as receive_packet gives it.
[[nodiscard]] bool is_busy(const std::optional<Bytes>& packet);

/// The initiator's side of the protocol: frames to be sent, each made once and in order.
class RawClient {
 public:
  RawClient(const crypto::X25519Public& gateway, UnixSeconds now);

  [[nodiscard]] const wire::ClientHello& hello() const noexcept { return hello_; }
  [[nodiscard]] Bytes client_hello() const;
  [[nodiscard]] Bytes message_1();
  /// From the gateway's message 2, a packet as receive_packet gives it. Throws std::runtime_error
  /// where the packet is refused.
  [[nodiscard]] Bytes message_3(ByteView packet);
  /// An EncryptedData frame.
  [[nodiscard]] Bytes encrypt(ByteView plaintext);
  [[nodiscard]] Bytes request(const messages::RegistrationRequest& request);
  /// The response in a packet. Throws std::runtime_error where it is none.
  [[nodiscard]] messages::RegistrationResponse response(ByteView packet);

  [[nodiscard]] session::StateMachine& machine() noexcept { return machine_; }

 private:
  RawClient(const crypto::X25519Public& gateway, crypto::X25519KeyPair keys, UnixSeconds now);

  wire::ClientHello hello_;
  session::StateMachine machine_;
};

/// `client` brings `connection` through ClientHello and the handshake. False where the gateway
/// closes before.
[[nodiscard]] bool shake_hands(RawConnection& connection, RawClient& client);

/// Sends the request and waits for the response; nothing where the gateway closes first.
[[nodiscard]] std::optional<messages::RegistrationResponse> register_at(
    RawConnection& connection, RawClient& client, const messages::RegistrationRequest& request);

/// A well-formed dVPN request with a fresh WireGuard key and nullifier.
[[nodiscard]] messages::RegistrationRequest dvpn_request(UnixSeconds now);

[[nodiscard]] Bytes concatenate(ByteView a, ByteView b);

}  // namespace lp::test
