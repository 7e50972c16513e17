#include "probes/tunnel/link.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "lib/crypto/random.h"

namespace lp::probe::tunnel {
namespace {

using client::Wait;
using SteadyClock = std::chrono::steady_clock;
using wireguard::Refusal;

wireguard::Tai64n timestamp_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return wireguard::to_tai64n(static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()));
}

ProbeCode code_of_udp_errno(int error) {
  switch (error) {
    case ECONNREFUSED:
      return ProbeCode::wireguard_refused;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return ProbeCode::out_of_descriptors;
    default:
      return ProbeCode::wireguard_unreachable;
  }
}

}  // namespace

Link::Link(UdpSocket socket, Peers peers, client::Endpoint gateway)
    : socket_(std::move(socket)),
      gateway_(gateway),
      initiator_(std::move(peers.own), peers.gateway, std::move(peers.preshared)),
      others_(std::move(peers.others)) {}

Outcome<Link> Link::open(const client::Endpoint& gateway,
                         const std::optional<client::Endpoint>& source, Peers peers,
                         int cancel_fd) {
  auto socket = UdpSocket::connect(gateway, source, cancel_fd);
  if (!socket) {
    const auto& failure = socket.error();
    const auto code =
        failure.at_bind ? ProbeCode::source_address_unusable : code_of_udp_errno(failure.error);
    return fail(Stage::tunnel, code,
                fmt::format("{}: {}", gateway.to_string(), client::errno_text(failure.error)));
  }
  return Link(std::move(*socket), std::move(peers), gateway);
}

Outcome<void> Link::perform_handshake(MonotonicTime deadline, std::chrono::nanoseconds interval,
                                      HandshakeReport& report) {
  while (SteadyClock::now() < deadline) {
    const auto begin = SteadyClock::now();
    if (auto sent = send_initiation(deadline); !sent) return sent;
    ++report.initiations;
    const auto until = std::min<MonotonicTime>(deadline, begin + interval);
    if (auto waited = await_response(until, report); !waited) return waited;
    if (!session_) continue;
    report.time = SteadyClock::now() - begin;
    // Until the initiator has used the session, the responder does not.
    (void)send({}, deadline);
    return {};
  }
  return std::unexpected(no_handshake(report));
}

Outcome<void> Link::send_initiation(MonotonicTime deadline) {
  const auto initiation = initiator_.initiate(
      crypto::random_u32(), crypto::X25519KeyPair::generate(), timestamp_now(), SteadyClock::now());
  if (!initiation) {
    return fail(Stage::tunnel, ProbeCode::wireguard_response_invalid,
                "the gateway's WireGuard key is of low order");
  }
  if (auto sent = socket_.send(*initiation, deadline); !sent) {
    return std::unexpected(socket_error(sent.error()));
  }
  return {};
}

Outcome<void> Link::await_response(MonotonicTime until, HandshakeReport& report) {
  while (!session_ && SteadyClock::now() < until) {
    const auto datagram = socket_.receive(until);
    if (datagram) {
      take(*datagram, report);
    } else if (datagram.error().wait == Wait::timeout) {
      break;
    } else {
      return std::unexpected(socket_error(datagram.error()));
    }
  }
  return {};
}

/// One datagram during the handshake: a response makes a session, a cookie is kept for the next
/// initiation, anything else is counted.
void Link::take(ByteView datagram, HandshakeReport& report) {
  ++unused_.datagrams;
  const auto message = wireguard::decode(datagram);
  if (!message) {
    unused_.last = message.error();
  } else if (const auto* response = std::get_if<wireguard::Response>(&*message)) {
    auto session = initiator_.read_response(*response);
    if (session) {
      session_ = std::move(*session);
    } else {
      note_refused(*message, session.error());
    }
  } else if (const auto* reply = std::get_if<wireguard::CookieReply>(&*message)) {
    const auto read = initiator_.read_cookie_reply(*reply, SteadyClock::now());
    if (read) {
      report.cookie = true;
    } else {
      note_refused(*message, read.error());
    }
  } else {
    unused_.last = Refusal::not_expected;
  }
}

void Link::note_refused(const wireguard::Message& message, Refusal refusal) {
  unused_.last = refusal;
  const auto* response = std::get_if<wireguard::Response>(&message);
  if (response == nullptr || refusal != Refusal::authentication) return;
  // Index and mac1 are right, so it comes from somebody who saw the initiation and knows this
  // side's key: the gateway itself, most likely, with another preshared key.
  unused_.from_gateway = true;
  for (const auto& [name, key] : others_) {
    if (initiator_.would_take(*response, key)) unused_.fits = name;
  }
}

ProbeError Link::no_handshake(const HandshakeReport& report) const {
  const auto error = [&](ProbeCode code, const std::string& what) {
    return ProbeError{
        Stage::tunnel, code,
        fmt::format("{}: {} initiations sent, {}", gateway_.to_string(), report.initiations, what)};
  };
  if (!unused_.fits.empty()) {
    return error(ProbeCode::wireguard_response_invalid,
                 fmt::format("the answer fits --wg-preshared-key {}", unused_.fits));
  }
  if (unused_.from_gateway) {
    return error(ProbeCode::wireguard_response_invalid, "the answer does not authenticate");
  }
  if (report.cookie) {
    return error(ProbeCode::wireguard_under_load, "answered with cookies only");
  }
  if (unused_.last) {
    return error(ProbeCode::wireguard_response_invalid,
                 fmt::format("{} datagrams of no use came, the last because {}", unused_.datagrams,
                             wireguard::gloss(*unused_.last)));
  }
  return error(ProbeCode::wireguard_handshake_timeout, "no answer");
}

ProbeError Link::socket_error(const UdpFailure& failure) const {
  if (failure.wait == Wait::cancelled) {
    return {Stage::tunnel, ProbeCode::interrupted, "interrupted by a signal"};
  }
  if (failure.wait == Wait::timeout) {
    return {Stage::tunnel, ProbeCode::wireguard_unreachable,
            fmt::format("{}: the initiation could not be sent", gateway_.to_string())};
  }
  return {Stage::tunnel, code_of_udp_errno(failure.error),
          fmt::format("{}: {}", gateway_.to_string(), client::errno_text(failure.error))};
}

std::expected<void, std::string> Link::send(ByteView packet, MonotonicTime deadline) {
  if (auto made = session_->seal(packet, SteadyClock::now(), sealed_); !made) {
    return std::unexpected(std::string(wireguard::gloss(made.error())));
  }
  const auto sent = socket_.send(sealed_, deadline);
  if (sent) return {};
  return std::unexpected(sent.error().wait == Wait::failed
                             ? client::errno_text(sent.error().error)
                             : std::string("the socket's buffer stays full"));
}

Link::Received Link::receive(MonotonicTime deadline, ByteView& packet) {
  while (SteadyClock::now() < deadline) {
    const auto datagram = socket_.receive(deadline);
    if (!datagram) {
      if (datagram.error().wait == Wait::cancelled) return Received::interrupted;
      if (datagram.error().wait == Wait::timeout) return Received::nothing;
      continue;  // an ICMP error about a datagram that was sent: what it carried is lost
    }
    const auto message = wireguard::decode(*datagram);
    if (!message) continue;
    const auto* transport = std::get_if<wireguard::Transport>(&*message);
    if (transport == nullptr) continue;
    if (!session_->open(*transport, SteadyClock::now(), opened_) || opened_.empty()) continue;
    packet = opened_;
    return Received::packet;
  }
  return Received::nothing;
}

}  // namespace lp::probe::tunnel
