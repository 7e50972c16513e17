#include "gateway/ecash/ecash_manager.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "gateway/connection/admission.h"
#include "gateway/ecash/verification_queue.h"
#include "lib/ecash/ticket.h"

namespace lp::gateway::ecash {
namespace {

using messages::RegistrationFailure;

std::uint64_t count_unexpired(const std::vector<Key>& keys, UnixSeconds now) {
  return static_cast<std::uint64_t>(
      std::ranges::count_if(keys, [now](const Key& key) { return key.expiry > now; }));
}

class BlsEcashManager final : public EcashManager {
 public:
  BlsEcashManager(EcashOptions options, std::unique_ptr<KeyStore> store, FetchKeys fetch,
                  const WallClock& clock, metrics::Metrics& metrics)
      : options_(std::move(options)),
        clock_(clock),
        metrics_(metrics),
        store_(std::move(store)),
        queue_(options_.threads, options_.max_batch, metrics),
        refresher_(options_.refresh, std::move(fetch), *store_, clock, metrics) {}
  ~BlsEcashManager() override { shut_down(); }

  void verify(Ticket ticket, UnixSeconds now, VerifyDone done) override;
  [[nodiscard]] bool is_mock() const override { return false; }
  [[nodiscard]] std::string not_ready_reason() const override;
  [[nodiscard]] std::vector<std::string> warnings() const override;
  void refresh() override { refresher_.refresh(); }
  void update_metrics() const override;
  void shut_down() override;

  [[nodiscard]] KeyStatus keys() const override {
    return {.known = store_->known(), .problem = refresher_.problem()};
  }
  [[nodiscard]] std::expected<Key, std::string> accept_key(std::string_view prefix) override {
    return store_->accept(prefix);
  }

 private:
  using Job = std::unique_ptr<VerificationJob>;
  /// Waits for a fetch that may bring the job's key.
  void wait_for_key(Job job, const KeyId& id);
  /// Where there is a place for it.
  void enqueue(Job job, std::shared_ptr<const Key> key);

  const EcashOptions options_;
  const WallClock& clock_;
  metrics::Metrics& metrics_;
  connection::Admission waiting_;
  connection::Admission waiting_for_key_;
  const std::unique_ptr<KeyStore> store_;
  VerificationQueue queue_;
  KeyRefresher refresher_;  // last: it pushes into the queue
};

VerdictDone to_verdict_done(std::int64_t amount, bool expired, VerifyDone done) {
  return [amount, expired, done = std::move(done)](Verdict verdict) mutable {
    switch (verdict) {
      case Verdict::good:
        return done(Verified{.amount = amount, .expired = expired});
      case Verdict::bad:
        return done(std::unexpected(RegistrationFailure::bad_signature));
      case Verdict::unknown_key:
        return done(std::unexpected(RegistrationFailure::unknown_verification_key));
      case Verdict::busy:
        return done(std::unexpected(RegistrationFailure::gateway_busy));
      case Verdict::not_checked:
        break;
    }
    done(std::unexpected(RegistrationFailure::shutting_down));
  };
}

}  // namespace

// What costs nothing comes first: a ticket that is refused for its amount or its key takes no place
// in the queue.
void BlsEcashManager::verify(Ticket ticket, UnixSeconds now, VerifyDone done) {
  const auto& credential = ticket.credential;
  const std::uint64_t worth = lp::ecash::ticket_worth(ticket.type);
  if (credential.bandwidth_amount != worth) {
    return done(std::unexpected(RegistrationFailure::wrong_amount));
  }
  const KeyId id{.type = ticket.type, .expiry = credential.expiry};
  auto key = store_->find(id);
  const bool may_come = id.expiry > now && id.expiry - now <= unknown_expiry_horizon_secs;
  if (!key && !may_come) {
    return done(std::unexpected(RegistrationFailure::unknown_verification_key));
  }
  Job job(new VerificationJob{.key = nullptr,
                              .peer = ticket.peer,
                              .message = {.gateway = options_.gateway,
                                          .nullifier = credential.nullifier,
                                          .bandwidth_amount = credential.bandwidth_amount,
                                          .expiry = credential.expiry,
                                          .type = ticket.type},
                              .signature = std::move(ticket.credential.signature),
                              .slot = std::nullopt,
                              .done = to_verdict_done(static_cast<std::int64_t>(worth),
                                                      now >= credential.expiry, std::move(done))});
  if (key) return enqueue(std::move(job), std::move(key));
  wait_for_key(std::move(job), id);
}

void BlsEcashManager::wait_for_key(Job job, const KeyId& id) {
  auto slot =
      waiting_for_key_.admit(job->peer, {.connections = options_.max_waiting_for_key,
                                         .per_address = options_.max_waiting_for_key_per_address});
  if (!slot) return answer(std::move(job), Verdict::busy);
  job->slot.emplace(std::move(*slot));
  KeyRefresher::Waiter waiter = [this, id, job = std::move(job)](bool fetched) mutable {
    if (!fetched) return answer(std::move(job), Verdict::not_checked);
    if (auto key = store_->find(id)) return enqueue(std::move(job), std::move(key));
    answer(std::move(job), Verdict::unknown_key);
  };
  if (refresher_.wait_for(id, waiter)) return;
  // A fetch may have ended between the look-up and now.
  waiter(true);
}

void BlsEcashManager::enqueue(Job job, std::shared_ptr<const Key> key) {
  auto slot = waiting_.admit(job->peer, {.connections = options_.max_waiting,
                                         .per_address = options_.max_waiting_per_address});
  job->slot.reset();
  if (!slot) return answer(std::move(job), Verdict::busy);
  job->slot.emplace(std::move(*slot));
  job->key = std::move(key);
  queue_.push(std::move(job));
}

std::string BlsEcashManager::not_ready_reason() const {
  const auto known = store_->known();
  if (count_unexpired(known->trusted, clock_.now()) > 0) return {};
  const std::string problem = refresher_.problem();
  return fmt::format("no verification key that has not expired is known: {}",
                     problem.empty() ? "the chain has given none yet" : problem);
}

std::vector<std::string> BlsEcashManager::warnings() const {
  std::vector<std::string> warnings;
  if (auto problem = refresher_.problem(); !problem.empty()) {
    warnings.push_back("the keys could not be refreshed: " + std::move(problem));
  }
  if (const auto offered = store_->known()->offered.size(); offered != 0) {
    warnings.push_back(fmt::format(
        "the chain offers keys that contradict what is known: {}; see lp-gateway keys list",
        offered));
  }
  if (auto problem = store_->write_problem(); !problem.empty()) {
    warnings.push_back(std::move(problem));
  }
  return warnings;
}

void BlsEcashManager::update_metrics() const {
  const auto known = store_->known();
  // An expired key verifies nothing: an alert on the lack of keys must see that.
  metrics_.set_keys(count_unexpired(known->trusted, clock_.now()), known->revoked.size(),
                    known->offered.size(), known->confirmed_at, queue_.length());
}

void BlsEcashManager::shut_down() {
  refresher_.shut_down();
  queue_.shut_down();
}

std::expected<std::unique_ptr<EcashManager>, std::string> start_ecash_manager(
    EcashOptions options, FetchKeys fetch, const WallClock& clock, metrics::Metrics& metrics) {
  auto store = KeyStore::open(options.key_cache, options.contract);
  if (!store) return std::unexpected(std::move(store.error()));
  return std::make_unique<BlsEcashManager>(std::move(options), std::move(*store), std::move(fetch),
                                           clock, metrics);
}

}  // namespace lp::gateway::ecash
