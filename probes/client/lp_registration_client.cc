#include "probes/client/lp_registration_client.h"

#include <fmt/format.h>
#include <poll.h>

#include <array>
#include <cerrno>

#include "lib/wire/format.h"
#include "probes/client/connect_error.h"

namespace lp::probe::client {
namespace {

const SystemWallClock system_clock;

/// Stage under which a phase's own troubles are reported.
constexpr std::array phase_stages{Stage::connect, Stage::client_hello, Stage::handshake,
                                  Stage::request, Stage::response};

ProbeError interrupted(Stage stage) {
  return {stage, ProbeCode::interrupted, "interrupted by a signal"};
}

}  // namespace

LpRegistrationClient::LpRegistrationClient(const crypto::X25519Public& gateway_key,
                                           const ClientOptions& options)
    : gateway_key_(gateway_key), options_(options) {
  if (options_.clock == nullptr) options_.clock = &system_clock;
}

Outcome<void> LpRegistrationClient::connect(const Endpoint& gateway, MonotonicTime deadline) {
  auto connected_socket = connect_tcp(gateway, options_.source, deadline, options_.cancel_fd);
  if (!connected_socket) return std::unexpected(connect_error(gateway, connected_socket.error()));
  socket_ = std::move(*connected_socket);
  connected();
  return {};
}

Outcome<void> LpRegistrationClient::start_connect(const Endpoint& gateway) {
  auto started = start_tcp(gateway, options_.source);
  if (!started) return std::unexpected(connect_error(gateway, started.error()));
  socket_ = std::move(*started);
  remote_ = gateway;
  return {};
}

Outcome<void> LpRegistrationClient::advance_connect() {
  if (!socket_.valid() || times_.connected) {
    return fail(Stage::connect, ProbeCode::internal, "advance_connect out of order");
  }
  if (const auto finished = finish_tcp(socket_); !finished) {
    return std::unexpected(connect_error(remote_, finished.error()));
  }
  connected();
  return {};
}

void LpRegistrationClient::connected() {
  sockaddr_storage local{};
  socklen_t size = sizeof local;
  if (getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&local), &size) == 0) {
    local_ = Endpoint(reinterpret_cast<const sockaddr*>(&local), size);
  }
  times_.connected = std::chrono::steady_clock::now();
}

template <typename Step>
Outcome<void> LpRegistrationClient::complete(MonotonicTime deadline, Step step) {
  while (true) {
    const Outcome<Progress> progress = step();
    if (!progress) return std::unexpected(progress.error());
    if (*progress == Progress::done) return {};
    const short events = *progress == Progress::writing ? POLLOUT : POLLIN;
    switch (wait_for(socket_.get(), events, deadline, options_.cancel_fd)) {
      case Wait::ready:
        break;
      case Wait::timeout:
        return std::unexpected(timed_out());
      case Wait::cancelled:
        return std::unexpected(interrupted(stage()));
      case Wait::failed:
        return fail(stage(), ProbeCode::connection_failed, errno_text(errno));
    }
  }
}

Outcome<void> LpRegistrationClient::perform_handshake(MonotonicTime deadline) {
  if (machine_) {
    return fail(Stage::client_hello, ProbeCode::internal, "perform_handshake out of order");
  }
  return complete(deadline, [this] { return advance_handshake(); });
}

Outcome<Progress> LpRegistrationClient::advance_handshake() {
  if (!times_.connected || !socket_.valid() || times_.handshake_complete) {
    return fail(Stage::client_hello, ProbeCode::internal, "advance_handshake out of order");
  }
  if (!machine_) {
    phase_ = Phase::client_hello;
    if (auto started = start_handshake(); !started) {
      return std::unexpected(std::move(started.error()));
    }
  }
  if (phase_ == Phase::client_hello) {
    auto sent = flush();
    if (!sent || *sent != Progress::done) return sent;
    times_.hello_sent = std::chrono::steady_clock::now();
    phase_ = Phase::handshake;
  }
  if (machine_->state() != session::State::handshake_complete) {
    const auto packet = read_packet();
    if (!packet) return std::unexpected(packet.error());
    if (!*packet) return Progress::reading;
    if (auto taken = take_message_2(**packet); !taken) {
      return std::unexpected(std::move(taken.error()));
    }
  }
  // Message 3 waits for the request, so that both go out in one write.
  if (!options_.coalesce) {
    auto sent = flush();
    if (!sent || *sent != Progress::done) return sent;
  }
  times_.handshake_complete = std::chrono::steady_clock::now();
  return Progress::done;
}

