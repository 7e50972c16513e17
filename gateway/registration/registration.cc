#include "gateway/registration/registration.h"

#include <chrono>
#include <limits>
#include <utility>
#include <variant>

#include "gateway/config/log.h"
#include "lib/crypto/random.h"

namespace lp::gateway::registration {
namespace {

using messages::RegistrationFailure;
using metrics::Step;

double seconds_since(MonotonicTime begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

RegistrationFailure to_failure(const storage::StorageError& error) {
  using Kind = storage::StorageError::Kind;
  switch (error.kind) {
    case Kind::busy:
      return RegistrationFailure::gateway_busy;
    case Kind::shutting_down:
      return RegistrationFailure::shutting_down;
    default:
      return RegistrationFailure::storage_failed;
  }
}

messages::RegistrationResponse refusal(RegistrationFailure failure) {
  return {.success = false,
          .error = std::string(messages::sentence(failure)),
          .gateway_data = std::nullopt,
          .allocated_bandwidth = 0,
          .session_id = crypto::random_u32()};
}

}  // namespace

Registration::Registration(Context& context, const Attempt& attempt, AnswerDone done)
    : context_(context),
      local_address_(attempt.local_address),
      peer_(attempt.peer),
      timestamp_tolerance_secs_(attempt.timestamp_tolerance_secs),
      deadline_(attempt.deadline),
      done_(std::move(done)) {
  context_.in_flight.fetch_add(1);
}

Registration::~Registration() {
  owner_lease_.release();
  nullifier_lease_.release();
  context_.in_flight.fetch_sub(1);
}

void Registration::start(ByteView plaintext) {
  auto request = messages::decode_request(plaintext);
  if (!request) return fail(Failure::malformed_request);
  request_ = std::move(*request);
  if (const auto failure = check_request()) return fail(*failure);
  verify();
}

std::optional<RegistrationFailure> Registration::check_request() {
  // The database holds times as i64.
  constexpr auto max_expiry = static_cast<UnixSeconds>(std::numeric_limits<std::int64_t>::max());
  if (request_.credential.expiry > max_expiry) return Failure::malformed_request;
  if (!within_tolerance(request_.timestamp, context_.clock.now(), timestamp_tolerance_secs_)) {
    return Failure::invalid_timestamp;
  }
  if (is_dvpn()) {
    if (const auto failure = check_wireguard_key()) return failure;
  }
  if (messages::is_wireguard(request_.ticket_type) != is_dvpn()) {
    return Failure::ticket_type_mismatch;
  }
  return std::nullopt;
}

std::optional<RegistrationFailure> Registration::check_wireguard_key() {
  const auto key = messages::parse_wg_public_key(request_.wg_public_key);
  // The zero key is of low order. The gateway's own key would make it its own peer.
  if (!key || crypto::is_low_order(*key) || *key == context_.options.wireguard_public_key) {
    return Failure::invalid_wireguard_key;
  }
  wireguard_key_ = *key;
  return std::nullopt;
}

void Registration::verify() {
  step_began_ = std::chrono::steady_clock::now();
  context_.verifier.verify(
      {.credential = request_.credential, .type = request_.ticket_type, .peer = peer_},
      context_.clock.now(),
      [self = shared_from_this()](std::expected<ecash::Verified, Failure> result) {
        self->context_.metrics.step(Step::ecash, seconds_since(self->step_began_));
        if (!result) return self->reject_credential(result.error());
        self->verified(*result);
      });
}

void Registration::verified(const ecash::Verified& verified) {
  amount_ = verified.amount;
  // A ticket that was taken in time is answered after its expiry too: the client may have lost the
  // first answer.
  if (verified.expired) return answer_if_spent_before(Failure::credential_expired);
  acquire_leases();
}

void Registration::answer_if_spent_before(Failure otherwise) {
  context_.storage.find_spent(
      request_.credential.nullifier,
      [self = shared_from_this(),
       otherwise](storage::StorageResult<std::optional<storage::SpentTicket>> found) {
        if (!found) return self->fail(found.error());
        if (!*found) {
          return otherwise == Failure::credential_expired ? self->reject_credential(otherwise)
                                                          : self->fail(otherwise);
        }
        const auto& ticket = **found;
        if (ticket.owner != self->owner()) {
          return self->reject_credential(Failure::credential_already_spent);
        }
        self->replay({.client_id = ticket.client_id,
                      .amount = ticket.amount,
                      .addresses = ticket.addresses,
                      .served_by = ticket.served_by});
      });
}

// A duplicate in flight waits for the first one's outcome, and registrations of one owner are
// carried out one after another. The nullifier's lease comes first (see Leases::acquire).
void Registration::acquire_leases() {
  using Kind = wireguard::LeaseKey::Kind;
  context_.leases.acquire({.kind = Kind::nullifier, .key = request_.credential.nullifier},
                          [self = shared_from_this()](wireguard::Lease nullifier_lease) mutable {
                            self->nullifier_lease_ = std::move(nullifier_lease);
                            const auto& owner = self->owner();
                            const auto kind =
                                self->is_dvpn() ? Kind::wireguard_key : Kind::mixnet_client;
                            auto& leases = self->context_.leases;
                            leases.acquire({.kind = kind, .key = owner.key},
                                           [self = std::move(self)](wireguard::Lease owner_lease) {
                                             self->owner_lease_ = std::move(owner_lease);
                                             self->accept();
                                           });
                          });
}

void Registration::accept() {
  // Nothing is taken from a client that has been told the time is over, and nothing while the peer
  // could not go live.
  if (std::chrono::steady_clock::now() >= deadline_) return fail(Failure::processing_timeout);
  if (is_dvpn() && !context_.wireguard.healthy()) {
    return answer_if_spent_before(Failure::wireguard_failed);
  }
  step_began_ = std::chrono::steady_clock::now();
  context_.storage.accept_ticket(
      {.owner = owner(),
       .ticket_type = request_.ticket_type,
       .nullifier = request_.credential.nullifier,
       .expiry = request_.credential.expiry,
       .amount = amount_,
       .now = context_.clock.now()},
      [self = shared_from_this()](storage::StorageResult<storage::AcceptanceResult> result) {
        self->context_.metrics.step(Step::database, seconds_since(self->step_began_));
        if (!result) return self->fail(result.error());
        self->accepted(*result);
      });
}

void Registration::accepted(const storage::AcceptanceResult& result) {
  acceptance_ = result;
  switch (result.outcome) {
    case storage::AcceptanceOutcome::spent_by_other:
      return reject_credential(Failure::credential_already_spent);
    case storage::AcceptanceOutcome::pool_exhausted:
      return fail(Failure::address_pool_exhausted);
    case storage::AcceptanceOutcome::replayed:
      return replay({.client_id = result.client_id,
                     .amount = result.amount,
                     .addresses = result.addresses,
                     .served_by = result.served_by});
    case storage::AcceptanceOutcome::accepted:
      break;
  }
  // A ticket that does not make up for what was used beyond the ones before is credited all the
  // same; the peer comes back with the ticket that does. A peer of another instance is that one's
  // to add, which it does with its next comparison where it has let the peer go.
  if (is_dvpn() && result.has_bandwidth && !result.served_by) return add_peer();
  succeed_with_credit();
}

void Registration::succeed_with_credit() {
  context_.metrics.credential_verified();
  context_.metrics.bandwidth_allocated(static_cast<std::uint64_t>(acceptance_.amount));
  succeed({.client_id = acceptance_.client_id,
           .amount = acceptance_.amount,
           .addresses = acceptance_.addresses,
           .served_by = acceptance_.served_by});
}

void Registration::add_peer() {
  step_began_ = std::chrono::steady_clock::now();
  wireguard::PeerConfig peer{.public_key = wireguard_key_,
                             .addresses = *acceptance_.addresses,
                             .client_id = acceptance_.client_id};
  auto added = [self = shared_from_this()](wireguard::WireguardResult<std::monostate> result) {
    self->context_.metrics.step(Step::wireguard, seconds_since(self->step_began_));
    if (result) return self->succeed_with_credit();
    log::write_limited(log::Level::warning, "wireguard add",
                       "a peer could not be added to WireGuard",
                       {{"client", self->acceptance_.client_id}, {"error", result.error().detail}});
    self->compensate();
  };
  if (acceptance_.client_existed) {
    context_.wireguard.add_peer(std::move(peer), std::move(added));
  } else {
    context_.wireguard.add_new_peer(std::move(peer), std::move(added));
  }
}

void Registration::compensate() {
  context_.storage.compensate(
      owner(), request_.credential.nullifier, context_.clock.now(),
      [self =
           shared_from_this()](storage::StorageResult<storage::Storage::Compensated> compensated) {
        // The client hears of the failure once; the rest goes on without it.
        if (self->done_) self->fail(Failure::wireguard_failed);
        if (!compensated) return self->context_.park(self);
        // A client that stays is left to the next pass, which reads its counters before it goes.
        if (compensated->removal_noted && !self->acceptance_.client_existed) self->remove_peer();
      });
}

// The removal is noted in the database; if it fails now the next pass carries it out.
void Registration::remove_peer() {
  context_.wireguard.remove_peer(
      wireguard_key_,
      [self = shared_from_this()](wireguard::WireguardResult<std::monostate> removed) {
        if (!removed) return;
        self->context_.storage.confirm_removals({self->wireguard_key_},
                                                [self](storage::StorageResult<std::monostate>) {});
      });
}

// The answer of then, without a second credit. Where the client has been removed since there is
// nothing left to answer with: what the ticket was worth is gone with it.
void Registration::replay(const Grant& grant) {
  if (grant.client_id == 0) return reject_credential(Failure::credential_already_spent);
  context_.metrics.credential_verified();
  succeed(grant);
}

void Registration::succeed(const Grant& grant) {
  Answer answer;
  answer.response.success = true;
  if (is_dvpn() && grant.addresses) {
    answer.response.gateway_data = gateway_data(*grant.addresses, grant.served_by);
    if (!answer.response.gateway_data) {
      log::write_limited(log::Level::error, "instance address",
                         "a client belongs to an instance whose address is not in the database: "
                         "start it, which writes it there",
                         {{"instance", grant.served_by->name}});
      return fail(Failure::storage_failed);
    }
  }
  answer.response.allocated_bandwidth = grant.amount;
  answer.response.session_id = crypto::random_u32();
  answer.client_id = grant.client_id;
  finish(std::move(answer));
}

void Registration::reject_credential(Failure failure) {
  context_.metrics.credential_rejected(failure);
  fail(failure);
}

void Registration::fail(Failure failure) {
  Answer answer;
  answer.response = refusal(failure);
  answer.failure = failure;
  finish(std::move(answer));
}

void Registration::fail(const storage::StorageError& error) {
  const auto failure = to_failure(error);
  if (failure == Failure::storage_failed) {
    log::write_limited(log::Level::warning, "storage", "a registration failed with the database",
                       {{"error", error.detail}});
  }
  fail(failure);
}

void Registration::finish(Answer answer) {
  answer.mixnet = !is_dvpn();
  auto done = std::move(done_);
  done_ = nullptr;
  done(std::move(answer));
}

storage::Owner Registration::owner() const {
  if (const auto* mixnet = std::get_if<messages::Mixnet>(&request_.mode)) {
    return {.kind = storage::ClientKind::mixnet, .key = mixnet->client_id};
  }
  return {.kind = storage::ClientKind::wireguard, .key = wireguard_key_.bytes};
}

bool Registration::is_dvpn() const {
  return std::holds_alternative<messages::Dvpn>(request_.mode);
}

std::optional<messages::GatewayData> Registration::gateway_data(
    const storage::AddressPair& addresses,
    const std::optional<storage::ServingInstance>& served_by) const {
  const auto& options = context_.options;
  messages::GatewayData data{.public_key = options.wireguard_public_key,
                             .endpoint = {.ip = options.announced_address.value_or(local_address_),
                                          .port = options.announced_port},
                             .private_ipv4 = addresses.ipv4,
                             .private_ipv6 = addresses.ipv6};
  if (!served_by) return data;
  const auto address = messages::ip_address_from_string(served_by->announced_host);
  if (!address) return std::nullopt;
  data.public_key = served_by->wireguard_public_key;
  data.endpoint = {.ip = *address, .port = served_by->announced_port};
  return data;
}

}  // namespace lp::gateway::registration
