// Offsets and sizes of LP version 1, in one place; lp-protocol(7) is the page that goes with it.
// Source: lp-protocol(7), "Frame and packet", "ClientHello" and "Handshake".
#pragma once

#include <cstddef>
#include <cstdint>

namespace lp::wire {

inline constexpr std::uint16_t default_port = 41264;
inline constexpr std::uint8_t protocol_version = 1;

/// A frame is a u32 big-endian length followed by that many bytes of packet.
inline constexpr std::size_t frame_length_size = 4;
inline constexpr std::size_t max_packet_size = 65'536;

inline constexpr std::size_t version_offset = 0;
inline constexpr std::size_t reserved_offset = 1;    // 3 bytes, sent 0, ignored
inline constexpr std::size_t session_id_offset = 4;  // u32 little-endian
inline constexpr std::size_t counter_offset = 8;     // u64 little-endian
inline constexpr std::size_t type_offset = 16;       // u16 little-endian
inline constexpr std::size_t header_size = 18;
inline constexpr std::size_t trailer_size = 16;  // sent 0, ignored
inline constexpr std::size_t min_packet_size = header_size + trailer_size;
inline constexpr std::size_t max_content_size = max_packet_size - min_packet_size;

enum class MessageType : std::uint16_t {
  busy = 0,
  handshake = 1,
  encrypted_data = 2,
  client_hello = 3
};

inline constexpr std::size_t client_hello_content_size = 64;
inline constexpr std::size_t noise_message_1_size = 48;  // e, es
inline constexpr std::size_t noise_message_2_size = 48;  // e, ee
inline constexpr std::size_t noise_message_3_size = 64;  // s, se, psk
inline constexpr std::size_t aead_tag_size = 16;

inline constexpr std::size_t client_hello_packet_size = min_packet_size + client_hello_content_size;
inline constexpr std::size_t message_1_packet_size = min_packet_size + noise_message_1_size;
inline constexpr std::size_t message_2_packet_size = min_packet_size + noise_message_2_size;
inline constexpr std::size_t message_3_packet_size = min_packet_size + noise_message_3_size;
static_assert(client_hello_packet_size == 98 && message_1_packet_size == 82 &&
              message_2_packet_size == 82 && message_3_packet_size == 98 && min_packet_size == 34);

/// Handshake packets each side sends; its first transport packet has this counter and nonce 0.
inline constexpr std::uint64_t client_handshake_packets = 2;
inline constexpr std::uint64_t gateway_handshake_packets = 1;

}  // namespace lp::wire
