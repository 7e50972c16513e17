// One connection, from accept to close (docs/gateway.md, "One connection").
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "gateway/config/settings.h"
#include "gateway/connection/admission.h"
#include "gateway/connection/asio.h"
#include "gateway/connection/awaited_answer.h"
#include "gateway/connection/deadlines.h"
#include "gateway/connection/hello_cache.h"
#include "gateway/connection/unique_fd.h"
#include "gateway/connection/worker.h"
#include "gateway/metrics/metrics.h"
#include "gateway/registration/registrar.h"
#include "gateway/storage/storage.h"
#include "lib/session/state_machine.h"
#include "lib/wire/frame_reader.h"

namespace lp::gateway::connection {

/// What all connections use. The references outlive them.
struct Services {
  const crypto::X25519KeyPair& static_keys;
  registration::Registrar& registrar;
  storage::Storage& storage;
  const WallClock& clock;
  metrics::Metrics& metrics;
  HelloCache& hellos;
  bool record_sessions = false;
  /// Called on the connection's thread when it has ended and its descriptor is closed.
  std::function<void()> closed;
};

/// A connection that was admitted, with the settings of that moment.
struct Accepted {
  UniqueFd fd;  ///< non-blocking
  Slot slot;
  messages::IpAddress peer;
  MonotonicTime at;
  std::shared_ptr<const ReloadableSettings> settings;
};

/// Drives one connection on one I/O thread: a coroutine that is suspended while it waits for the
/// peer, for the registrar, or for the peer to take bytes. Each stage has one deadline, set when
/// the stage begins and renewed by nothing.
///
/// Memory follows the bytes that came: an idle connection holds no buffer and no key.
class Connection final : private Deadline {
 public:
  /// Takes the connection over, on the worker's thread. It ends and frees itself.
  static void start(Worker& worker, const Services& services, Accepted accepted);
  ~Connection();

  /// Applies `worker.closing`, which has just been set, to a connection given as what it is derived
  /// from.
  static void cut_short(Deadline& deadline);

 private:
  enum class Stage : std::uint8_t { hello, handshake, request, processing, write };
  /// Why the peer's next packet does not come.
  struct NoPacket {
    enum class Cause : std::uint8_t { refused, closed, timeout, shutting_down, io_error };
    Cause cause;
    Error error{};  ///< where the packet was refused
    [[nodiscard]] std::string_view name() const noexcept;
  };

  Connection(Worker& worker, const Services& services, Accepted accepted);

  Task<void> run();

  // The stages, in order. Each counts its own failure, and gives false where the connection ends.
  Task<bool> take_hello();
  Task<bool> shake_hands();
  Task<bool> take_request();
  Task<registration::Answer> register_client();
  Task<bool> send_answer(const registration::Answer& answer);
  Task<void> hang_up();

  void ended(bool exceptionally) noexcept;
  void enter(Stage stage);
  void set_deadline();
  void expire() override;
  [[nodiscard]] bool stopping() const noexcept { return worker_.closing.has_value(); }

  Task<std::expected<ByteView, NoPacket>> next_packet(std::size_t max_size);
  /// Waits until the socket is ready or the stage is over.
  Task<void> wait(asio::socket_base::wait_type what);
  Task<bool> write(ByteView frame);
  [[nodiscard]] std::size_t discard_input() noexcept;
  [[nodiscard]] messages::IpAddress local_address() const noexcept;

  [[nodiscard]] bool refuse_hello(metrics::HelloFailure reason);
  [[nodiscard]] bool refuse_handshake(metrics::HandshakeFailure reason);
  void record_session(std::string_view status, bool completed);
  void log_failure(std::string_view what, std::string_view cause) const;
  void log_outcome(const registration::Answer& answer) const;

  Worker& worker_;
  const Services& services_;
  Slot slot_;  // before the socket: a place is free again once the descriptor is
  Socket socket_;
  std::shared_ptr<const ReloadableSettings> settings_;
  messages::IpAddress peer_;
  MonotonicTime accepted_at_;
  MonotonicTime stage_began_;
  MonotonicTime stage_ends_;
  Stage stage_ = Stage::hello;
  bool stage_over_ = false;     // its deadline has passed
  bool any_received_ = false;   // a byte of anything
  bool peer_closed_ = false;    // its sending side
  bool surplus_input_ = false;  // more than a request needs
  bool answered_ = false;       // the answer was written

  wire::FrameReader reader_;
  std::unique_ptr<session::StateMachine> machine_;  // once ClientHello is taken
  ByteView request_;                                // the machine's, until its next input
  AwaitedAnswer* awaited_ = nullptr;                // while waiting for it

  std::uint32_t session_id_ =
      0;  // of the session's record: the answer's, random until there is one
  UnixSeconds started_at_ = 0;
  std::string_view status_ = "timeout";
  std::optional<storage::ClientRowId> client_id_;
};

}  // namespace lp::gateway::connection
