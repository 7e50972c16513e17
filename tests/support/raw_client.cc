#include "tests/support/raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "lib/base/encoding.h"
#include "lib/crypto/random.h"
#include "tests/support/errno.h"

namespace lp::test {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Address parse(const std::string& host, std::uint16_t port) {
  Address address;
  sockaddr_in in{};
  sockaddr_in6 in6{};
  if (inet_pton(AF_INET, host.c_str(), &in.sin_addr) == 1) {
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&address.storage, &in, sizeof in);
    address.size = sizeof in;
  } else if (inet_pton(AF_INET6, host.c_str(), &in6.sin6_addr) == 1) {
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    std::memcpy(&address.storage, &in6, sizeof in6);
    address.size = sizeof in6;
  } else {
    throw std::invalid_argument("not a numeric address: " + host);
  }
  return address;
}

template <typename T>
T value_or_throw(Result<T> result, const char* what) {
  if (!result)
    throw std::runtime_error(std::string(what) + ": " + std::string(name(result.error())));
  return std::move(*result);
}

/// The frame among what the machine wants done.
Bytes frame_of(const session::Actions& actions) {
  const auto* packet = actions.find<session::SendPacket>();
  if (packet == nullptr) throw std::runtime_error("the machine sends nothing");
  return {packet->frame.begin(), packet->frame.end()};
}

}  // namespace

RawConnection::RawConnection(const std::string& host, std::uint16_t port,
                             const std::optional<std::string>& source) {
  const Address to = parse(host, port);
  fd_ = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0) fail_with_errno("socket");
  try {
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval timeout{.tv_sec = patience.count(), .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (source) {
      const Address from = parse(*source, 0);
      // Leaves the choice of the port to connect, which needs it unique only together with its
      // peer.
      ::setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
      if (::bind(fd_, reinterpret_cast<const sockaddr*>(&from.storage), from.size) != 0) {
        fail_with_errno("bind");
      }
    }
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0) {
      fail_with_errno("connect");
    }
  } catch (...) {
    close();
    throw;
  }
}

RawConnection::RawConnection(RawConnection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), reader_(std::move(other.reader_)) {}

RawConnection& RawConnection::operator=(RawConnection&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
    reader_ = std::move(other.reader_);
  }
  return *this;
}

RawConnection::~RawConnection() {
  close();
}

bool RawConnection::send(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

bool RawConnection::send_byte_by_byte(ByteView bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (!send(bytes.subspan(i, 1))) return false;
  }
  return true;
}

std::optional<Bytes> RawConnection::receive_packet() {
  for (;;) {
    const auto packet = reader_.next();
    if (!packet) return std::nullopt;
    if (*packet) return Bytes((*packet)->begin(), (*packet)->end());
    std::array<std::uint8_t, 4096> buffer;
    const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::nullopt;
    reader_.append(ByteView(buffer).first(static_cast<std::size_t>(count)));
  }
}

std::optional<Bytes> RawConnection::receive_until_closed() {
  Bytes all;
  for (;;) {
    std::array<std::uint8_t, 4096> buffer;
    const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (count > 0) {
      all.insert(all.end(), buffer.begin(), buffer.begin() + count);
    } else if (count == 0 || errno == ECONNRESET) {
      return all;
    } else if (errno != EINTR) {
      return std::nullopt;
    }
  }
}

bool RawConnection::closed_without_a_byte() {
  const auto all = receive_until_closed();
  return all && all->empty();
}

bool RawConnection::silent() const {
  pollfd readable{.fd = fd_, .events = POLLIN, .revents = 0};
  return ::poll(&readable, 1, 0) == 0;
}

void RawConnection::shut_down_sending() {
  ::shutdown(fd_, SHUT_WR);
}

void RawConnection::close(bool reset) {
  if (fd_ < 0) return;
  if (reset) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  ::close(std::exchange(fd_, -1));
}

bool is_busy(const std::optional<Bytes>& packet) {
  const auto frame = ByteView(wire::busy_frame()).subspan(wire::frame_length_size);
  return packet && std::equal(packet->begin(), packet->end(), frame.begin(), frame.end());
}

RawClient::RawClient(const crypto::X25519Public& gateway, UnixSeconds now)
    : RawClient(gateway, crypto::X25519KeyPair::generate(), now) {}

RawClient::RawClient(const crypto::X25519Public& gateway, crypto::X25519KeyPair keys,
                     UnixSeconds now)
    : hello_(wire::ClientHello::make(keys.public_key, now)),
      machine_(session::StateMachine::initiator(std::move(keys), gateway, hello_.salt)) {}

Bytes RawClient::client_hello() const {
  Bytes frame;
  hello_.append_frame(frame);
  return frame;
}

Bytes RawClient::message_1() {
  return frame_of(value_or_throw(machine_.process(session::StartHandshake{}), "message 1"));
}

Bytes RawClient::message_3(ByteView packet) {
  return frame_of(value_or_throw(machine_.process(session::ReceivePacket{packet}), "message 2"));
}

Bytes RawClient::encrypt(ByteView plaintext) {
  return frame_of(value_or_throw(machine_.process(session::SendData{plaintext}), "data to send"));
}

Bytes RawClient::request(const messages::RegistrationRequest& request) {
  return encrypt(messages::encode(request));
}

messages::RegistrationResponse RawClient::response(ByteView packet) {
  const auto actions = value_or_throw(machine_.process(session::ReceivePacket{packet}), "answer");
  const auto* data = actions.find<session::DeliverData>();
  if (data == nullptr) throw std::runtime_error("the answer holds no data");
  return value_or_throw(messages::decode_response(data->plaintext), "response");
}

bool shake_hands(RawConnection& connection, RawClient& client) {
  if (!connection.send(concatenate(client.client_hello(), client.message_1()))) return false;
  const auto message_2 = connection.receive_packet();
  return message_2 && connection.send(client.message_3(*message_2));
}

std::optional<messages::RegistrationResponse> register_at(
    RawConnection& connection, RawClient& client, const messages::RegistrationRequest& request) {
  if (!connection.send(client.request(request))) return std::nullopt;
  const auto packet = connection.receive_packet();
  if (!packet) return std::nullopt;
  return client.response(*packet);
}

messages::RegistrationRequest dvpn_request(UnixSeconds now) {
  messages::RegistrationRequest request;
  request.wg_public_key = to_base64(crypto::X25519KeyPair::generate().public_key.bytes);
  crypto::random_bytes(request.credential.nullifier);
  request.credential.signature = Bytes(96, 0);
  request.credential.bandwidth_amount = 1'073'741'824;
  request.credential.expiry = now + 86'400;
  request.ticket_type = messages::TicketType::v1_wireguard_entry;
  request.mode = messages::Dvpn{};
  request.client_ip = messages::IpV4{{127, 0, 0, 1}};
  request.timestamp = now;
  return request;
}

Bytes concatenate(ByteView a, ByteView b) {
  Bytes all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  return all;
}

}  // namespace lp::test
