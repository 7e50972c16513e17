// One registration on its way from a decrypted request to its answer.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include "gateway/registration/registrar.h"

namespace lp::gateway::registration {

class Registration;

/// What registrations share. Outlives every one of them.
struct Context {
  const RegistrarOptions options;
  ecash::Verifier& verifier;
  storage::Storage& storage;
  wireguard::Controller& wireguard;
  wireguard::Leases& leases;
  const WallClock& clock;
  metrics::Metrics& metrics;
  /// Keeps a registration whose compensation the storage could not carry out, for a later try.
  std::function<void(std::shared_ptr<Registration>)> park;
  std::atomic<std::size_t> in_flight = 0;
};

/// Runs from one completion to the next, each on the thread that completed; no two of its functions
/// run at the same time. It keeps itself alive until its last step and holds its leases that long.
class Registration : public std::enable_shared_from_this<Registration> {
 public:
  Registration(Context& context, const Attempt& attempt, AnswerDone done);
  ~Registration();

  void start(ByteView plaintext);
  /// Undoes step 2. Called again for a parked one.
  void compensate();

 private:
  using Failure = messages::RegistrationFailure;

  /// What a client is told that it has.
  struct Grant {
    storage::ClientRowId client_id = 0;
    std::int64_t amount = 0;
    std::optional<storage::AddressPair> addresses{};
    std::optional<storage::ServingInstance> served_by{};
  };

  // Step 1: pure checks.
  [[nodiscard]] std::optional<Failure> check_request();
  [[nodiscard]] std::optional<Failure> check_wireguard_key();
  void verify();
  void verified(const ecash::Verified& verified);
  /// The answer of an earlier acceptance, or `otherwise` where there was none.
  void answer_if_spent_before(Failure otherwise);
  // Step 2: one transaction.
  void acquire_leases();
  void accept();
  void accepted(const storage::AcceptanceResult& result);
  // Step 3: WireGuard.
  void add_peer();
  void remove_peer();
  // Step 4: the answer.
  void succeed_with_credit();
  void replay(const Grant& grant);
  void succeed(const Grant& grant);
  void fail(Failure failure);
  void fail(const storage::StorageError& error);
  void reject_credential(Failure failure);
  void finish(Answer answer);

  [[nodiscard]] storage::Owner owner() const;
  [[nodiscard]] bool is_dvpn() const;
  /// None where the other instance's address is no address: rows are written by instances, which
  /// start only with one, but a database can be changed by hand.
  [[nodiscard]] std::optional<messages::GatewayData> gateway_data(
      const storage::AddressPair& addresses,
      const std::optional<storage::ServingInstance>& served_by) const;

  Context& context_;
  const messages::IpAddress local_address_;
  const messages::IpAddress peer_;
  const std::uint32_t timestamp_tolerance_secs_;
  const MonotonicTime deadline_;
  AnswerDone done_;

  messages::RegistrationRequest request_;
  crypto::X25519Public wireguard_key_;
  std::int64_t amount_ = 0;
  storage::AcceptanceResult acceptance_;
  MonotonicTime step_began_;
  // The order matters: the owner's lease is given up first.
  wireguard::Lease nullifier_lease_;
  wireguard::Lease owner_lease_;
};

}  // namespace lp::gateway::registration
