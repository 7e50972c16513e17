// A small gateway for tests of clients: it speaks LP with the library's responder, on 127.0.0.1,
// and misbehaves on request.
//
//   ScriptedGateway gateway({.fault = Fault::half_message_2});
//   … a client connects to gateway.port() as gateway.identity() …
//
// It registers nobody: every request is answered with the script's response.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/crypto/keys.h"
#include "lib/messages/registration.h"

namespace lp::test {

/// What goes wrong, in the order in which a connection can show it.
enum class Fault : std::uint8_t {
  none,
  // in place of an answer to ClientHello and message 1
  busy,               ///< a Busy packet at once, then close without reading
  busy_with_content,  ///< a Busy packet that carries a byte
  close_on_accept,    ///< closed before anything is read
  close_after_hello,  ///< everything is read, nothing answered
  silence,            ///< nothing is answered, the connection stays
  speak_http,         ///< "HTTP/1.1 400 Bad Request"
  short_packet,       ///< a frame of 33 bytes
  // message 2 is
  version_2,
  unknown_type,
  encrypted_type,     ///< of type EncryptedData
  long_message_2,     ///< one byte longer
  half_message_2,     ///< cut in half, then closed
  stalled_message_2,  ///< cut in half, and the connection stays
  other_session_id,
  other_counter,
  corrupt_message_2,  ///< one bit of its tag is flipped
  // after message 3 and the request
  close_after_request,
  silence_after_request,
  half_response,       ///< cut in half, then closed
  stalled_response,    ///< cut in half, and the connection stays
  response_in_pieces,  ///< whole, a byte at a time
  corrupt_response,    ///< one bit of its ciphertext is flipped
  response_other_session_id,
  response_low_counter,    ///< of the handshake's
  many_other_session_ids,  ///< 17 packets that have to be dropped, then the right one
  dropped_then_response,   ///< one packet that has to be dropped, then the right one
  handshake_type_response,
  busy_after_request,
  // the response is
  refusal,  ///< success = false with the script's sentence
  refusal_without_text,
  no_gateway_data,
  zero_gateway_key,
  zero_endpoint_port,
  not_a_response,  ///< plaintext that does not decode
};

struct Script {
  Fault fault = Fault::none;
  std::string sentence = {};  ///< for Fault::refusal
  /// The fault shows on every n-th connection only; 1 is every one.
  unsigned every = 1;
};

class ScriptedGateway {
 public:
  /// Listens on `address` (127.0.0.1 or ::1) and a free port. Throws where that fails.
  explicit ScriptedGateway(Script script = {}, const std::string& address = "127.0.0.1");
  ~ScriptedGateway();
  ScriptedGateway(const ScriptedGateway&) = delete;
  ScriptedGateway& operator=(const ScriptedGateway&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] const crypto::Identity& identity() const;
  [[nodiscard]] crypto::X25519Public lp_key() const;
  /// IDENTITY@127.0.0.1:PORT.
  [[nodiscard]] std::string target() const;

  /// Requests decrypted and decoded so far.
  [[nodiscard]] std::vector<messages::RegistrationRequest> requests() const;
  /// LP keys of ClientHellos so far.
  [[nodiscard]] std::vector<crypto::X25519Public> client_keys() const;
  /// Connections accepted so far.
  [[nodiscard]] std::size_t connections() const;
  /// Bytes that the first read of the last connection returned.
  [[nodiscard]] std::size_t first_read_size() const;
  /// What a registration is answered with.
  [[nodiscard]] static messages::RegistrationResponse good_response(const messages::Mode& mode);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace lp::test
