// A registration, from a decrypted request to its answer (docs/gateway.md, "Registration").
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "gateway/ecash/verifier.h"
#include "gateway/metrics/metrics.h"
#include "gateway/storage/storage.h"
#include "gateway/wireguard/controller.h"
#include "gateway/wireguard/leases.h"
#include "lib/base/clock.h"
#include "lib/messages/registration.h"
#include "lib/messages/registration_errors.h"

namespace lp::gateway::registration {

struct RegistrarOptions {
  crypto::X25519Public wireguard_public_key;  ///< the gateway's own
  /// Announced endpoint; without it the address the client connected to, with announced_port.
  std::optional<messages::IpAddress> announced_address;
  std::uint16_t announced_port = 51822;
};

struct Attempt {
  ByteView plaintext;                 ///< the decrypted request; copied before returning
  messages::IpAddress local_address;  ///< the address the client connected to
  messages::IpAddress peer;           ///< the client's address
  std::uint32_t timestamp_tolerance_secs = 30;
  /// After this no ticket is taken any more: the client has been told `processing_timeout`.
  MonotonicTime deadline = MonotonicTime::max();
};

/// The answer to be sent, and what to count.
struct Answer {
  messages::RegistrationResponse response;
  std::optional<messages::RegistrationFailure> failure;  ///< none: success
  bool mixnet = false;
  std::optional<storage::ClientRowId> client_id;
};

using AnswerDone = std::move_only_function<void(Answer)>;

/// Carries attempts through decode, checks, verification, database, WireGuard. Counts steps,
/// verification results and allocated bandwidth; attempts and outcomes are the caller's to count.
class Registrar {
 public:
  virtual ~Registrar() = default;
  /// Answers exactly once, on any thread or before returning. A registration that has begun goes on
  /// to its end whether or not anybody still waits for it.
  virtual void submit(const Attempt& attempt, AnswerDone done) = 0;
  /// Registrations not ended yet.
  [[nodiscard]] virtual std::size_t in_flight() const = 0;
  /// Tries again the compensations that the storage could not carry out. Their keys stay leased
  /// until they are done. Called with each comparison of database and WireGuard.
  virtual void retry_compensations() = 0;
};

/// The references must outlive it.
[[nodiscard]] std::unique_ptr<Registrar> make_registrar(
    RegistrarOptions options, ecash::Verifier& verifier, storage::Storage& storage,
    wireguard::Controller& wireguard, wireguard::Leases& leases, const WallClock& clock,
    metrics::Metrics& metrics);

}  // namespace lp::gateway::registration
