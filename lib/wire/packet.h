// One packet: header, content, trailer (lp-protocol(7), "Frame and packet").
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/crypto/keys.h"
#include "lib/wire/format.h"

namespace lp::wire {

struct Header {
  std::uint8_t version = protocol_version;
  std::uint32_t session_id = 0;
  std::uint64_t counter = 0;
  MessageType type = MessageType::busy;
};

/// A packet that has been parsed; `content` points into the bytes it was parsed from.
struct PacketView {
  Header header;
  ByteView content;
};

/// The header alone, from the first `header_size` bytes of a packet. Fails with
/// version_unsupported, then message_type_unknown; reserved bytes are ignored.
[[nodiscard]] Result<Header> parse_header(
    std::span<const std::uint8_t, header_size> bytes) noexcept;

/// Header and content of a whole packet without its frame length, of any type and size. In this
/// order: frame_oversize, packet_too_short, version_unsupported, message_type_unknown. For callers
/// whose state decides which type and size may follow.
[[nodiscard]] Result<PacketView> split_packet(ByteView packet) noexcept;

/// The same, and the size that the type itself has: busy_with_content, client_hello_size.
[[nodiscard]] Result<PacketView> parse_packet(ByteView packet) noexcept;

/// Appends frame length, header, `content_size` bytes for the content and the trailer to `out`, and
/// returns the content's place to be filled. `content_size` is at most max_content_size. The view
/// is good until `out` changes.
[[nodiscard]] MutableByteView append_frame(Bytes& out, const Header& header,
                                           std::size_t content_size);

/// A whole frame with this content.
[[nodiscard]] Bytes make_frame(const Header& header, ByteView content);

/// The Busy frame: session id 0, counter 0, no content.
[[nodiscard]] const ByteArray<frame_length_size + min_packet_size>& busy_frame() noexcept;

using Salt = ByteArray<32>;

/// The first, cleartext packet of a connection. On the wire: key ‖ salt; the timestamp is the first
/// 8 bytes of the salt and the version stands in the packet's header.
struct ClientHello {
  crypto::X25519Public client_public_key;
  Salt salt{};
  UnixSeconds timestamp = 0;
  std::uint8_t protocol_version = wire::protocol_version;

  /// A fresh salt for `now`: the time, then 24 random bytes.
  [[nodiscard]] static ClientHello make(const crypto::X25519Public& client_public_key,
                                        UnixSeconds now) noexcept;
  /// Fails with message_type_unexpected where the packet is not a ClientHello, client_hello_size,
  /// session_id_mismatch or counter_unexpected where these are not 0.
  [[nodiscard]] static Result<ClientHello> from_packet(const PacketView& packet) noexcept;
  /// Appends the frame to `out`.
  void append_frame(Bytes& out) const;
};

/// The documents' name of a message type: Busy, Handshake, EncryptedData, ClientHello.
[[nodiscard]] std::string_view name(MessageType type) noexcept;

}  // namespace lp::wire
