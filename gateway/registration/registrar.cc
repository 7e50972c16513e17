#include "gateway/registration/registrar.h"

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "gateway/registration/registration.h"

namespace lp::gateway::registration {
namespace {

class OrderedRegistrar final : public Registrar {
 public:
  OrderedRegistrar(RegistrarOptions options, ecash::Verifier& verifier, storage::Storage& storage,
                   wireguard::Controller& wireguard, wireguard::Leases& leases,
                   const WallClock& clock, metrics::Metrics& metrics)
      : context_{.options = std::move(options),
                 .verifier = verifier,
                 .storage = storage,
                 .wireguard = wireguard,
                 .leases = leases,
                 .clock = clock,
                 .metrics = metrics,
                 .park = [this](std::shared_ptr<Registration> parked) {
                   const std::lock_guard lock(mutex_);
                   parked_.push_back(std::move(parked));
                 }} {}

  void submit(const Attempt& attempt, AnswerDone done) override {
    std::make_shared<Registration>(context_, attempt, std::move(done))->start(attempt.plaintext);
  }

  [[nodiscard]] std::size_t in_flight() const override { return context_.in_flight.load(); }

  void retry_compensations() override {
    std::vector<std::shared_ptr<Registration>> parked;
    {
      const std::lock_guard lock(mutex_);
      parked.swap(parked_);
    }
    for (const auto& registration : parked)
      registration->compensate();
  }

 private:
  Context context_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Registration>> parked_;
};

}  // namespace

std::unique_ptr<Registrar> make_registrar(RegistrarOptions options, ecash::Verifier& verifier,
                                          storage::Storage& storage,
                                          wireguard::Controller& wireguard,
                                          wireguard::Leases& leases, const WallClock& clock,
                                          metrics::Metrics& metrics) {
  return std::make_unique<OrderedRegistrar>(std::move(options), verifier, storage, wireguard,
                                            leases, clock, metrics);
}

}  // namespace lp::gateway::registration
