#include "probes/wallet/bandwidth_controller.h"

namespace lp::probe::wallet {
namespace {

class MockTicket final : public SpendableTicket {
 public:
  explicit MockTicket(messages::Credential credential) : credential_(std::move(credential)) {}

  [[nodiscard]] messages::Credential credential() const override { return credential_; }
  [[nodiscard]] const Registrant* sent_with() const noexcept override { return nullptr; }
  [[nodiscard]] Outcome<void> sending(const Registrant&) override { return {}; }
  [[nodiscard]] Outcome<void> unsent() override { return {}; }
  [[nodiscard]] Outcome<void> answered(const messages::RegistrationResponse&) override {
    return {};
  }

 private:
  messages::Credential credential_;
};

class MockController final : public BandwidthController {
 public:
  // One at a time: a ticket costs nothing, and one that waits for its turn ages.
  [[nodiscard]] Outcome<SpendableTickets> get_ecash_ticket(messages::TicketType type,
                                                           const crypto::Identity&,
                                                           std::size_t) override {
    SpendableTickets tickets;
    tickets.push_back(
        std::make_unique<MockTicket>(make_mock_credential(type, SystemWallClock().now())));
    return tickets;
  }
};

}  // namespace

std::unique_ptr<BandwidthController> make_mock_controller() {
  return std::make_unique<MockController>();
}

}  // namespace lp::probe::wallet
