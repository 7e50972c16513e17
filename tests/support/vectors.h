// The test vectors of LP version 1 (tests/vectors/lp-v1.json), as values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/crypto/keys.h"
#include "lib/messages/registration.h"
#include "lib/replay/window.h"
#include "lib/wire/packet.h"

namespace lp::test {

struct Blake3Vector {
  Bytes input;
  std::string context;
  ByteArray<32> hash{};
  ByteArray<32> derived_key{};
};

struct FrameVector {
  bool from_client = false;
  std::uint32_t session_id = 0;
  std::uint64_t counter = 0;
  std::optional<Bytes> plaintext;  ///< of EncryptedData
  Bytes frame;                     ///< frame length included

  [[nodiscard]] ByteView packet() const noexcept {
    return ByteView(frame).subspan(wire::frame_length_size);
  }
};

struct HandshakeVector {
  ByteArray<32> gateway_seed{};
  crypto::Identity gateway_identity;
  std::string gateway_identity_base58;
  ByteArray<32> gateway_secret{};
  crypto::X25519Public gateway_public;
  ByteArray<32> client_secret{};
  crypto::X25519Public client_public;
  std::string client_public_base58;
  ByteArray<32> initiator_ephemeral{};
  ByteArray<32> responder_ephemeral{};
  wire::Salt salt{};
  ByteArray<32> psk{};
  std::uint32_t lp_id = 0;
  ByteArray<32> handshake_hash{};
  Bytes noise_message_1;
  Bytes noise_message_2;
  Bytes noise_message_3;
  std::vector<FrameVector> frames;  ///< in the order sent; ClientHello first

  [[nodiscard]] crypto::X25519KeyPair gateway() const;
  [[nodiscard]] crypto::X25519KeyPair client() const;
  [[nodiscard]] crypto::X25519KeyPair initiator_ephemeral_pair() const;
  [[nodiscard]] crypto::X25519KeyPair responder_ephemeral_pair() const;

  // The places of the handshake's packets in `frames`; EncryptedData follows.
  static constexpr std::size_t client_hello = 0;
  static constexpr std::size_t message_1 = 1;
  static constexpr std::size_t message_2 = 2;
  static constexpr std::size_t message_3 = 3;
  static constexpr std::size_t first_transport = 4;
};

struct LpIdVector {
  crypto::X25519Public a;
  crypto::X25519Public b;
  std::uint32_t lp_id = 0;
};

struct OddPacketVector {
  std::string name;
  Bytes packet;
};

struct RequestVector {
  messages::RegistrationRequest value;
  Bytes bincode;
};

struct ResponseVector {
  messages::RegistrationResponse value;
  Bytes bincode;
};

struct ReplayVector {
  std::string kind;
  std::vector<std::uint64_t> counters;
  std::vector<replay::Verdict> verdicts;
};

struct Vectors {
  std::vector<Blake3Vector> blake3;
  Bytes busy_frame;
  std::vector<HandshakeVector> handshakes;
  std::vector<LpIdVector> lp_ids;
  std::vector<OddPacketVector> odd_packets;
  std::vector<RequestVector> requests;
  std::vector<ResponseVector> responses;
  std::vector<ReplayVector> replay;
};

/// Loaded once. Ends the program with a message where the file cannot be read: no test could go on.
[[nodiscard]] const Vectors& lp_v1();

}  // namespace lp::test