Outcome<void> LpRegistrationClient::start_handshake() {
  auto key = crypto::X25519KeyPair::generate();
  const auto hello = wire::ClientHello::make(key.public_key, options_.clock->now());
  machine_ = session::StateMachine::initiator(std::move(key), gateway_key_, hello.salt);
  hello.append_frame(pending_);
  const auto actions = machine_->process(session::StartHandshake{});
  if (!actions) {
    return fail(Stage::client_hello,
                actions.error() == Error::key_low_order || actions.error() == Error::key_invalid
                    ? ProbeCode::gateway_key_invalid
                    : ProbeCode::internal,
                std::string(gloss(actions.error())));
  }
  if (const auto* message_1 = actions->find<session::SendPacket>()) append(message_1->frame);
  return {};
}

Outcome<void> LpRegistrationClient::take_message_2(ByteView packet) {
  const auto actions = machine_->process(session::ReceivePacket{packet});
  if (!actions) return std::unexpected(refused(actions.error()));
  if (actions->find<session::HandshakeComplete>() == nullptr) {
    return fail(Stage::handshake, ProbeCode::internal, "the handshake did not complete");
  }
  if (const auto* message_3 = actions->find<session::SendPacket>()) append(message_3->frame);
  return {};
}

Outcome<void> LpRegistrationClient::send_registration_request(
    const messages::RegistrationRequest& request, MonotonicTime deadline) {
  if (request_made_) {
    return fail(Stage::request, ProbeCode::internal, "send_registration_request out of order");
  }
  return complete(deadline, [&] { return advance_request(request); });
}

Outcome<Progress> LpRegistrationClient::advance_request(
    const messages::RegistrationRequest& request) {
  if (!times_.handshake_complete || times_.request_sent) {
    return fail(Stage::request, ProbeCode::internal, "advance_request out of order");
  }
  phase_ = Phase::request;
  if (!request_made_) {
    if (auto made = make_request(request); !made) return std::unexpected(std::move(made.error()));
  }
  auto sent = flush();
  if (!sent || *sent != Progress::done) return sent;
  times_.request_sent = std::chrono::steady_clock::now();
  phase_ = Phase::response;
  return Progress::done;
}

Outcome<void> LpRegistrationClient::make_request(const messages::RegistrationRequest& request) {
  request_made_ = true;
  Bytes plaintext = messages::encode(request);
  const auto actions = machine_->process(session::SendData{plaintext});
  if (options_.observer != nullptr) options_.observer->on_plaintext(Direction::sent, plaintext);
  wipe(plaintext);  // it holds the ticket
  if (!actions) {
    return fail(Stage::request, ProbeCode::internal, std::string(gloss(actions.error())));
  }
  if (const auto* packet = actions->find<session::SendPacket>()) append(packet->frame);
  return {};
}

Outcome<messages::RegistrationResponse> LpRegistrationClient::receive_registration_response(
    MonotonicTime deadline) {
  std::optional<messages::RegistrationResponse> response;
  auto completed = complete(deadline, [&]() -> Outcome<Progress> {
    auto advanced = advance_response();
    if (!advanced) return std::unexpected(std::move(advanced.error()));
    response = std::move(*advanced);
    return response ? Progress::done : Progress::reading;
  });
  if (!completed) return std::unexpected(std::move(completed.error()));
  return std::move(*response);
}

