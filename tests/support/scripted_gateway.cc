#include "tests/support/scripted_gateway.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "lib/crypto/random.h"
#include "lib/session/state_machine.h"
#include "lib/wire/frame_reader.h"
#include "lib/wire/packet.h"
#include "tests/support/errno.h"

namespace lp::test {
namespace {

bool initialise_or_throw() {
  if (!crypto::initialise()) throw std::runtime_error("libsodium does not start");
  return true;
}

class Fd {
 public:
  explicit Fd(int fd, const char* what) : fd_(fd) {
    if (fd < 0) fail_with_errno(what);
  }
  ~Fd() { close(fd_); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

struct ScriptedGateway::Impl {
  explicit Impl(Script wanted) : script(std::move(wanted)) {}

  Script script;
  bool sodium = initialise_or_throw();  // before the first key
  crypto::IdentityKeyPair identity = crypto::IdentityKeyPair::generate();
  crypto::X25519KeyPair lp_key = identity.to_x25519();
  std::unique_ptr<Fd> listener;
  std::unique_ptr<Fd> stop;
  std::string address;
  std::uint16_t port = 0;
  std::thread acceptor;

  mutable std::mutex mutex;
  std::vector<std::thread> threads;
  std::vector<messages::RegistrationRequest> requests;
  std::vector<crypto::X25519Public> client_keys;
  std::size_t connections = 0;
  std::size_t first_read_size = 0;

  /// False once the gateway is to end.
  bool wait_readable(int fd) const {
    std::array<pollfd, 2> fds{pollfd{fd, POLLIN, 0}, pollfd{stop->get(), POLLIN, 0}};
    while (poll(fds.data(), fds.size(), -1) < 0) {
      if (errno != EINTR) return false;
    }
    return fds[1].revents == 0;
  }

  void listen_on(const std::string& where);
  void accept_all();
};

namespace {

/// One connection, on a thread of its own.
class Session {
 public:
  Session(ScriptedGateway::Impl& gateway, int fd, Fault fault)
      : gateway_(gateway), fd_(fd, "accept"), fault_(fault) {}

  void run() {
    if (!before_reading()) return;
    if (!read_hello_and_message_1()) return;
    if (!answer_message_1()) return;
    const auto request = read_request();
    if (!request) return;
    answer_request(*request);
  }

 private:
  /// False where the fault ends the connection.
  bool before_reading() {
    if (fault_ == Fault::busy) {
      write(wire::busy_frame());
      // The client may have written already: closing with bytes unread resets the connection, and
      // that is what a gateway at its limit does.
      return false;
    }
    return fault_ != Fault::close_on_accept;
  }

  bool read_hello_and_message_1() {
    auto packet = read_packet(wire::client_hello_packet_size);
    if (!packet) return false;
    const auto view = wire::parse_packet(*packet);
    if (!view) return false;
    const auto hello = wire::ClientHello::from_packet(*view);
    if (!hello) return false;
    {
      const std::lock_guard lock(gateway_.mutex);
      gateway_.client_keys.push_back(hello->client_public_key);
    }
    machine_.emplace(
        session::StateMachine::responder(gateway_.lp_key, hello->client_public_key, hello->salt));
    packet = read_packet(wire::message_1_packet_size);
    if (!packet) return false;
    auto actions = machine_->process(session::ReceivePacket{*packet});
    if (!actions || actions->find<session::SendPacket>() == nullptr) return false;
    const ByteView frame = actions->find<session::SendPacket>()->frame;
    message_2_.assign(frame.begin(), frame.end());
    return true;
  }

  /// False where the fault ends the connection.
  bool answer_message_1() {
    Bytes frame = message_2_;
    std::uint8_t* packet = frame.data() + wire::frame_length_size;
    switch (fault_) {
      case Fault::busy_with_content:
        write(wire::make_frame({}, ByteArray<1>{7}));
        return hold();
      case Fault::close_after_hello:
        return false;
      case Fault::silence:
        return hold();
      case Fault::speak_http:
        write(std::string_view("HTTP/1.1 400 Bad Request\r\n\r\n"));
        return hold();
      case Fault::short_packet:
        write(std::string_view("\0\0\0\x21", 4));
        write(Bytes(33));
        return hold();
      case Fault::version_2:
        packet[wire::version_offset] = 2;
        write(frame);
        return hold();
      case Fault::unknown_type:
        packet[wire::type_offset] = 9;
        write(frame);
        return hold();
      case Fault::encrypted_type:
        packet[wire::type_offset] = 2;
        write(frame);
        return hold();
      case Fault::long_message_2: {
        const ByteView content(packet + wire::header_size, wire::noise_message_2_size + 1);
        write(wire::make_frame({1, machine_->lp_id(), 0, wire::MessageType::handshake}, content));
        return hold();
      }
      case Fault::half_message_2:
        frame.resize(frame.size() / 2);
        write(frame);
        return false;
      case Fault::stalled_message_2:
        frame.resize(frame.size() / 2);
        write(frame);
        return hold();
      case Fault::other_session_id:
        packet[wire::session_id_offset] ^= 1;
        write(frame);
        return hold();
      case Fault::other_counter:
        packet[wire::counter_offset] = 1;
        write(frame);
        return hold();
      case Fault::corrupt_message_2:
        packet[wire::header_size + wire::noise_message_2_size - 1] ^= 1;
        write(frame);
        return hold();
      default:
        return write(frame);
    }
  }

  std::optional<messages::RegistrationRequest> read_request() {
    auto packet = read_packet(wire::message_3_packet_size);
    if (!packet) return std::nullopt;
    if (!machine_->process(session::ReceivePacket{*packet})) return std::nullopt;
    packet = read_packet(wire::max_packet_size);
    if (!packet) return std::nullopt;
    const auto actions = machine_->process(session::ReceivePacket{*packet});
    if (!actions) return std::nullopt;
    const auto* data = actions->find<session::DeliverData>();
    if (data == nullptr) return std::nullopt;
    auto request = messages::decode_request(data->plaintext);
    if (!request) return std::nullopt;
    const std::lock_guard lock(gateway_.mutex);
    gateway_.requests.push_back(*request);
    return std::move(*request);
  }

  [[nodiscard]] Bytes response_plaintext(const messages::RegistrationRequest& request) const {
    auto response = ScriptedGateway::good_response(request.mode);
    switch (fault_) {
      case Fault::refusal:
        response = {};
        response.error = gateway_.script.sentence;
        break;
      case Fault::refusal_without_text:
        response = {};
        break;
      case Fault::no_gateway_data:
        response.gateway_data.reset();
        break;
      case Fault::zero_gateway_key:
        response.gateway_data->public_key = {};
        break;
      case Fault::zero_endpoint_port:
        response.gateway_data->endpoint.port = 0;
        break;
      case Fault::not_a_response:
        return Bytes{1, 2, 3};
      default:
        break;
    }
    return messages::encode(response);
  }

  void answer_request(const messages::RegistrationRequest& request) {
    if (fault_ == Fault::close_after_request) return;
    if (fault_ == Fault::silence_after_request) {
      hold();
      return;
    }
    if (fault_ == Fault::busy_after_request) {
      write(wire::busy_frame());
      hold();
      return;
    }
    const Bytes plaintext = response_plaintext(request);
    const auto actions = machine_->process(session::SendData{plaintext});
    if (!actions || actions->find<session::SendPacket>() == nullptr) return;
    const ByteView made = actions->find<session::SendPacket>()->frame;
    Bytes frame(made.begin(), made.end());
    std::uint8_t* packet = frame.data() + wire::frame_length_size;
    Bytes other = frame;
    other[wire::frame_length_size + wire::session_id_offset] ^= 1;
    switch (fault_) {
      case Fault::half_response:
        frame.resize(frame.size() / 2);
        write(frame);
        return;
      case Fault::stalled_response:
        frame.resize(frame.size() / 2);
        write(frame);
        hold();
        return;
      case Fault::response_in_pieces:
        for (const std::uint8_t byte : frame)
          write(ByteArray<1>{byte});
        return;
      case Fault::corrupt_response:
        packet[wire::header_size] ^= 1;
        break;
      case Fault::response_other_session_id:
        frame = other;
        break;
      case Fault::response_low_counter:
        packet[wire::counter_offset] = 0;
        break;
      case Fault::many_other_session_ids:
        for (unsigned i = 0; i <= session::max_dropped_packets; ++i)
          write(other);
        break;
      case Fault::dropped_then_response:
        write(other);
        break;
      case Fault::handshake_type_response:
        packet[wire::type_offset] = 1;
        break;
      default:
        break;
    }
    write(frame);
    // A packet that the client has to drop leaves it waiting; the connection stays for that.
    if (fault_ == Fault::response_other_session_id) hold();
  }

  /// Keeps the connection until the client closes it. Always false.
  bool hold() {
    std::array<std::uint8_t, 512> rest;
    while (gateway_.wait_readable(fd_.get()) && recv(fd_.get(), rest.data(), rest.size(), 0) > 0) {
    }
    return false;
  }

  std::optional<Bytes> read_packet(std::size_t max_size) {
    std::array<std::uint8_t, 4096> chunk;
    while (true) {
      const auto packet = reader_.next(max_size);
      if (!packet) return std::nullopt;
      if (*packet) return Bytes((*packet)->begin(), (*packet)->end());
      if (!gateway_.wait_readable(fd_.get())) return std::nullopt;
      const auto size = recv(fd_.get(), chunk.data(), chunk.size(), 0);
      if (size <= 0) return std::nullopt;
      if (first_read_) {
        const std::lock_guard lock(gateway_.mutex);
        gateway_.first_read_size = static_cast<std::size_t>(size);
        first_read_ = false;
      }
      reader_.append(ByteView(chunk.data(), static_cast<std::size_t>(size)));
    }
  }

  bool write(ByteView bytes) const {
    while (!bytes.empty()) {
      const auto size = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (size < 0) return false;
      bytes = bytes.subspan(static_cast<std::size_t>(size));
    }
    return true;
  }
  bool write(std::string_view text) const {
    return write(ByteView(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  }

  ScriptedGateway::Impl& gateway_;
  Fd fd_;
  Fault fault_;
  wire::FrameReader reader_;
  std::optional<session::StateMachine> machine_;
  Bytes message_2_;
  bool first_read_ = true;
};

}  // namespace

void ScriptedGateway::Impl::listen_on(const std::string& where) {
  address = where;
  sockaddr_in in{};
  sockaddr_in6 in6{};
  in.sin_family = AF_INET;
  in6.sin6_family = AF_INET6;
  const bool v4 = inet_pton(AF_INET, where.c_str(), &in.sin_addr) == 1;
  if (!v4 && inet_pton(AF_INET6, where.c_str(), &in6.sin6_addr) != 1) {
    throw std::invalid_argument("not an address: " + where);
  }
  listener = std::make_unique<Fd>(socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0),
                                  "socket");
  stop = std::make_unique<Fd>(eventfd(0, EFD_CLOEXEC), "eventfd");
  auto* name = v4 ? reinterpret_cast<sockaddr*>(&in) : reinterpret_cast<sockaddr*>(&in6);
  socklen_t size = v4 ? sizeof in : sizeof in6;
  if (bind(listener->get(), name, size) != 0) fail_with_errno("bind");
  if (listen(listener->get(), 256) != 0) fail_with_errno("listen");
  if (getsockname(listener->get(), name, &size) != 0) fail_with_errno("getsockname");
  port = ntohs(v4 ? in.sin_port : in6.sin6_port);
}

void ScriptedGateway::Impl::accept_all() {
  while (wait_readable(listener->get())) {
    const int fd = accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const std::lock_guard lock(mutex);
    ++connections;
    const Fault fault = connections % script.every == 0 ? script.fault : Fault::none;
    threads.emplace_back([this, fd, fault] { Session(*this, fd, fault).run(); });
  }
}

ScriptedGateway::ScriptedGateway(Script script, const std::string& address)
    : impl_(std::make_unique<Impl>(std::move(script))) {
  impl_->listen_on(address);
  impl_->acceptor = std::thread([this] { impl_->accept_all(); });
}

ScriptedGateway::~ScriptedGateway() {
  const std::uint64_t one = 1;
  if (::write(impl_->stop->get(), &one, sizeof one) < 0) std::terminate();
  impl_->acceptor.join();
  for (auto& thread : impl_->threads)
    thread.join();
}

std::uint16_t ScriptedGateway::port() const {
  return impl_->port;
}

const crypto::Identity& ScriptedGateway::identity() const {
  return impl_->identity.identity;
}

crypto::X25519Public ScriptedGateway::lp_key() const {
  return impl_->lp_key.public_key;
}

std::string ScriptedGateway::target() const {
  const bool v6 = impl_->address.find(':') != std::string::npos;
  const std::string host = v6 ? "[" + impl_->address + "]" : impl_->address;
  return identity().to_base58() + "@" + host + ":" + std::to_string(port());
}

std::vector<messages::RegistrationRequest> ScriptedGateway::requests() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->requests;
}

std::vector<crypto::X25519Public> ScriptedGateway::client_keys() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->client_keys;
}

std::size_t ScriptedGateway::connections() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->connections;
}

std::size_t ScriptedGateway::first_read_size() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->first_read_size;
}

messages::RegistrationResponse ScriptedGateway::good_response(const messages::Mode& mode) {
  messages::RegistrationResponse response;
  response.success = true;
  response.allocated_bandwidth = 1'073'741'824;
  response.session_id = 0x12345678;
  if (std::holds_alternative<messages::Dvpn>(mode)) {
    messages::GatewayData data;
    data.public_key.bytes.fill(9);
    data.endpoint = {messages::IpV4{{127, 0, 0, 1}}, 51822};
    data.private_ipv4 = {{10, 1, 0, 7}};
    data.private_ipv6.octets = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7};
    response.gateway_data = data;
  }
  return response;
}

}  // namespace lp::test
