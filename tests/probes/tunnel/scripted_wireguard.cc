#include "tests/probes/tunnel/scripted_wireguard.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "lib/crypto/random.h"

namespace lp::test {
namespace {

using probe::client::Descriptor;
using probe::client::Endpoint;
using namespace wireguard;

constexpr MacTag the_cookie{7, 7, 7};

Secret<32> filled(std::uint8_t fill) {
  ByteArray<32> bytes;
  bytes.fill(fill);
  return Secret<32>(bytes);
}

messages::IpAddress address_at(ByteView packet, std::size_t v4, std::size_t v6) {
  if (packet[0] >> 4 == 4) return messages::IpV4{to_array<4>(packet.subspan(v4))};
  return messages::IpV6{to_array<16>(packet.subspan(v6))};
}

/// The echo request with its addresses swapped and its type made a reply's. The checksum changes
/// by what the type does, for sums do not depend on an order.
Bytes echo_reply_to(ByteView request) {
  Bytes reply(request.begin(), request.end());
  const bool v4 = request[0] >> 4 == 4;
  const std::size_t header = v4 ? 20 : 40;
  const std::ptrdiff_t at = v4 ? 12 : 8, size = v4 ? 4 : 16;
  std::swap_ranges(reply.begin() + at, reply.begin() + at + size, reply.begin() + at + size);
  const std::uint8_t type = v4 ? 0 : 129;
  const std::uint32_t less = static_cast<std::uint32_t>((reply[header] - type) & 0xff) << 8;
  reply[header] = type;
  const auto old = load_be<std::uint16_t>(reply.data() + header + 2);
  // Request to reply subtracts 0x0800 from the sum, or adds 0x0100: the complement goes the other
  // way.
  std::uint32_t sum = v4 ? old + less : old + 0xffffU - 0x0100U;
  sum = (sum & 0xffff) + (sum >> 16);
  store_be(reply.data() + header + 2, static_cast<std::uint16_t>(sum));
  return reply;
}

/// An answer to the DNS question in `query`: one address, or the rcode.
Bytes dns_answer(ByteView query, std::uint16_t rcode, bool v4) {
  Bytes answer(query.begin(), query.end());
  store_be(answer.data() + 2, static_cast<std::uint16_t>(0x8180 | rcode));
  if (rcode != 0) return answer;
  store_be(answer.data() + 6, std::uint16_t{1});
  const Bytes head{0xc0, 12, 0, static_cast<std::uint8_t>(v4 ? 1 : 28), 0, 1, 0, 0,
                   0,    60, 0, static_cast<std::uint8_t>(v4 ? 4 : 16)};
  answer.insert(answer.end(), head.begin(), head.end());
  const Bytes v4_address{192, 0, 2, 1};
  const Bytes v6_address{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  const auto& address = v4 ? v4_address : v6_address;
  answer.insert(answer.end(), address.begin(), address.end());
  return answer;
}

/// An ICMPv4 error of the gateway's about `packet`.
Bytes prohibited_error(ByteView packet) {
  const Bytes quote(packet.begin(), packet.begin() + 28);
  // An echo request has the shape that is needed: type, code, checksum, four bytes, quote.
  Bytes error = probe::tunnel::make_echo_request(messages::IpV4{{10, 1, 0, 1}},
                                                 address_at(packet, 12, 8), 0, 0, quote);
  error[20] = 3;
  error[21] = 13;
  error[22] = error[23] = 0;
  std::uint32_t sum = 0;
  for (std::size_t i = 20; i < error.size(); i += 2)
    sum += load_be<std::uint16_t>(error.data() + i);
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  store_be(error.data() + 22, static_cast<std::uint16_t>(~sum));
  return error;
}

}  // namespace

struct ScriptedWireguard::Impl {
  explicit Impl(WireguardScript s)
      : script(std::move(s)),
        responder(crypto::X25519KeyPair::generate(), filled(script.preshared_fill)),
        stop_fd(eventfd(0, EFD_CLOEXEC)) {
    const auto bind_to = Endpoint::from_literal(script.address, 0).value();
    fd = Descriptor(socket(bind_to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    if (bind(fd.get(), bind_to.address(), bind_to.size()) != 0 ||
        getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
      throw std::runtime_error("no UDP socket on " + script.address);
    }
    here = Endpoint(reinterpret_cast<const sockaddr*>(&bound), size);
    thread = std::thread([this] { serve(); });
  }

  ~Impl() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(stop_fd.get(), &one, sizeof one);
    thread.join();
  }

  void serve() {
    Bytes buffer(65'536);
    while (true) {
      pollfd fds[2] = {{fd.get(), POLLIN, 0}, {stop_fd.get(), POLLIN, 0}};
      if (poll(fds, 2, -1) < 0 || fds[1].revents != 0) return;
      peer_size = sizeof peer;
      const auto size = recvfrom(fd.get(), buffer.data(), buffer.size(), 0,
                                 reinterpret_cast<sockaddr*>(&peer), &peer_size);
      if (size <= 0) continue;
      const std::lock_guard lock(mutex);
      take(ByteView(buffer).first(static_cast<std::size_t>(size)));
    }
  }

  void send(ByteView datagram) {
    for (int i = 0; i < (script.twice ? 2 : 1); ++i) {
      sendto(fd.get(), datagram.data(), datagram.size(), 0,
             reinterpret_cast<const sockaddr*>(&peer), peer_size);
    }
  }

  void take(ByteView datagram) {
    const auto message = decode(datagram);
    if (!message) return;
    if (std::holds_alternative<Initiation>(*message)) take_initiation(datagram);
    if (const auto* transport = std::get_if<Transport>(&*message)) take_transport(*transport);
  }

  void take_initiation(ByteView datagram) {
    ++initiations;
    if (initiations <= script.drop_initiations) return;
    if (script.cookies_only || (script.cookie && !Responder::has_mac2(datagram, the_cookie))) {
      send(responder.write_cookie_reply(datagram, the_cookie));
      return;
    }
    if (!responder.read_initiation(datagram)) return;
    initiators.insert(responder.initiator());
    const auto response = responder.write_response(
        crypto::random_u32(), crypto::X25519KeyPair::generate(), std::chrono::steady_clock::now());
    if (!response) return;
    if (script.late_response && initiations == 1) {
      late.assign(response->begin(), response->end());
      return;
    }
    if (!late.empty()) send(late);
    for (unsigned i = 0; i < script.junk; ++i) {
      Bytes junk(i * 7 % 200);
      crypto::random_bytes(junk);
      if (!junk.empty()) junk[0] = static_cast<std::uint8_t>(i % 6);
      send(junk);
    }
    if (script.forged_first) {
      auto forged = *response;
      forged[50] ^= 1;
      renew_mac1(forged, responder.initiator());
      send(forged);
    }
    send(*response);
  }

  void take_transport(const Transport& transport) {
    Bytes packet;
    auto& session = responder.session();
    if (!session || !session->open(transport, std::chrono::steady_clock::now(), packet)) return;
    if (packet.empty()) {
      ++keepalives;
      return;
    }
    if (script.silent_inside || packets++ < script.drop_inside) return;
    // Padding off.
    const std::size_t size = packet[0] >> 4 == 4 ? load_be<std::uint16_t>(packet.data() + 2)
                                                 : load_be<std::uint16_t>(packet.data() + 4) + 40U;
    packet.resize(size);
    if (const auto answer = answer_to(packet); !answer.empty()) send_inside(answer);
  }

  Bytes answer_to(const Bytes& packet) {
    const bool v4 = packet[0] >> 4 == 4;
    const auto to = messages::to_string(address_at(packet, 16, 24));
    const std::size_t header = v4 ? 20 : 40;
    const std::uint8_t protocol = packet[v4 ? 9 : 6];
    if (to == script.prohibited) return prohibited_error(packet);
    if (protocol != 17) return script.pingable.contains(to) ? echo_reply_to(packet) : Bytes{};
    if (to != script.resolver_v4 && to != script.resolver_v6) return {};
    return probe::tunnel::make_udp(
        address_at(packet, 16, 24), address_at(packet, 12, 8), 53,
        load_be<std::uint16_t>(packet.data() + header),
        dns_answer(ByteView(packet).subspan(header + 8), script.rcode, v4));
  }

  void send_inside(const Bytes& packet) {
    Bytes sealed;
    const auto now = std::chrono::steady_clock::now();
    if (script.junk_inside) {
      auto changed = packet;
      changed.back() ^= 1;  // its checksum is wrong
      for (const auto& junk : {Bytes{0x45}, Bytes(64, 0xff), changed, Bytes{}}) {
        (void)responder.session()->seal(junk, now, sealed);
        send(sealed);
      }
    }
    (void)responder.session()->seal(packet, now, sealed);
    send(sealed);
  }

  const WireguardScript script;
  Responder responder;
  Descriptor stop_fd;
  Descriptor fd;
  Endpoint here;
  sockaddr_storage peer{};
  socklen_t peer_size = 0;
  mutable std::mutex mutex;
  std::set<crypto::X25519Public> initiators;
  unsigned initiations = 0;
  unsigned keepalives = 0;
  unsigned packets = 0;
  Bytes late;
  std::thread thread;
};

ScriptedWireguard::ScriptedWireguard(WireguardScript script)
    : impl_(std::make_unique<Impl>(std::move(script))) {}
ScriptedWireguard::~ScriptedWireguard() = default;

Endpoint ScriptedWireguard::endpoint() const {
  return impl_->here;
}
const crypto::X25519Public& ScriptedWireguard::public_key() const {
  return impl_->responder.public_key();
}
std::set<crypto::X25519Public> ScriptedWireguard::initiators() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->initiators;
}
unsigned ScriptedWireguard::initiations() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->initiations;
}
unsigned ScriptedWireguard::keepalives() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->keepalives;
}

}  // namespace lp::test
