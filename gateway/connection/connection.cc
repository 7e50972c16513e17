#include "gateway/connection/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <cerrno>
#include <exception>
#include <utility>

#include "gateway/config/log.h"
#include "gateway/connection/address.h"
#include "lib/crypto/random.h"
#include "lib/messages/registration_errors.h"

namespace lp::gateway::connection {
namespace {

using messages::RegistrationFailure;
using metrics::HandshakeFailure;
using metrics::HelloFailure;
using std::chrono::steady_clock;

/// A client that goes on sending after its request is listened to for this many bytes.
constexpr std::size_t max_surplus_input = 1024 * 1024;

double seconds_since(MonotonicTime begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

std::chrono::milliseconds limit_of(const StageDeadlines& deadlines, int stage) {
  const std::chrono::milliseconds limits[] = {deadlines.hello, deadlines.handshake,
                                              deadlines.request, deadlines.processing,
                                              deadlines.write};
  return limits[stage];
}

registration::Answer refusal(RegistrationFailure failure) {
  registration::Answer answer;
  answer.response.error = messages::sentence(failure);
  answer.response.session_id = crypto::random_u32();
  answer.failure = failure;
  return answer;
}

/// The status of a session's record after this answer.
std::string_view status_of(const registration::Answer& answer) {
  if (!answer.failure) return "success";
  switch (*answer.failure) {
    case RegistrationFailure::credential_scheme_unsupported:
    case RegistrationFailure::wrong_amount:
    case RegistrationFailure::credential_expired:
    case RegistrationFailure::unknown_verification_key:
    case RegistrationFailure::bad_signature:
    case RegistrationFailure::credential_already_spent:
      return "credential_rejected";
    case RegistrationFailure::processing_timeout:
      return "timeout";
    default:
      return "registration_failed";
  }
}

}  // namespace

void Connection::start(Worker& worker, const Services& services, Accepted accepted) {
  const MonotonicTime at = accepted.at;
  try {
    std::unique_ptr<Connection> connection(new Connection(worker, services, std::move(accepted)));
    auto task = connection->run();
    asio::co_spawn(worker.context, std::move(task),
                   [connection = std::move(connection)](const std::exception_ptr& error) mutable {
                     const Services& all = connection->services_;
                     connection->ended(error != nullptr);
                     connection.reset();
                     all.closed();
                   });
  } catch (const std::exception& error) {
    // No memory, or the kernel watches no further descriptor for us.
    log::write_limited(log::Level::warning, "connection start",
                       "a connection ends before it begins", {{"error", error.what()}});
    services.metrics.client_hello_failed(HelloFailure::io_error);
    services.metrics.connection_closed(false, seconds_since(at));
    worker.assigned.fetch_sub(1, std::memory_order_relaxed);
    services.closed();
  }
}

Connection::Connection(Worker& worker, const Services& services, Accepted accepted)
    : worker_(worker),
      services_(services),
      slot_(std::move(accepted.slot)),
      socket_(worker.context),
      settings_(std::move(accepted.settings)),
      peer_(accepted.peer),
      accepted_at_(accepted.at),
      stage_began_(accepted.at) {
  const bool ipv4 = std::holds_alternative<messages::IpV4>(peer_);
  socket_.assign(ipv4 ? asio::ip::tcp::v4() : asio::ip::tcp::v6(), accepted.fd.get());
  (void)accepted.fd.release();
}

Connection::~Connection() = default;

/// `success` is a connection whose client was answered, whatever the answer says.
void Connection::ended(bool exceptionally) noexcept {
  if (exceptionally)
    log::write_limited(log::Level::error, "connection", "a connection ended for want of memory");
  Deadlines::cancel(*this);
  services_.metrics.connection_closed(answered_ && !exceptionally, seconds_since(accepted_at_));
  worker_.assigned.fetch_sub(1, std::memory_order_relaxed);
}

/// accept → ClientHello → handshake → one registration request → response → close.
Task<void> Connection::run() {
  set_deadline();  // the hello stage began with accept
  bool go_on = co_await take_hello();
  if (go_on) {
    record_session("in_progress", false);
    go_on = co_await shake_hands();
    if (go_on) go_on = co_await take_request();
    if (go_on) {
      const registration::Answer answer = co_await register_client();
      answered_ = co_await send_answer(answer);
    }
    record_session(status_, true);
  }
  if (answered_) {
    co_await hang_up();
  } else {
    // Unread input would turn the close into a reset.
    (void)discard_input();
  }
}

Task<bool> Connection::take_hello() {
  const auto packet = co_await next_packet(wire::client_hello_packet_size);
  if (!packet) {
    switch (packet.error().cause) {
      case NoPacket::Cause::refused:
        co_return refuse_hello(metrics::hello_failure(packet.error().error));
      case NoPacket::Cause::closed:
        co_return refuse_hello(HelloFailure::closed);
      case NoPacket::Cause::timeout:
        co_return refuse_hello(HelloFailure::timeout);
      case NoPacket::Cause::shutting_down:
        co_return refuse_hello(HelloFailure::shutting_down);
      case NoPacket::Cause::io_error:
        co_return refuse_hello(HelloFailure::io_error);
    }
  }
  const auto parsed = wire::parse_packet(*packet);
  if (!parsed) co_return refuse_hello(metrics::hello_failure(parsed.error()));
  const auto hello = wire::ClientHello::from_packet(*parsed);
  if (!hello) co_return refuse_hello(metrics::hello_failure(hello.error()));

  // "A gateway refuses a time that differs from its own by more than its tolerance, in either
  // direction" (lp-protocol(7), "ClientHello").
  const UnixSeconds now = services_.clock.now();
  const std::uint64_t tolerance = settings_->timestamp_tolerance_secs;
  if (!within_tolerance(hello->timestamp, now, tolerance)) {
    co_return refuse_hello(HelloFailure::timestamp);
  }
  // Before any Diffie-Hellman, which is what a replay would cost.
  const auto taken = services_.hellos.take(*hello, now, tolerance);
  services_.metrics.set_hello_cache_entries(taken.entries);
  if (taken.evicted) services_.metrics.hello_cache_evicted();
  switch (taken.verdict) {
    case HelloCache::Verdict::replayed:
      co_return refuse_hello(HelloFailure::replayed);
    case HelloCache::Verdict::forgotten:
      co_return refuse_hello(HelloFailure::timestamp);
    case HelloCache::Verdict::fresh:
      break;
  }
  started_at_ = now;
  machine_ = std::make_unique<session::StateMachine>(session::StateMachine::responder(
      services_.static_keys, hello->client_public_key, hello->salt));
  co_return true;
}

bool Connection::refuse_hello(HelloFailure reason) {
  services_.metrics.client_hello_failed(reason);
  log_failure("ClientHello refused",
              metrics::hello_failure_labels[static_cast<std::size_t>(reason)]);
  return false;
}

/// "Until the handshake is complete it ends the connection, and the gateway sends nothing"
/// (docs/gateway.md, "One connection").
Task<bool> Connection::shake_hands() {
  enter(Stage::handshake);
  for (;;) {
    const auto packet = co_await next_packet(machine_->max_packet_size());
    if (!packet) {
      switch (packet.error().cause) {
        case NoPacket::Cause::refused:
          co_return refuse_handshake(metrics::handshake_failure(packet.error().error));
        case NoPacket::Cause::closed:
          co_return refuse_handshake(HandshakeFailure::closed);
        case NoPacket::Cause::timeout:
          co_return refuse_handshake(HandshakeFailure::timeout);
        case NoPacket::Cause::shutting_down:
          co_return refuse_handshake(HandshakeFailure::shutting_down);
        case NoPacket::Cause::io_error:
          co_return refuse_handshake(HandshakeFailure::io_error);
      }
    }
    const auto actions = machine_->process(session::ReceivePacket{*packet});
    if (!actions) co_return refuse_handshake(metrics::handshake_failure(actions.error()));
    if (const auto* reply = actions->find<session::SendPacket>()) {
      const bool written = co_await write(reply->frame);
      if (!written) {
        if (!stage_over_) co_return refuse_handshake(HandshakeFailure::io_error);
        co_return refuse_handshake(stopping() ? HandshakeFailure::shutting_down
                                              : HandshakeFailure::timeout);
      }
    }
    if (actions->find<session::HandshakeComplete>() != nullptr) {
      services_.metrics.handshake_succeeded(seconds_since(stage_began_));
      co_return true;
    }
  }
}

bool Connection::refuse_handshake(HandshakeFailure reason) {
  services_.metrics.handshake_failed(reason, seconds_since(stage_began_));
  status_ = reason == HandshakeFailure::timeout ? "timeout" : "handshake_failed";
  log_failure("handshake refused",
              metrics::handshake_failure_labels[static_cast<std::size_t>(reason)]);
  return false;
}

std::string_view Connection::NoPacket::name() const noexcept {
  switch (cause) {
    case Cause::refused:
      return lp::name(error);
    case Cause::closed:
      return "closed";
    case Cause::timeout:
      return "timeout";
    case Cause::shutting_down:
      return "shutting_down";
    case Cause::io_error:
      break;
  }
  return "io_error";
}

/// The first packet that decrypts is the request; up to 16 are dropped before it.
Task<bool> Connection::take_request() {
  enter(Stage::request);
  for (;;) {
    const auto packet = co_await next_packet(messages::max_request_packet_size);
    if (!packet) {
      status_ =
          packet.error().cause == NoPacket::Cause::timeout ? "timeout" : "registration_failed";
      log_failure("no request came", packet.error().name());
      co_return false;
    }
    const auto actions = machine_->process(session::ReceivePacket{*packet});
    if (!actions) {
      status_ = "registration_failed";
      log_failure("request refused", name(actions.error()));
      co_return false;
    }
    if (const auto* request = actions->find<session::DeliverData>()) {
      request_ = request->plaintext;
      co_return true;
    }
  }
}

/// Hands the request to the registrar and waits for its answer, or until the time for it is over.
/// The registration itself goes on to its end either way. Counts the attempt's one outcome.
Task<registration::Answer> Connection::register_client() {
  enter(Stage::processing);
  surplus_input_ = reader_.buffered() > 0;
  reader_ = {};
  services_.metrics.registration_attempted();

  AwaitedAnswer awaited(worker_.context);
  services_.registrar.submit({.plaintext = request_,
                              .local_address = local_address(),
                              .peer = peer_,
                              .timestamp_tolerance_secs = settings_->timestamp_tolerance_secs,
                              .deadline = stage_ends_},
                             awaited.receiver());
  request_ = {};
  awaited_ = &awaited;
  std::optional<registration::Answer> answer = co_await awaited.wait();
  awaited_ = nullptr;
  if (!answer) {
    answer = refusal(stopping() ? RegistrationFailure::shutting_down
                                : RegistrationFailure::processing_timeout);
  }
  if (answer->failure) {
    services_.metrics.registration_failed(*answer->failure, seconds_since(stage_began_));
  } else {
    services_.metrics.registration_succeeded(answer->mixnet, seconds_since(stage_began_));
  }
  status_ = status_of(*answer);
  client_id_ = answer->client_id;
  session_id_ = answer->response.session_id;
  log_outcome(*answer);
  co_return std::move(*answer);
}

Task<bool> Connection::send_answer(const registration::Answer& answer) {
  enter(Stage::write);
  const Bytes plaintext = messages::encode(answer.response);
  const auto actions = machine_->process(session::SendData{plaintext});
  bool written = false;
  if (actions) {
    if (const auto* packet = actions->find<session::SendPacket>()) {
      written = co_await write(packet->frame);
    }
  }
  services_.metrics.step(metrics::Step::response, seconds_since(stage_began_));
  if (!written) log_failure("the answer could not be sent", stage_over_ ? "timeout" : "io_error");
  co_return written;
}

/// Closes so that the answer arrives: a close with input unread, or input after the close, makes
/// the kernel send a reset, for which some clients throw away what they have not read yet. A client
/// that sent just its request is not waited for; one that sent more is, until it has closed too or
/// the time for writing is over.
Task<void> Connection::hang_up() {
  std::size_t discarded = discard_input();
  if (!peer_closed_ && (surplus_input_ || discarded > 0)) {
    ::shutdown(socket_.native_handle(), SHUT_WR);
    while (!peer_closed_ && !stage_over_ && discarded < max_surplus_input) {
      co_await wait(asio::socket_base::wait_read);
      discarded += discard_input();
    }
  }
}

void Connection::enter(Stage stage) {
  stage_ = stage;
  stage_began_ = steady_clock::now();
  stage_over_ = false;
  set_deadline();
}

void Connection::set_deadline() {
  stage_ends_ = stage_began_ + limit_of(settings_->deadlines, static_cast<int>(stage_));
  if (const auto& closing = worker_.closing) {
    const MonotonicTime cut = !any_received_           ? closing->began
                              : stage_ == Stage::write ? closing->end_by
                                                       : closing->answer_by;
    stage_ends_ = std::min(stage_ends_, cut);
  }
  worker_.deadlines.set(*this, stage_ends_);
}

void Connection::cut_short(Deadline& deadline) {
  static_cast<Connection&>(deadline).set_deadline();
}

/// Wakes whatever the coroutine waits for. It is suspended, for otherwise it would run.
void Connection::expire() {
  stage_over_ = true;
  if (awaited_ != nullptr) {
    awaited_->give_up();
  } else {
    boost::system::error_code ignored;
    socket_.cancel(ignored);
  }
}

Task<void> Connection::wait(asio::socket_base::wait_type what) {
  if (stage_over_) co_return;
  boost::system::error_code ignored;  // what there is to know, the next call on the socket tells
  co_await socket_.async_wait(what, asio::redirect_error(use_task, ignored));
}

/// The next packet of at most `max_size` bytes; the view is good until the next call. Waits before
/// it reads, for a packet that is not here yet usually needs a round trip.
Task<std::expected<ByteView, Connection::NoPacket>> Connection::next_packet(std::size_t max_size) {
  using Cause = NoPacket::Cause;
  for (;;) {
    const auto packet = reader_.next(max_size);
    if (!packet) co_return std::unexpected(NoPacket{Cause::refused, packet.error()});
    if (*packet) co_return **packet;

    co_await wait(asio::socket_base::wait_read);
    if (stage_over_) {
      co_return std::unexpected(NoPacket{stopping() ? Cause::shutting_down : Cause::timeout});
    }
    const ssize_t count = ::recv(socket_.native_handle(), worker_.scratch.data(),
                                 worker_.scratch.size(), MSG_DONTWAIT);
    if (count > 0) {
      any_received_ = true;
      const auto size = static_cast<std::size_t>(count);
      services_.metrics.bytes_received(size);
      reader_.append(ByteView(worker_.scratch).first(size));
    } else if (count == 0 || errno == ECONNRESET) {
      peer_closed_ = true;
      co_return std::unexpected(NoPacket{Cause::closed});
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
      co_return std::unexpected(NoPacket{Cause::io_error});
    }
  }
}

/// Writes all of it within the stage's time. Seldom waits: a socket's buffer takes a flight at
/// once.
Task<bool> Connection::write(ByteView frame) {
  while (!frame.empty()) {
    const ssize_t count =
        ::send(socket_.native_handle(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count >= 0) {
      services_.metrics.bytes_sent(static_cast<std::uint64_t>(count));
      frame = frame.subspan(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      co_await wait(asio::socket_base::wait_write);
      if (stage_over_) co_return false;
    } else if (errno != EINTR) {
      co_return false;
    }
  }
  co_return true;
}

/// Throws away what has arrived, without waiting. Returns how much that was.
std::size_t Connection::discard_input() noexcept {
  std::size_t total = 0;
  while (!peer_closed_ && total < max_surplus_input) {
    const ssize_t count = ::recv(socket_.native_handle(), worker_.scratch.data(),
                                 worker_.scratch.size(), MSG_DONTWAIT);
    if (count > 0) {
      total += static_cast<std::size_t>(count);
    } else if (count < 0 && errno == EINTR) {
      continue;
    } else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      break;
    } else {
      peer_closed_ = true;
    }
  }
  if (total > 0) services_.metrics.bytes_received(total);
  return total;
}

messages::IpAddress Connection::local_address() const noexcept {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  // A socket that is connected has an address; a failure would show as 0.0.0.0.
  if (::getsockname(const_cast<Socket&>(socket_).native_handle(),
                    reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return messages::IpV4{};
  }
  return socket_address(address).ip;
}

/// `cause` is the label under which it is counted, where it is counted.
void Connection::log_failure(std::string_view what, std::string_view cause) const {
  if (!log::enabled(log::Level::debug)) return;
  const std::string peer = messages::to_string(peer_);
  if (machine_) {
    log::write_limited(log::Level::debug, cause, what,
                       {{"peer", peer}, {"lp_id", machine_->lp_id()}});
  } else {
    log::write_limited(log::Level::debug, cause, what, {{"peer", peer}});
  }
}

void Connection::log_outcome(const registration::Answer& answer) const {
  if (answer.failure) return log_failure("registration refused", messages::label(*answer.failure));
  if (!log::enabled(log::Level::debug)) return;
  log::debug("registered", {{"peer", messages::to_string(peer_)},
                            {"lp_id", machine_->lp_id()},
                            {"mode", answer.mixnet ? "mixnet" : "dvpn"},
                            {"client", client_id_.value_or(0)},
                            {"bandwidth", answer.response.allocated_bandwidth}});
}

void Connection::record_session(std::string_view status, bool completed) {
  if (!services_.record_sessions) return;
  if (!completed) session_id_ = crypto::random_u32();
  storage::SessionRecord record;
  record.session_id = session_id_;
  record.lp_id = machine_->lp_id();
  record.client_ip = messages::to_string(peer_);
  record.started_at = started_at_;
  record.status = status;
  if (completed) {
    record.completed_at = services_.clock.now();
    record.client_id = client_id_;
  }
  services_.storage.record_session(std::move(record));
}

}  // namespace lp::gateway::connection