Outcome<std::optional<messages::RegistrationResponse>> LpRegistrationClient::advance_response() {
  if (!times_.request_sent || times_.response_received) {
    return fail(Stage::response, ProbeCode::internal, "advance_response out of order");
  }
  while (true) {
    const auto packet = read_packet();
    if (!packet) return std::unexpected(packet.error());
    if (!*packet) return std::nullopt;
    const auto actions = machine_->process(session::ReceivePacket{**packet});
    if (!actions) return std::unexpected(refused(actions.error()));
    if (const auto* drop = actions->find<session::DropPacket>()) drop_reason_ = drop->reason;
    const auto* data = actions->find<session::DeliverData>();
    if (data == nullptr) continue;
    times_.response_received = std::chrono::steady_clock::now();
    if (options_.observer != nullptr) {
      options_.observer->on_plaintext(Direction::received, data->plaintext);
    }
    auto response = messages::decode_response(data->plaintext);
    if (!response) {
      return std::unexpected(refused(
          response.error(), fmt::format("{} bytes of plaintext: ", data->plaintext.size())));
    }
    return std::optional(std::move(*response));
  }
}

std::optional<std::uint32_t> LpRegistrationClient::lp_id() const noexcept {
  return machine_ ? std::optional(machine_->lp_id()) : std::nullopt;
}

void LpRegistrationClient::append(ByteView frame) {
  pending_.insert(pending_.end(), frame.begin(), frame.end());
}

