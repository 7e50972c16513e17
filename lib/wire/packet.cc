#include "lib/wire/packet.h"

#include <algorithm>

#include "lib/crypto/random.h"

namespace lp::wire {
namespace {

constexpr std::size_t key_size = 32;
constexpr std::size_t timestamp_size = sizeof(UnixSeconds);

bool is_known(std::uint16_t type) noexcept {
  switch (static_cast<MessageType>(type)) {
    case MessageType::busy:
    case MessageType::handshake:
    case MessageType::encrypted_data:
    case MessageType::client_hello:
      return true;
  }
  return false;
}

}  // namespace

Result<Header> parse_header(std::span<const std::uint8_t, header_size> bytes) noexcept {
  Header header;
  header.version = bytes[version_offset];
  if (header.version != protocol_version) return fail(Error::version_unsupported);
  const auto type = load_le<std::uint16_t>(bytes.data() + type_offset);
  if (!is_known(type)) return fail(Error::message_type_unknown);
  header.type = static_cast<MessageType>(type);
  header.session_id = load_le<std::uint32_t>(bytes.data() + session_id_offset);
  header.counter = load_le<std::uint64_t>(bytes.data() + counter_offset);
  return header;
}

Result<PacketView> split_packet(ByteView packet) noexcept {
  if (packet.size() > max_packet_size) return fail(Error::frame_oversize);
  if (packet.size() < min_packet_size) return fail(Error::packet_too_short);
  const auto header = parse_header(packet.first<header_size>());
  if (!header) return fail(header.error());
  return PacketView{*header, packet.subspan(header_size, packet.size() - min_packet_size)};
}

Result<PacketView> parse_packet(ByteView packet) noexcept {
  auto view = split_packet(packet);
  if (!view) return view;
  if (view->header.type == MessageType::busy && !view->content.empty()) {
    return fail(Error::busy_with_content);
  }
  if (view->header.type == MessageType::client_hello &&
      view->content.size() != client_hello_content_size) {
    return fail(Error::client_hello_size);
  }
  return view;
}

MutableByteView append_frame(Bytes& out, const Header& header, std::size_t content_size) {
  const std::size_t begin = out.size();
  const std::size_t packet_size = min_packet_size + content_size;
  out.resize(begin + frame_length_size + packet_size);  // reserved bytes and trailer: zero

  std::uint8_t* const frame = out.data() + begin;
  store_be(frame, static_cast<std::uint32_t>(packet_size));
  std::uint8_t* const packet = frame + frame_length_size;
  packet[version_offset] = header.version;
  store_le(packet + session_id_offset, header.session_id);
  store_le(packet + counter_offset, header.counter);
  store_le(packet + type_offset, static_cast<std::uint16_t>(header.type));
  return {packet + header_size, content_size};
}

Bytes make_frame(const Header& header, ByteView content) {
  Bytes frame;
  std::ranges::copy(content, append_frame(frame, header, content.size()).begin());
  return frame;
}

const ByteArray<frame_length_size + min_packet_size>& busy_frame() noexcept {
  static constexpr auto frame = [] {
    ByteArray<frame_length_size + min_packet_size> bytes{};
    store_be(bytes.data(), static_cast<std::uint32_t>(min_packet_size));
    bytes[frame_length_size + version_offset] = protocol_version;
    return bytes;
  }();
  static_assert(static_cast<std::uint16_t>(MessageType::busy) == 0);
  return frame;
}

ClientHello ClientHello::make(const crypto::X25519Public& client_public_key,
                              UnixSeconds now) noexcept {
  ClientHello hello;
  hello.client_public_key = client_public_key;
  hello.timestamp = now;
  store_le(hello.salt.data(), now);
  crypto::random_bytes(MutableByteView(hello.salt).subspan(timestamp_size));
  return hello;
}

Result<ClientHello> ClientHello::from_packet(const PacketView& packet) noexcept {
  if (packet.header.type != MessageType::client_hello) return fail(Error::message_type_unexpected);
  if (packet.content.size() != client_hello_content_size) return fail(Error::client_hello_size);
  if (packet.header.session_id != 0) return fail(Error::session_id_mismatch);
  if (packet.header.counter != 0) return fail(Error::counter_unexpected);

  ClientHello hello;
  hello.client_public_key.bytes = to_array<key_size>(packet.content);
  hello.salt = to_array<std::tuple_size_v<Salt>>(packet.content.subspan(key_size));
  hello.timestamp = load_le<UnixSeconds>(hello.salt.data());
  hello.protocol_version = packet.header.version;
  return hello;
}

void ClientHello::append_frame(Bytes& out) const {
  const Header header{.version = protocol_version, .type = MessageType::client_hello};
  const MutableByteView content = wire::append_frame(out, header, client_hello_content_size);
  std::ranges::copy(client_public_key.bytes, content.begin());
  std::ranges::copy(salt, content.begin() + key_size);
}

std::string_view name(MessageType type) noexcept {
  switch (type) {
    case MessageType::busy:
      return "Busy";
    case MessageType::handshake:
      return "Handshake";
    case MessageType::encrypted_data:
      return "EncryptedData";
    case MessageType::client_hello:
      return "ClientHello";
  }
  return "unknown";
}

}  // namespace lp::wire
