#include "lib/wireguard/messages.h"

#include <algorithm>
#include <optional>
#include <string_view>

namespace lp::wireguard {
namespace {

constexpr std::uint8_t type_initiation = 1;
constexpr std::uint8_t type_response = 2;
constexpr std::uint8_t type_cookie_reply = 3;
constexpr std::uint8_t type_transport = 4;
constexpr std::size_t mac_size = sizeof(MacTag);

/// Fields in order, out of a datagram of the right size.
class Reader {
 public:
  explicit Reader(ByteView datagram) noexcept : rest_(datagram.subspan(4)) {}
  std::uint32_t u32() noexcept { return load_le<std::uint32_t>(take(4).data()); }
  std::uint64_t u64() noexcept { return load_le<std::uint64_t>(take(8).data()); }
  template <std::size_t N>
  void bytes(ByteArray<N>& to) noexcept {
    to = to_array<N>(take(N));
  }
  [[nodiscard]] ByteView rest() const noexcept { return rest_; }

 private:
  ByteView take(std::size_t size) noexcept {
    const ByteView taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  ByteView rest_;
};

/// Fields in order, into a message.
class Writer {
 public:
  Writer(MutableByteView to, std::uint8_t type) noexcept : rest_(to) {
    const ByteArray<4> head{type, 0, 0, 0};
    bytes(head);
  }
  void u32(std::uint32_t value) noexcept { store_le(take(4).data(), value); }
  void u64(std::uint64_t value) noexcept { store_le(take(8).data(), value); }
  void bytes(ByteView value) noexcept { std::ranges::copy(value, take(value.size()).begin()); }

 private:
  MutableByteView take(std::size_t size) noexcept {
    const MutableByteView taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  MutableByteView rest_;
};

Initiation read_initiation(Reader reader) noexcept {
  Initiation message;
  message.sender = reader.u32();
  reader.bytes(message.ephemeral.bytes);
  reader.bytes(message.sealed_static);
  reader.bytes(message.sealed_timestamp);
  reader.bytes(message.mac1);
  reader.bytes(message.mac2);
  return message;
}

Response read_response(Reader reader) noexcept {
  Response message;
  message.sender = reader.u32();
  message.receiver = reader.u32();
  reader.bytes(message.ephemeral.bytes);
  reader.bytes(message.sealed_nothing);
  reader.bytes(message.mac1);
  reader.bytes(message.mac2);
  return message;
}

CookieReply read_cookie_reply(Reader reader) noexcept {
  CookieReply message;
  message.receiver = reader.u32();
  reader.bytes(message.nonce);
  reader.bytes(message.sealed_cookie);
  return message;
}

Transport read_transport(Reader reader) noexcept {
  Transport message;
  message.receiver = reader.u32();
  message.counter = reader.u64();
  message.sealed = reader.rest();
  return message;
}

Digest labelled_key(std::string_view label, const crypto::X25519Public& key) {
  return hash({reinterpret_cast<const std::uint8_t*>(label.data()), label.size()}, key.bytes);
}

}  // namespace

Tai64n to_tai64n(std::uint64_t unix_nanoseconds) noexcept {
  constexpr std::uint64_t billion = 1'000'000'000;
  constexpr std::uint64_t epoch = (std::uint64_t{1} << 62) + 10;  // 1970 UTC was 10 s behind TAI
  Tai64n label;
  store_be(label.data(), epoch + unix_nanoseconds / billion);
  store_be(label.data() + 8, static_cast<std::uint32_t>(unix_nanoseconds % billion));
  return label;
}

Result<Message> decode(ByteView datagram) noexcept {
  if (datagram.size() < 4 || datagram[1] != 0 || datagram[2] != 0 || datagram[3] != 0) {
    return refuse(Refusal::message_type);
  }
  const auto sized = [&](std::size_t size) { return datagram.size() == size; };
  const Reader reader(datagram);
  switch (datagram[0]) {
    case type_initiation:
      if (!sized(initiation_size)) break;
      return read_initiation(reader);
    case type_response:
      if (!sized(response_size)) break;
      return read_response(reader);
    case type_cookie_reply:
      if (!sized(cookie_reply_size)) break;
      return read_cookie_reply(reader);
    case type_transport:
      // "the packet is padded to a multiple of 16 bytes" is the sender's business (section 5.4.6):
      // what counts is that there is a tag.
      if (datagram.size() < transport_overhead) break;
      return read_transport(reader);
    default:
      return refuse(Refusal::message_type);
  }
  return refuse(Refusal::message_size);
}

ByteArray<initiation_size> encode(const Initiation& message) noexcept {
  ByteArray<initiation_size> out{};
  Writer writer(out, type_initiation);
  writer.u32(message.sender);
  writer.bytes(message.ephemeral.bytes);
  writer.bytes(message.sealed_static);
  writer.bytes(message.sealed_timestamp);
  writer.bytes(message.mac1);
  writer.bytes(message.mac2);
  return out;
}

ByteArray<response_size> encode(const Response& message) noexcept {
  ByteArray<response_size> out{};
  Writer writer(out, type_response);
  writer.u32(message.sender);
  writer.u32(message.receiver);
  writer.bytes(message.ephemeral.bytes);
  writer.bytes(message.sealed_nothing);
  writer.bytes(message.mac1);
  writer.bytes(message.mac2);
  return out;
}

ByteArray<cookie_reply_size> encode(const CookieReply& message) noexcept {
  ByteArray<cookie_reply_size> out{};
  Writer writer(out, type_cookie_reply);
  writer.u32(message.receiver);
  writer.bytes(message.nonce);
  writer.bytes(message.sealed_cookie);
  return out;
}

void encode_transport_header(std::uint32_t receiver, std::uint64_t counter,
                             MutableByteView to) noexcept {
  Writer writer(to, type_transport);
  writer.u32(receiver);
  writer.u64(counter);
}

Digest mac1_key(const crypto::X25519Public& recipient) {
  return labelled_key("mac1----", recipient);
}

Digest cookie_key(const crypto::X25519Public& sender) {
  return labelled_key("cookie--", sender);
}

MacTag expected_mac1(ByteView message, const Digest& mac1_key) {
  return mac(mac1_key, message.first(message.size() - 2 * mac_size));
}

void put_macs(MutableByteView message, const Digest& mac1_key, const MacTag* cookie) {
  const MutableByteView macs = message.last(2 * mac_size);
  std::ranges::copy(expected_mac1(message, mac1_key), macs.begin());
  const MutableByteView mac2 = macs.last(mac_size);
  std::ranges::fill(mac2, std::uint8_t{0});
  if (cookie == nullptr) return;
  std::ranges::copy(mac(*cookie, message.first(message.size() - mac_size)), mac2.begin());
}

}  // namespace lp::wireguard