Outcome<Progress> LpRegistrationClient::flush() {
  observe_pending();
  while (written_ < pending_.size()) {
    std::size_t size = pending_.size() - written_;
    if (!options_.coalesce) {
      // One frame at a time; the frames are our own, so their lengths are right.
      std::size_t end = 0;
      while (end <= written_)
        end += wire::frame_length_size + load_be<std::uint32_t>(pending_.data() + end);
      size = end - written_;
    }
    const auto sent = send(socket_.get(), pending_.data() + written_, size, MSG_NOSIGNAL);
    if (sent >= 0) {
      written_ += static_cast<std::size_t>(sent);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return Progress::writing;
    return std::unexpected(explain_failed_send(errno));
  }
  pending_.clear();
  observed_ = 0;
  written_ = 0;
  return Progress::done;
}

void LpRegistrationClient::observe_pending() {
  if (options_.observer == nullptr) return;
  const ByteView pending(pending_);
  while (observed_ + wire::frame_length_size + wire::header_size <= pending.size()) {
    const std::size_t size = load_be<std::uint32_t>(pending.data() + observed_);
    const auto packet = pending.subspan(observed_ + wire::frame_length_size, size);
    const auto header = wire::parse_header(packet.first<wire::header_size>());
    options_.observer->on_packet({Direction::sent, std::chrono::steady_clock::now(), packet,
                                  header ? std::optional(*header) : std::nullopt});
    observed_ += wire::frame_length_size + size;
  }
}

// A gateway that answers Busy closes at once; bytes of ours that arrive later are answered with a
// reset. What it said before is still in the receive queue.
ProbeError LpRegistrationClient::explain_failed_send(int error) {
  const auto packet = read_packet();
  if (packet && *packet) {
    const auto actions = machine_->process(session::ReceivePacket{**packet});
    if (!actions) return refused(actions.error());
  }
  return closed(error);
}

Outcome<std::optional<ByteView>> LpRegistrationClient::read_packet() {
  std::array<std::uint8_t, 4096> chunk;
  while (true) {
    const auto packet = reader_.next(machine_->max_packet_size());
    if (!packet) return std::unexpected(refused(packet.error()));
    if (*packet) {
      if (options_.observer != nullptr) {
        const auto header = wire::parse_header((*packet)->first<wire::header_size>());
        options_.observer->on_packet({Direction::received, std::chrono::steady_clock::now(),
                                      **packet, header ? std::optional(*header) : std::nullopt});
      }
      return *packet;
    }
    const auto size = recv(socket_.get(), chunk.data(), chunk.size(), 0);
    if (size > 0) {
      reader_.append(ByteView(chunk.data(), static_cast<std::size_t>(size)));
      continue;
    }
    if (size == 0) return std::unexpected(closed(0));
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return std::nullopt;
    return std::unexpected(closed(errno));
  }
}

Stage LpRegistrationClient::stage() const noexcept {
  return phase_stages[static_cast<std::size_t>(phase_)];
}

ProbeError LpRegistrationClient::closed(int error) const {
  const bool reset = error == ECONNRESET || error == EPIPE;
  const std::string how = error == 0 ? "closed" : reset ? "reset" : errno_text(error);
  if (reader_.buffered() > 0) {
    return {
        phase_ <= Phase::handshake ? Stage::handshake : Stage::response,
        ProbeCode::closed_mid_frame,
        fmt::format("connection {} with {} bytes of an unfinished frame", how, reader_.buffered())};
  }
  if (error != 0 && !reset) {
    return {stage(), ProbeCode::connection_failed, how};
  }
  switch (phase_) {
    case Phase::connect:
    case Phase::client_hello:
    case Phase::handshake:
      if (times_.handshake_complete || !pending_.empty()) break;
      return {Stage::client_hello, ProbeCode::closed_after_client_hello,
              fmt::format("connection {} before message 2", how)};
    case Phase::request:
      return {Stage::request, ProbeCode::request_send_failed,
              fmt::format("connection {} before the request was sent", how)};
    case Phase::response:
      break;
  }
  if (auto error_of_drop = dropped()) return *error_of_drop;
  return {Stage::handshake, ProbeCode::closed_after_handshake,
          fmt::format("connection {} before any answer to message 3 and the request", how)};
}

ProbeError LpRegistrationClient::timed_out() const {
  switch (phase_) {
    case Phase::connect:
      return connect_error(remote_, {.wait = Wait::timeout});
    case Phase::client_hello:
      return {Stage::client_hello, ProbeCode::handshake_timeout, "ClientHello could not be sent"};
    case Phase::handshake:
      return {Stage::handshake, ProbeCode::handshake_timeout,
              reader_.buffered() == 0
                  ? std::string("no byte of message 2")
                  : fmt::format("only {} bytes of message 2", reader_.buffered())};
    case Phase::request:
      return {Stage::request, ProbeCode::request_timeout, "the request could not be sent"};
    case Phase::response:
      break;
  }
  if (auto error = dropped()) return *error;
  return {Stage::response, ProbeCode::response_timeout,
          reader_.buffered() == 0 ? std::string("no byte of a response")
                                  : fmt::format("only {} bytes of a response", reader_.buffered())};
}

ProbeError LpRegistrationClient::refused(Error error, std::string detail) const {
  detail += gloss(error);
  if (error == Error::busy) return {Stage::client_hello, ProbeCode::busy, std::move(detail)};
  const Stage stage = phase_ <= Phase::handshake ? Stage::handshake : Stage::response;
  return {stage, code_of(error), std::move(detail)};
}

std::optional<ProbeError> LpRegistrationClient::dropped() const {
  if (!drop_reason_) return std::nullopt;
  return ProbeError{Stage::response, code_of(*drop_reason_),
                    fmt::format("{} packets dropped, the last because {}", machine_->dropped(),
                                gloss(*drop_reason_))};
}

Outcome<void> judge(const messages::RegistrationResponse& response, const messages::Mode& mode) {
  if (!response.success) {
    if (!response.error) {
      return fail(Stage::response, ProbeCode::registration_rejected, "the gateway gave no reason");
    }
    return fail(Stage::response, code_of_sentence(*response.error), printable(*response.error));
  }
  if (!std::holds_alternative<messages::Dvpn>(mode)) return {};
  if (!response.gateway_data) {
    return fail(Stage::response, ProbeCode::missing_gateway_data, "success without gateway_data");
  }
  const auto& data = *response.gateway_data;
  const auto invalid = [](std::string_view what) {
    return fail(Stage::response, ProbeCode::gateway_data_invalid, std::string(what));
  };
  if (crypto::is_low_order(data.public_key)) return invalid("the WireGuard key is of low order");
  if (data.endpoint.port == 0) return invalid("the endpoint's port is 0");
  if (data.private_ipv4 == messages::IpV4{}) return invalid("the private IPv4 address is 0.0.0.0");
  if (data.private_ipv6 == messages::IpV6{}) return invalid("the private IPv6 address is ::");
  return {};
}

}  // namespace lp::probe::client
